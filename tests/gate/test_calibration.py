"""The row that asks whether probabilities are true, and rows that block or warn because params.yaml says so."""

from pathlib import Path

import pytest

from tasks.errors import UnknownName, WrongValue
from tasks.gate.rows import ROWS
from tasks.params import check
from tasks.ranges import ALWAYS
from tasks.ranges import ROWS as NAMED
from tests.gate.nights import Night


def sure(night, share):
    """Answers as they are, each given with this probability."""
    night.mine = (1 - share) + (2 * share - 1) * night.mine
    return night


def told(night):
    verdict, rows = night.judge()
    return verdict["verdict"], rows["calibration"]


def test_true_probabilities_pass_and_answers_that_are_too_sure_or_not_sure_enough_are_refused():
    for share, answer in ((0.9, "pass"), (0.999, "fail"), (0.7, "fail")):
        night = sure(Night(n=2000, mine=0.9), share)
        night.aside = 80
        verdict, row = told(night)
        assert (row["verdict"], row["blocking"], verdict) == (answer, True, "promote" if answer == "pass" else "reject")
        assert row["measured"] == pytest.approx(abs(share - (night.mine.argmax(1) == night.truth).mean()), abs=1e-9)
    assert "at a temperature that was fitted on 80 others" in row["reason"]
    assert "land more, or raise split.calibration" in row["reason"]


def test_where_no_temperature_was_fitted_it_warns():
    night = sure(Night(n=2000, mine=0.9), 0.999)
    night.aside = 29
    verdict, row = told(night)
    assert (row["verdict"], row["blocking"], verdict) == ("fail", False, "promote")
    assert "no temperature was fitted" in row["reason"]


def test_few_samples_are_refused_nothing():
    night = sure(Night(n=24, mine=0.9, gate="margin: 0.02, floor_over_prior: -1"), 0.999)
    night.aside = 80
    assert told(night)[1]["verdict"] == "pass"


def test_what_is_allowed_is_a_knob():
    night = sure(Night(n=2000, mine=0.9, gate="margin: 0.02, calibration: 0.15"), 0.999)
    night.aside = 80
    assert told(night)[0] == "promote"


def test_a_value_has_no_probabilities():
    body = {"modalities": {"image": {"kind": "image"}}, "targets": {"size": {"type": "regression"}}}
    assert check(body).gate.metric == "r2"
    from tasks.gate.rows import calibration
    from tasks.targets import Output

    evidence = type("E", (), {"output": Output("regression"), "target": "size"})()
    row = calibration.judge(evidence)
    assert (row.verdict, row.reason) == ("not applicable", "size is a value: it has no probabilities")


def test_a_row_blocks_or_warns_as_params_say():
    night = sure(Night(n=2000, mine=0.9, gate="margin: 0.02, rows: {calibration: blocking}"), 0.999)
    assert told(night)[0] == "reject"
    night = sure(Night(n=2000, mine=0.9, gate="margin: 0.02, rows: {calibration: warning}"), 0.999)
    night.aside = 80
    verdict, row = told(night)
    assert (row["verdict"], row["blocking"], verdict) == ("fail", False, "promote")


def test_all_rows_can_be_named_and_no_others():
    assert sorted(ROWS) == sorted(NAMED) == sorted(p.stem for p in Path(__file__).parents[2].glob("tasks/gate/rows/[a-z]*.py"))
    body = {"modalities": {"image": {"kind": "image"}}, "targets": {"label": {}}}
    with pytest.raises(UnknownName, match=r"gate.rows 'calibraton'"):
        check({**body, "gate": {"rows": {"calibraton": "warning"}}})
    with pytest.raises(WrongValue, match=r"gate.rows.missing must be blocking or warning, got 'block'"):
        check({**body, "gate": {"rows": {"missing": "block"}}})
    with pytest.raises(WrongValue, match=r"gate.rows must be a mapping of rows"):
        check({**body, "gate": {"rows": ["missing"]}})
    for name in ALWAYS:
        with pytest.raises(WrongValue, match=rf"gate.rows.{name} always blocks"):
            check({**body, "gate": {"rows": {name: "warning"}}})
