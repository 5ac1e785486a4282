"""What a bundle says of samples, as columns of a table: decisions, probabilities, and what each modality carries."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tasks.bundle import Bundle
from tasks.evaluate.shares import MOST, asked, shares_of_answers
from tasks.features import Features
from tasks.tables import decided
from tasks.targets import SEPARATOR, Output
from tasks.train.inputs import present
from tasks.train.neural import Answers

Columns = dict[str, Any]
Array = npt.NDArray[np.float64]


class Answering:
    """A bundle as what shares are asked of: each subset of the modalities is answered once, for all targets."""

    def __init__(self, bundle: Bundle, domain: Sequence[str] | None) -> None:
        """Take the bundle, and the domain of each sample (see `Bundle.predict`)."""
        self._bundle, self._domain = bundle, domain
        self._known: dict[frozenset[str], Answers] = {}

    def predict(self, features: Mapping[str, Features]) -> Answers:
        """The bundle's answers, of features that always belong to the same samples, some modalities perhaps taken away."""
        there = frozenset(m for m, body in features.items() if body.mask.any())
        if there not in self._known:
            self._known[there] = self._bundle.predict(features, self._domain)
        return self._known[there]


def answered(bundle: Bundle, features: Mapping[str, Features], domain: Sequence[str] | None = None) -> Columns:
    """Everything that is said of n samples, by column as in `schema`.

    Args:
        bundle: the model.
        features: of each of its modalities, by its own encoders.
        domain: see `Bundle.predict`.
    """
    answering, columns = Answering(bundle, domain), Columns()
    answers = answering.predict(features)
    for target, output in bundle.targets.items():
        columns |= said(target, answers[target], output)
        found = asked(answering.predict, features, target)
        shares = shares_of_answers(found, output) if found else {}
        columns |= {share_column(m, target): values for m, values in shares.items()}
    return columns


def said(target: str, answer: Array, output: Output) -> Columns:
    """One target's answer [n, width]: what is decided, how sure that is, and every probability."""
    if output.is_number:
        return {target: answer[:, 0]}
    choice = decided(answer, output)
    sure = np.where(choice == 1, answer, 1 - answer).mean(axis=1) if output.is_set else answer.max(axis=1)
    return {
        target: [output.words(row) for row in choice],
        score_column(target): sure,
        **{f"{target}__{name}": answer[:, i] for i, name in enumerate(output.classes)},
    }


def schema(bundle: Bundle) -> list[tuple[str, pa.DataType]]:
    """The columns of `answered`.

    `<target>` is the class, the labels by `|`, or the value in its unit; `score of <target>` the probability that it is right,
    of several labels the mean over these; `<target>__<class>` a probability; `share of <m> in <target>` what a modality adds to
    the answer (see tasks/evaluate/shares.py), absent where there are too many modalities to ask for.
    """
    return list(_schema(bundle))


def _schema(bundle: Bundle) -> Iterator[tuple[str, pa.DataType]]:
    for target, output in bundle.targets.items():
        yield target, pa.float64() if output.is_number else pa.string()
        if not output.is_number:
            yield score_column(target), pa.float64()
        yield from ((f"{target}__{name}", pa.float64()) for name in output.classes)
        if len(bundle.modalities) <= MOST:
            yield from ((share_column(m, target), pa.float64()) for m in bundle.modalities)


def score_column(target: str) -> str:
    """The column that says how sure a decision is."""
    return f"score of {target}"


def share_column(modality: str, target: str) -> str:
    """The column that says what a modality adds to an answer."""
    return f"share of {modality} in {target}"


def missing(features: Mapping[str, Features]) -> list[str]:
    """Per sample the names of the modalities that it lacks, by `|`."""
    there = {m: present(body) for m, body in sorted(features.items())}
    rows = len(next(iter(there.values())))
    return [SEPARATOR.join(m for m, rows_with in there.items() if not rows_with[row]) for row in range(rows)]
