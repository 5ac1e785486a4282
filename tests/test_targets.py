"""What params.yaml may ask of a target, and what a cell says about it."""

import math
from typing import Any

import pytest

from tasks import measures
from tasks.errors import TasksError
from tasks.losses import LOSSES as FUNCTIONS
from tasks.params import Params, check
from tasks.targets import LOSSES, METRICS, Output, number, outputs


def asked(targets: dict[str, Any], **more: Any) -> Params:
    return check({"modalities": {"a": {"kind": "text"}}, "targets": targets, **more})


def test_every_name_has_its_function() -> None:
    assert {name for names in METRICS.values() for name in names} == set(measures.METRICS)
    assert {name for names in LOSSES.values() for name in names} == set(FUNCTIONS)


def test_a_target_has_the_first_loss_of_its_type_and_the_gate_its_first_metric() -> None:
    params = asked({"severity": {"type": "regression"}, "label": {"loss": "focal", "weight": 0.5}})
    assert [(name, body.loss, body.weight) for name, body in params.targets.items()] == [
        ("severity", "mse", 1.0),
        ("label", "focal", 0.5),
    ]
    assert (params.gate.target, params.gate.metric) == ("severity", "r2")
    other = asked({"severity": {"type": "regression"}, "label": {}}, gate={"target": "label"})
    assert (other.gate.target, other.gate.metric, other.targets["label"].loss) == ("label", "accuracy", "cross_entropy")


def test_a_metric_in_units_is_taken_once_its_margins_are_said() -> None:
    gate = {"metric": "neg_mean_absolute_error", "margin": 2, "floor_over_prior": 5}
    assert asked({"severity": {"type": "regression"}}, gate=gate).gate.margin == 2.0


@pytest.mark.parametrize(
    ("targets", "more", "message"),
    [
        (
            {"s": {"type": "regresion"}},
            {},
            "targets.s.type must be one of classification, multilabel, regression, got 'regresion'",
        ),
        (
            {"s": {"type": "regression", "loss": "focal"}},
            {},
            "targets.s.loss must be one of mse, huber for a regression, got 'fo",
        ),
        ({"s": {"loss": "mse"}}, {}, "targets.s.loss must be one of cross_entropy, focal for a classification, got 'mse'"),
        ({"s": {"type": "regression", "classes": ["a"]}}, {}, "targets.s.classes is for classes; a regression has none"),
        ({"s": {"weight": 0}}, {}, "targets.s.weight must be above 0, got 0.0"),
        ({"s": {"label_smoothing": 1.0}}, {}, "targets.s.label_smoothing must be at least 0 and below 1, got 1.0"),
        (
            {"s": {"label_smoothing": 0.1, "loss": "focal"}},
            {},
            "label_smoothing goes with the loss cross_entropy alone, not focal",
        ),
        (
            {"s": {"type": "regression"}},
            {"gate": {"metric": "accuracy"}},
            "gate.metric must be one of r2, .* for s, a regression",
        ),
        ({"s": {}}, {"gate": {"metric": "r2"}}, "gate.metric must be one of accuracy, .* for s, a classification, got 'r2'"),
        (
            {"s": {"type": "regression"}},
            {"gate": {"metric": "neg_mean_absolute_error", "margin": 1}},
            "neg_mean_absolute_error counts in the unit of s: say gate.floor_over_prior in that unit",
        ),
        (
            {"s": {"type": "regression"}},
            {"train": {"balance": "weights"}},
            "train.balance is for classes, and no target is a classification",
        ),
    ],
)
def test_what_does_not_fit_a_targets_type_is_refused_by_name(
    targets: dict[str, Any], more: dict[str, Any], message: str
) -> None:
    with pytest.raises(TasksError, match=message):
        asked(targets, **more)


@pytest.mark.parametrize(("cell", "value"), [("3", 3.0), (" -1.5e3 ", -1500.0), ("0", 0.0), ("1e30", 1e30)])
def test_cells_that_are_numbers(cell: str, value: float) -> None:
    assert number(cell) == value
    assert Output("regression").problem("size", cell) == ""


@pytest.mark.parametrize("cell", ["high", "nan", "inf", "-inf", "1_000", "1,5", "0x10", " ", "1e31", "1e999"])
def test_cells_that_are_none(cell: str) -> None:
    assert math.isnan(number(cell))
    assert Output("regression").problem("size", cell) == f"size is {cell!r}, expected a finite number"


def test_an_unknown_class_is_told_with_the_known() -> None:
    found = Output("classification", ("a", "b"))
    assert found.problem("label", "a") == ""
    assert found.problem("label", "c") == "label is 'c', which is none of its classes (a, b)"


def test_what_files_hold_is_read_back() -> None:
    made = {"label": Output("classification", ("a", "b")), "size": Output("regression")}
    assert outputs({name: output.as_json() for name, output in made.items()}) == made
    assert [output.width for output in made.values()] == [2, 1]
