"""The table and its pooled line, against numpy and scikit-learn."""

import csv
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import t
from sklearn.metrics import accuracy_score, f1_score, r2_score, roc_auc_score

from tasks.files import file_digest
from tasks.intervals import Interval
from tasks.params import Params, check
from tasks.targets import Output
from tasks.vary.picture import draw_curve, numbers
from tasks.vary.pooled import is_whole, pooled
from tasks.vary.table import Answered, Row, as_csv, as_text

CLASSES = Output("classification", ("a", "b", "c"))


def params(**split: object) -> Params:
    return check({"modalities": {"m": {"kind": "text"}}, "targets": {"label": {}}, "split": split})


def row(value: str, answered: Answered | None = None, metric: str = "accuracy", score: float = 0.8, train: int = 9) -> Row:
    return Row(
        value,
        metric,
        train,
        30,
        12,
        "mean",
        Interval(score, score - 0.1, score + 0.05),
        "m",
        Interval(0.5, 0.4, 0.6),
        (),
        answered,
    )


def folds(output: Output, seed: int = 0) -> list[Answered]:
    """Three folds of unequal size, 40 groups in all of one to four samples, answers that know something of the truth."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 5, 40)
    groups = np.repeat([f"g{i:02d}" for i in range(40)], sizes).astype(object)
    n, width = len(groups), output.width
    if output.is_number:
        truth = rng.normal(50, 10, n)
        answer = (truth + rng.normal(0, 8, n))[:, None]
    elif output.is_set:
        truth = rng.integers(0, 2, (n, width))
        answer = np.clip(0.5 * truth + 0.7 * rng.random((n, width)), 0, 1)
    else:
        truth = rng.integers(0, width, n)
        answer = rng.dirichlet(np.ones(width), n)
        answer[np.arange(n), truth] += 0.3
        answer /= answer.sum(axis=1, keepdims=True)
    ids = np.array([f"s{i}" for i in range(n)], object)
    fold = np.repeat(rng.choice(3, 40, p=(0.2, 0.3, 0.5)), sizes)
    return [Answered(ids[at], groups[at], truth[at], answer[at], output) for at in (fold == i for i in range(3))]


def joined(parts: list[Answered]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return tuple(np.concatenate([getattr(part, name) for part in parts]) for name in ("truth", "answer", "groups"))  # type: ignore[return-value]


ORACLES = {
    "accuracy": (CLASSES, lambda truth, answer: accuracy_score(truth, answer.argmax(1))),
    "macro_f1": (CLASSES, lambda truth, answer: f1_score(truth, answer.argmax(1), average="macro")),
    "auroc": (
        Output("classification", ("no", "yes")),
        lambda truth, answer: roc_auc_score(truth, answer[:, 1]),
    ),
    "r2": (Output("regression", ()), lambda truth, answer: r2_score(truth, answer[:, 0])),
    "weighted_f1": (
        Output("multilabel", ("x", "y", "z")),
        lambda truth, answer: f1_score(truth, answer >= 0.5, average="weighted"),
    ),
}


@pytest.mark.parametrize("metric", ORACLES)
def test_the_pooled_score_is_of_all_answers_together(metric: str) -> None:
    output, oracle = ORACLES[metric]
    parts = folds(output)
    found = pooled([row(str(i), part, metric) for i, part in enumerate(parts)], params())
    assert found is not None
    truth, answer, groups = joined(parts)
    assert found.score.value == pytest.approx(oracle(truth, answer), abs=1e-12)
    assert (found.samples, found.groups, found.value) == (len(truth), len(set(groups)), "pooled")
    means = np.average([oracle(part.truth, part.answer) for part in parts])
    assert abs(found.score.value - means) > 1e-6  # no mean of folds


def test_its_interval_is_clustered_by_group() -> None:
    parts = folds(Output("regression", ()))
    found = pooled([row(str(i), part, "neg_mean_absolute_error") for i, part in enumerate(parts)], params())
    assert found is not None
    truth, answer, groups = joined(parts)
    error = -np.abs(truth - answer[:, 0])
    left = np.array([error[groups != group].mean() for group in sorted(set(groups))])
    k = len(left)
    half = t.ppf(0.975, k - 1) * np.sqrt((k - 1) / k * ((left - left.mean()) ** 2).sum())
    assert found.score.low == pytest.approx(error.mean() - half)
    assert found.score.high == pytest.approx(min(error.mean() + half, 0.0))


def test_folds_that_know_other_classes_are_judged_by_their_names() -> None:
    parts = folds(CLASSES)
    two = replace(CLASSES, classes=("a", "c"))
    known = parts[1].truth != 1
    answer = parts[1].answer[known][:, [0, 2]]
    parts[1] = Answered(parts[1].ids[known], parts[1].groups[known], parts[1].truth[known] // 2, answer, two)
    found = pooled([row(str(i), part) for i, part in enumerate(parts)], params())
    names = [np.array(part.output.classes) for part in parts]
    right = [name[part.truth] == name[part.answer.argmax(1)] for name, part in zip(names, parts, strict=True)]
    assert found is not None
    assert found.score.value == pytest.approx(np.concatenate(right).mean())
    order = replace(CLASSES, classes=("c", "a", "b"))  # as params.yaml lists them: of two, `auroc` is about the last
    same = [replace(part, output=order) for part in folds(order)]
    assert pooled([row(str(i), part) for i, part in enumerate(same)], params()) is not None


def test_labels_of_folds_that_know_others_are_joined() -> None:
    output = Output("multilabel", ("x", "y", "z"))
    parts = folds(output)
    less = replace(output, classes=("x", "z"))
    parts[0] = Answered(parts[0].ids, parts[0].groups, parts[0].truth[:, [0, 2]], parts[0].answer[:, [0, 2]], less)
    found = pooled([row(str(i), part, "macro_f1") for i, part in enumerate(parts)], params())
    truth, answer = (np.insert(values, 1, 0, axis=1) for values in (parts[0].truth, parts[0].answer))
    truth, answer = (
        np.concatenate([truth, *(p.truth for p in parts[1:])]),
        np.concatenate([answer, *(p.answer for p in parts[1:])]),
    )
    assert found is not None
    assert found.score.value == pytest.approx(f1_score(truth, answer >= 0.5, average="macro"))


def test_a_sample_that_several_folds_judge_is_not_pooled() -> None:
    parts = folds(CLASSES)
    assert pooled([row("0", parts[0]), row("1", parts[0])], params()) is None


@pytest.mark.parametrize(
    ("param", "values", "whole"),
    [("split.fold", (2, 0, 1), True), ("split.fold", (0, 1), False), ("split.train_share", (None, None, None), False)],
)
def test_pooled_are_all_folds_each_once(param: str, values: tuple[int | None, ...], whole: bool) -> None:
    assert is_whole(param, [params(fold=fold, folds=3) for fold in values]) is whole


def test_the_table_says_the_same_as_csv_and_as_text() -> None:
    rows = [
        row("0.5", score=0.7123456),
        row("1", train=20),
        replace(row("pooled"), train=None, selected="", single="", single_score=None),
    ]
    read = list(csv.DictReader(io.StringIO(as_csv("split.train_share", rows).decode())))
    assert [line["split.train_share"] for line in read] == ["0.5", "1", "pooled"]
    assert float(read[0]["score"]) == 0.7123456
    assert (read[1]["train"], read[2]["train"], read[1]["metric"], read[1]["single"]) == ("20", "", "accuracy", "m")
    lines = as_text("split.train_share", rows).splitlines()
    assert lines[0].split() == [
        "split.train_share",
        "train",
        "test",
        "groups",
        "selected",
        "accuracy",
        "interval",
        "best",
        "single",
    ]
    assert lines[1].split() == ["0.5", "9", "30", "12", "mean", "0.712", "[0.612,", "0.762]", "m", "0.500"]
    assert lines[3].split() == ["pooled", "30", "12", "0.800", "[0.700,", "0.850]"]


def test_the_curve_has_the_same_bytes_for_the_same_scores(tmp_path: Path) -> None:
    rows = [row("1", score=0.8, train=80), row("0.125", score=0.6), row("0.5", score=0.7, train=40)]
    for name, drawn in {"one": rows, "two": rows[::-1], "other": [*rows[:2], row("0.5", score=0.71, train=40)]}.items():
        draw_curve(tmp_path / f"{name}.png", "split.train_share", drawn)
    digests = {name: file_digest(tmp_path / f"{name}.png") for name in ("one", "two", "other")}
    assert digests["one"] == digests["two"] != digests["other"]
    assert numbers(rows) == [1.0, 0.125, 0.5]
    assert numbers([row("[mean]"), row("[concat]")]) is None
