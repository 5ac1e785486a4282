"""Targets: what may be asked for, what a cell of metadata.csv says, and how many numbers answer it.

    type             a cell               a model's answer                     losses
    classification   the class's name     a probability per class, sum 1       cross_entropy, focal
    multilabel       names, by `|`        a probability per class, each alone  binary_cross_entropy
    regression       a number             one value, in the cells' own unit    mse, huber (of the standardised value)

Of several labels any number may hold: `cough|fever`, or none of them, `|`. An empty cell is an unlabelled sample: it teaches
nothing about that target and is not scored for it. What unit a number has is the user's to know; statistics that standardise it
come from the train split and lie in a candidate's card.
"""

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

from tasks.errors import WrongValue
from tasks.schema import build

# Of each, the first is the default.
LOSSES = {
    "classification": ("cross_entropy", "focal"),
    "multilabel": ("binary_cross_entropy",),
    "regression": ("mse", "huber"),
}
# Named as in scikit-learn, whose rule holds too: higher is better, so that errors are counted below 0.
METRICS = {
    "classification": ("accuracy", "macro_f1", "weighted_f1", "auroc", "auprc"),
    "multilabel": ("macro_f1", "weighted_f1", "accuracy", "auroc", "auprc"),  # accuracy: of the whole set of labels
    "regression": ("r2", "neg_mean_absolute_error", "neg_root_mean_squared_error"),
}
RANKING = ("auroc", "auprc")  # metrics of probabilities, not of what they decide for; of two classes that of the last one
IN_UNITS = "neg_"  # metrics so named count in the target's own unit, the others are shares

SEPARATOR = "|"  # between the names of a multilabel cell
HIGHEST = 1e30  # of a number: its square is finite too
SHOWN = 20  # classes named in a message


@dataclass(frozen=True)
class Target:
    """One thing to predict: a column of metadata.csv."""

    type: Literal["classification", "multilabel", "regression"] = "classification"
    classes: tuple[str, ...] = ()  # empty: those of the reference; a regression has none
    loss: str = ""  # one of `LOSSES` of its type; empty: the first
    weight: float = 1.0  # of its loss beside those of the other targets
    label_smoothing: float = 0.0  # with cross_entropy: share of a label that is spread over all classes


def read_target(name: str, body: Any) -> Target:
    """One entry of `targets` in params.yaml, its loss named.

    Raises:
        UnknownName: a key that a target does not have.
        WrongValue: a value of another type, out of its range, or one that does not fit the target's type.
    """
    where = f"targets.{name}"
    if not isinstance(body, dict):
        raise WrongValue(f"params.yaml: {where} must be a mapping such as {{type: classification}}, got {body!r}")
    classes = body.get("classes")
    if isinstance(classes, list):  # YAML reads `0` as a number; labels are text
        strange = [item for item in classes if not isinstance(item, str | int) or isinstance(item, bool)]
        if strange:
            told = f"{strange[0]!r} is no text to YAML: put the name between quotes, as it stands in metadata.csv"
            raise WrongValue(f"params.yaml: {where}.classes: {told}")
        body = {**body, "classes": [str(item) for item in classes]}
    target: Target = build(Target, body, where)
    target = replace(target, loss=target.loss or LOSSES[target.type][0])
    _check(where, target)
    return target


def _check(where: str, target: Target) -> None:
    if target.loss not in LOSSES[target.type]:
        raise unfit(f"{where}.loss", target.loss, LOSSES[target.type], f"a {target.type}")
    if len(set(target.classes)) != len(target.classes) or any(name != name.strip() or not name for name in target.classes):
        raise WrongValue(f"params.yaml: {where}.classes must be distinct names without blanks at their ends")
    if target.classes and target.type == "regression":
        raise WrongValue(f"params.yaml: {where}.classes is for classes; a regression has none")
    if target.type == "multilabel" and any(SEPARATOR in name for name in target.classes):
        raise WrongValue(f"params.yaml: {where}.classes: no name may hold {SEPARATOR!r}, which stands between names")
    if target.weight <= 0:
        raise WrongValue(f"params.yaml: {where}.weight must be above 0, got {target.weight}")
    if not 0 <= target.label_smoothing < 1:
        raise WrongValue(f"params.yaml: {where}.label_smoothing must be at least 0 and below 1, got {target.label_smoothing}")
    if target.label_smoothing and target.loss != "cross_entropy":
        raise WrongValue(f"params.yaml: {where}.label_smoothing goes with the loss cross_entropy alone, not {target.loss}")


def unfit(where: str, value: str, known: tuple[str, ...], what: str) -> WrongValue:
    """A name that exists for another type of target, or not at all."""
    return WrongValue(f"params.yaml: {where} must be one of {', '.join(known)} for {what}, got {value!r}")


@dataclass(frozen=True)
class Output:
    """What a model answers for a target, as the manifest, cards and bundles hold it.

    Attributes:
        type: of the target.
        classes: their names, in the order of the probabilities; none of a regression.
    """

    type: str
    classes: tuple[str, ...] = ()

    @property
    def is_number(self) -> bool:
        """Whether the answer is a value, and not a choice among classes."""
        return self.type == "regression"

    @property
    def is_set(self) -> bool:
        """Whether any number of the classes may hold at once."""
        return self.type == "multilabel"

    @property
    def width(self) -> int:
        """Numbers that answer a sample."""
        return 1 if self.is_number else len(self.classes)

    def words(self, decision: Any) -> str:
        """One decision (see `tasks.tables.decided`) as a cell of metadata.csv would say it."""
        if self.is_number:
            return f"{float(decision):.6g}"
        if self.is_set:
            return SEPARATOR.join(name for name, holds in zip(self.classes, decision, strict=True) if holds) or SEPARATOR
        return self.classes[int(decision)]

    def as_json(self) -> dict[str, Any]:
        """As manifest.json, candidate.json and bundle.json hold it."""
        return {"type": self.type, "classes": list(self.classes)}

    def problem(self, target: str, cell: str) -> str:
        """What is wrong with a cell that is not empty, or ""."""
        if self.is_number:
            return f"{target} is {cell[:40]!r}, expected a finite number" if math.isnan(number(cell)) else ""
        strange = [name for name in (names(cell) if self.is_set else [cell]) if name not in self.classes]
        if not strange:
            return ""
        known = ", ".join(self.classes[:SHOWN]) + (" …" if len(self.classes) > SHOWN else "")
        what = f"holds {strange[0][:40]!r}" if self.is_set else f"is {cell[:40]!r}"
        return f"{target} {what}, which is none of its classes ({known or 'none known'})"

    def numbered(self, cell: str) -> list[int] | None:
        """A multilabel cell as 0 or 1 for each class; None where it is empty or holds an unknown name."""
        found = names(cell) if isinstance(cell, str) else [""]
        return [int(name in found) for name in self.classes] if set(found) <= set(self.classes) else None


def outputs(described: Any) -> dict[str, Output]:
    """Targets out of what `Output.as_json` wrote of each."""
    return {target: Output(body["type"], tuple(body["classes"])) for target, body in described.items()}


def names(cell: str) -> list[str]:
    """The names in a multilabel cell; none in `|`."""
    return [name for part in cell.split(SEPARATOR) if (name := part.strip())]


def number(cell: str) -> float:
    """A cell as a number; NaN for what is none, or beyond ±1e30."""
    try:
        value = math.nan if "_" in cell else float(cell)  # float("1_0") is 10 in Python alone
    except ValueError:
        return math.nan
    return value if abs(value) <= HIGHEST else math.nan
