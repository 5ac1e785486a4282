"""What values of params.yaml may be, beyond their types."""

import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from tasks.errors import UnknownName, WrongValue
from tasks.schema import number

if TYPE_CHECKING:
    from tasks.params import Params, Split, Train

COUNTS = (
    "threads",
    "split.folds",
    "pretrain.epochs",
    "pretrain.batch",
    "pretrain.width",
    "pretrain.processes",
    "train.epochs",
    "train.patience",
    "train.batch",
    "train.width",
    "train.heads",
    "train.processes",
    "gate.horizon",
    "ingest.partition_rows",
    "ingest.partition_mb",
    "ingest.file_mb",
    "ingest.batch_rows",
)
SHARES = (
    "split.val",
    "split.test",
    "split.calibration",
    "gate.calibration",
    "validate.quarantine_share",
    "validate.missing_share",
    "pretrain.hidden",
    "pretrain.dropout",
    "train.dropout",
    "train.modality_dropout",
    "train.distil",
)
RATES = ("pretrain.learning_rate", "train.learning_rate")
NOT_NEGATIVE = (
    "split.embargo_s",
    "pretrain.weight_decay",
    "train.weight_decay",
    "validate.max_skew_s",
    "validate.drift_warning",
)
RESAMPLES = 100  # fewer have no tails
DEVICE = re.compile(r"cpu|cuda(:\d+)?")
CONFIDENCES = ("evaluate.confidence", "gate.confidence")

ROWS = (  # of a verdict: the files of tasks/gate/rows/
    "anchor",
    "calibration",
    "champion",
    "decay",
    "dominance",
    "drift",
    "floor",
    "floor_over_prior",
    "floor_over_single",
    "guard",
    "homogenisation",
    "interaction",
    "leak",
    "missing",
    "noisy",
    "samples",
    "slices",
    "whole",
)
ALWAYS = frozenset({"anchor", "champion", "floor", "whole"})  # without these a verdict would say nothing


def check_ranges(params: "Params") -> None:
    """Refuse what the types let pass.

    Raises:
        WrongValue: a value out of its range, or two that do not go together.
    """
    for where in SHARES:
        share = _get(params, where)
        if not 0 <= share < 1:
            raise WrongValue(f"params.yaml: {where} must be at least 0 and below 1, got {share}")
    _check_split(params.split)
    _check_judging(params)
    _check_fits(params)
    _check_domains(params)
    _check_processes(params)
    for where in COUNTS:
        if _get(params, where) < 1:
            raise WrongValue(f"params.yaml: {where} must be at least 1, got {_get(params, where)}")
    if "attention" in (*params.fusions, *params.train.finetune) and params.train.width % params.train.heads:
        told = f"{params.train.width} and {params.train.heads}"
        raise WrongValue(f"params.yaml: train.width must be a multiple of train.heads, got {told}")
    for where in NOT_NEGATIVE:
        if _get(params, where) < 0:
            raise WrongValue(f"params.yaml: {where} must be at least 0, got {_get(params, where)}")


def check_pace(train: "Train", modalities: Collection[str]) -> None:
    """Refuse weights of modalities that are none.

    Raises:
        WrongValue, UnknownName: so they are.
    """
    if train.slowing < 0:
        raise WrongValue(f"params.yaml: train.slowing must be at least 0, got {train.slowing}")
    weights: Any = train.alone
    if not isinstance(weights, Mapping):
        raise WrongValue(f"params.yaml: train.alone must be a mapping of modalities to weights, got {weights!r}")
    for name, weight in weights.items():
        if name not in modalities:
            raise UnknownName("modality in params.yaml: train.alone", str(name), modalities)
        if number(weight, f"train.alone.{name}") < 0:
            raise WrongValue(f"params.yaml: train.alone.{name} must be at least 0, got {weight}")


def _check_split(split: "Split") -> None:
    if split.val + split.test >= 1:
        raise WrongValue(f"params.yaml: split.val + split.test must be below 1, got {split.val + split.test}")
    if not 0 < split.train_share <= 1:
        raise WrongValue(f"params.yaml: split.train_share must be above 0 and at most 1, got {split.train_share}")
    if split.window_batches is not None and split.window_batches < 1:
        raise WrongValue(f"params.yaml: split.window_batches must be at least 1, got {split.window_batches}")
    if split.window_s is not None and split.window_s <= 0:
        raise WrongValue(f"params.yaml: split.window_s must be above 0, got {split.window_s}")
    if split.fold is None:
        return
    if not 0 <= split.fold < split.folds:
        raise WrongValue(f"params.yaml: split.fold must be 0 … {split.folds - 1}, got {split.fold}")
    if split.val + 1 / split.folds >= 1:
        raise WrongValue(
            f"params.yaml: with split.fold, split.val + 1 / split.folds must be below 1, got {split.val} + 1 / {split.folds}"
        )


def _check_judging(params: "Params") -> None:
    for where in CONFIDENCES:
        sure = _get(params, where)
        if not 0.5 < sure < 1:
            raise WrongValue(f"params.yaml: {where} must be above 0.5 and below 1, e.g. 0.95, got {sure}")
    if params.evaluate.bootstrap < RESAMPLES:
        raise WrongValue(f"params.yaml: evaluate.bootstrap must be at least {RESAMPLES}, got {params.evaluate.bootstrap}")
    _check_rows(params.gate.rows)


def _check_fits(params: "Params") -> None:
    for where in RATES:
        if not 0 <= _get(params, where) <= 1e30:
            raise WrongValue(f"params.yaml: {where} must be at least 0 and at most 1e30, got {_get(params, where)}")
    if params.pretrain.temperature <= 0:
        raise WrongValue(f"params.yaml: pretrain.temperature must be above 0, got {params.pretrain.temperature}")
    knobs = params.train
    if knobs.align < 0:
        raise WrongValue(f"params.yaml: train.align must be at least 0, got {knobs.align}")
    if knobs.batch < 2 and (knobs.align > 0 or knobs.domains == "coral"):
        raise WrongValue(
            "params.yaml: train.align and train.domains coral compare samples of a batch: set train.batch to 2 or more"
        )
    if knobs.distil and knobs.balance == "sampling":
        raise WrongValue(
            "params.yaml: train.distil teaches rows whose class is not known, which train.balance sampling cannot draw evenly:"
            " balance by weights"
        )


def _check_domains(params: "Params") -> None:
    column, how = params.validate.domain, params.train.domains
    known = {"batch", "row", "sample_id", "group", "split", "timestamp", "refused", "part", *params.targets, *params.modalities}
    if _is_ours(column, known):
        raise WrongValue(f"params.yaml: validate.domain must be a column of its own, and no target or modality, got {column!r}")
    for name in params.validate.slices:
        if not name or _is_ours(name, known):
            raise WrongValue(
                f"params.yaml: validate.slices must name columns of their own, no target or modality, got {name!r}"
            )
    if len(set(params.validate.slices)) < len(params.validate.slices):
        raise WrongValue(f"params.yaml: validate.slices names one twice: {', '.join(params.validate.slices)}")
    if column and "domain" in params.targets:
        raise WrongValue("params.yaml: with validate.domain no target may be named domain")
    if how != "none" and not column:
        raise WrongValue(f"params.yaml: train.domains {how} needs validate.domain, the column that names a sample's domain")
    if params.train.coral < 0:
        raise WrongValue(f"params.yaml: train.coral must be at least 0, got {params.train.coral}")


def _is_ours(column: str, known: Collection[str]) -> bool:
    return column in known or column.startswith("has_") or column.endswith(("_timestamp", "_file_name"))


def _check_processes(params: "Params") -> None:
    """Some methods look at a batch as a whole, of which each process sees a part."""
    if not DEVICE.fullmatch(params.device):
        raise WrongValue(f"params.yaml: device must be cpu, cuda or cuda:N, got {params.device!r}")
    knobs = params.train
    whole = {
        "slowing": knobs.slowing > 0,
        "alone": bool(knobs.alone),
        "align": knobs.align > 0,
        "missing mapped": knobs.missing == "mapped",
        "domains coral": knobs.domains == "coral",
    }
    if knobs.processes > 1 and any(whole.values()):
        asked = ", ".join(f"train.{name}" for name, on in whole.items() if on)
        raise WrongValue(f"params.yaml: {asked} needs whole batches: set train.processes to 1, got {knobs.processes}")
    _check_precision(params)


def _check_precision(params: "Params") -> None:
    """Torch 2.13's 3-D convolutions of few places have wrong gradients in bfloat16 on a CPU, some of them NaN."""
    volumes = [name for name, modality in params.modalities.items() if modality.kind == "volume"]
    asked = {
        "pretrain.precision": params.pretrain.precision,
        "train.precision": params.train.precision if params.train.finetune else "fp32",
    }
    for where, precision in asked.items():
        if volumes and params.device == "cpu" and precision == "bf16":
            raise WrongValue(f"params.yaml: {where} bf16 needs a GPU where volumes' encoders are fitted ({', '.join(volumes)})")


def _check_rows(rows: Any) -> None:
    if not isinstance(rows, Mapping):
        raise WrongValue(f"params.yaml: gate.rows must be a mapping of rows to blocking or warning, got {rows!r}")
    for name, how in rows.items():
        if name not in ROWS:
            raise UnknownName("row in params.yaml: gate.rows", str(name), ROWS)
        if how not in ("blocking", "warning"):
            raise WrongValue(f"params.yaml: gate.rows.{name} must be blocking or warning, got {how!r}")
        if how == "warning" and name in ALWAYS:
            raise WrongValue(f"params.yaml: gate.rows.{name} always blocks: without it a verdict would mean nothing")


def _get(params: "Params", where: str) -> Any:
    value: Any = params
    for word in where.split("."):
        value = getattr(value, word)
    return value
