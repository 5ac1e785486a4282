"""The verdict: floors on the first night, the paired bound afterwards, and no promotion on evidence that is not whole."""

import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.stats import binomtest

from tasks.errors import ContractBroken, NoData
from tasks.files import read_json
from tasks.gate.__main__ import gate
from tasks.gate.evidence import Evidence
from tasks.gate.reigning import Pair
from tasks.gate.rows import ROWS
from tasks.intervals import Interval
from tasks.tables import write_parquet
from tests.gate import nights
from tests.gate.nights import FIRST, LATER, Later, Night, table


@pytest.mark.parametrize(("metric", "prior"), [("auroc", "0.500"), ("auprc", "0.5")])
def test_areas_under_curves_are_judged_by_what_the_answers_rank(metric, prior):
    night = Night(n=1000, mine=0.9, champion=0.9, anchor=0.9, gate=f"margin: 0.02, metric: {metric}")
    night.mine = 0.2 + 0.6 * night.mine  # the same decisions and the same order, less sure: neither score changes
    verdict, rows = night.judge()
    assert (verdict["verdict"], verdict["decided_by"]) == ("promote", "champion")
    assert rows["champion"]["measured"] == pytest.approx(0, abs=1e-12)
    assert f"against {prior}" in rows["floor_over_prior"]["reason"]
    night.mine = night.mine[:, ::-1]
    verdict, rows = night.judge()
    assert (verdict["verdict"], rows["champion"]["verdict"], rows["floor_over_prior"]["verdict"]) == ("reject", "fail", "fail")


def test_the_first_night_is_decided_by_the_floors():
    verdict, rows = Night().judge()
    assert (verdict["verdict"], verdict["decided_by"], verdict["becomes_anchor"]) == ("promote", "floor", True)
    assert {rows[name]["verdict"] for name in ("champion", "anchor", "floor_over_single")} == {"not applicable"}
    assert list(rows) == list(ROWS)
    assert len(verdict["candidate"]) == len(verdict["data"]) == 64


def test_a_first_night_no_better_than_the_commonest_class_is_rejected():
    verdict, rows = Night(mine=0.5).judge()
    assert (verdict["verdict"], verdict["decided_by"], verdict["becomes_anchor"]) == ("reject", "floor_over_prior", False)
    assert "of always answering 'dog' on 400 samples (200 groups)" in rows["floor_over_prior"]["reason"]


@pytest.mark.parametrize(
    ("groups", "promotion", "says"),
    [
        (8, "auto", r"^$"),
        (7, "auto", r"^the test set has 7 groups, fewer than 8: too few for the gate to decide alone$"),
        (8, "approve", r"^params.yaml says `promotion: approve`$"),
        (7, "approve", r"^params.yaml says `promotion: approve`; the test set has 7 groups"),
    ],
)
def test_a_person_is_wanted_when_params_say_so_or_the_groups_are_few(groups, promotion, says):
    night = Night(n=2 * groups, mine=1.0, gate="floor_over_prior: -1.0")
    night.promotion = promotion
    verdict, _ = night.judge()
    assert verdict["verdict"] == "promote"
    assert re.search(says, verdict["approval"])


def test_nobody_is_asked_about_what_is_rejected_anyway():
    night = Night(n=12, mine=0.0)
    night.promotion = "approve"
    verdict, _ = night.judge()
    assert (verdict["verdict"], verdict["approval"]) == ("reject", "")


def test_floors_stay_blocking_when_there_is_a_champion():
    verdict, rows = Night(mine=0.9, champion=0.9, anchor=0.9, gate="floor: 0.95").judge()
    assert (verdict["verdict"], verdict["decided_by"], rows["champion"]["verdict"]) == ("reject", "floor", "pass")


@pytest.mark.parametrize(
    ("mine", "mode", "verdict"),
    [(0.9, "non-inferior", "promote"), (0.9, "better", "reject"), (0.99, "better", "promote"), (0.8, "non-inferior", "reject")],
)
def test_the_paired_bound_against_the_champion_decides(mine, mode, verdict):
    found, rows = Night(mine=mine, champion=0.9, anchor=0.9, gate=f"mode: {mode}").judge()
    assert (found["verdict"], found["decided_by"]) == (verdict, "champion")
    assert rows["champion"]["needed"] == (0.0 if mode == "better" else -0.02)
    assert "of v1.1.0 on 400 samples (200 groups): difference" in rows["champion"]["reason"]
    assert found["champion"] == {"number": 3, "version": "v1.1.0"}


def test_small_steps_down_are_stopped_by_the_anchor():
    found, rows = Night(mine=0.86, champion=0.86, anchor=0.92).judge()
    assert (found["verdict"], found["decided_by"], rows["champion"]["verdict"]) == ("reject", "anchor", "pass")


@pytest.mark.parametrize(("mine", "anchor"), [(0.9, False), (0.99, True)])
def test_only_a_surely_better_candidate_becomes_the_anchor(mine, anchor):
    found, _ = Night(mine=mine, champion=0.9, anchor=0.9).judge()
    assert (found["verdict"], found["becomes_anchor"]) == ("promote", anchor)


def test_samples_that_arrived_since_the_promotion_decide():
    found, rows = Later(mine=(0.9, 0.87), champion=(0.9, 0.87)).judge()
    assert (found["verdict"], found["decided_by"], rows["guard"]["verdict"]) == ("promote", "champion", "pass")
    assert "of v1.1.0 on 1600 samples (800 groups) that arrived since its promotion" in rows["champion"]["reason"]
    found, rows = Later(mine=(0.98, 0.82), champion=(0.9, 0.87)).judge()  # better on the old ones alone
    assert (found["verdict"], found["decided_by"]) == ("reject", "champion")


def test_what_the_old_test_samples_lose_stops_a_candidate_that_the_new_ones_favour():
    found, rows = Later(mine=(0.8, 0.9), champion=(0.9, 0.87), newer=6000).judge()
    assert (found["verdict"], found["decided_by"], rows["champion"]["verdict"]) == ("reject", "guard", "pass")
    assert re.search(
        r"of v1\.1\.0 on 400 samples \(200 groups\) from before its promotion: .* upper bound", rows["guard"]["reason"]
    )


def test_all_samples_decide_until_those_that_arrived_since_are_enough():
    _, rows = Later(mine=(0.95, 0.9), champion=(0.9, 0.87), newer=100).judge()
    assert "of v1.1.0 on 500 samples (250 groups): difference" in rows["champion"]["reason"]
    assert rows["guard"]["verdict"] == "not applicable"
    assert "so many samples tell 0.0" in rows["champion"]["reason"]


@pytest.mark.parametrize(("groups", "since"), [(7, False), (8, True)])
def test_few_new_groups_never_decide_without_the_older_ones_however_large_they_are(groups, since):
    night = Later(mine=(0.9, 0.9), champion=(0.9, 0.9), newer=8000)
    night.groups[400:] = [f"new{at % groups}" for at in range(8000)]
    found, rows = night.judge()
    assert (found["verdict"], found["approval"]) == ("promote", "")
    assert ("that arrived since its promotion" in rows["champion"]["reason"]) == since


@pytest.mark.parametrize(("horizon", "verdict"), [(1, "pass"), (365, "fail")])
def test_a_step_down_from_the_anchor_shares_its_error_with_all_nights(horizon, verdict):
    _, rows = Night(mine=0.9, champion=0.9, anchor=0.9, n=300, gate=f"margin: 0.012, horizon: {horizon}").judge()
    assert (rows["champion"]["verdict"], rows["anchor"]["verdict"]) == ("pass", verdict)


def nan_in_candidate(night):
    night.mine[3] = np.nan


def nan_in_champion(night):
    night.reigning["champion"][3] = np.nan


def champion_is_silent(night):
    del night.reigning["champion"]


def unknown_champion(night):
    night.registry = FIRST


def nan_in_anchor(night):
    night.reigning["anchor"][3] = np.nan


def no_anchor(night):
    night.registry = {**LATER, "anchor": {"version": None, "batches": []}}
    del night.reigning["anchor"]


@pytest.mark.parametrize(
    ("harm", "decided_by", "says"),
    [
        (nan_in_candidate, "whole", "1 predictions hold NaN"),
        (nan_in_champion, "champion", "hold NaN"),
        (nan_in_anchor, "anchor", "hold NaN"),
        (champion_is_silent, "champion", "gave no prediction of label"),
        (unknown_champion, "champion", "names no champion, yet champion.parquet"),
        (no_anchor, "anchor", "never without the other"),
    ],
)
def test_evidence_that_is_not_whole_fails_closed(harm, decided_by, says):
    night = Night(champion=0.8, anchor=0.8)
    harm(night)
    found, rows = night.judge()
    assert (found["verdict"], found["decided_by"], found["becomes_anchor"]) == ("reject", decided_by, False)
    assert says in rows[decided_by]["reason"]


def test_other_samples_than_the_manifests_fail_closed():
    night = Night(champion=0.8, anchor=0.8)
    night.judge()
    path = Path("data/6_reports/evaluate/predictions.parquet")
    write_parquet(path, table(night.ids[1:], night.mine[1:], group=night.groups[1:], label=night.truth[1:]))
    gate()
    verdict = read_json(Path("data/6_reports/verdict.json"))
    assert [row["name"] for row in verdict["rows"]] == ["whole"]
    assert "other test samples (1 differ, e.g. 's0000')" in verdict["rows"][0]["reason"]


@pytest.mark.parametrize(
    "path",
    [
        "6_reports/evaluate/scores.json",
        "6_reports/evaluate/predictions.parquet",
        "6_reports/champion.parquet",
        "6_reports/robustness/robustness.json",
        "3_manifest/contents.parquet",
        "3_manifest/drift.json",
        "3_manifest/manifest.json",
        "3_manifest/samples.parquet",
        "5_models/bundle/bundle.json",
        "1_raw.json",
        "registry.json",
    ],
)
def test_an_absent_input_is_a_failure_and_no_verdict(path):
    Night().judge()
    Path("data", path).unlink()
    Path("data/6_reports/verdict.json").unlink()
    with pytest.raises(NoData, match="is not here"):
        gate()
    assert not Path("data/6_reports/verdict.json").exists()


@pytest.mark.parametrize("left", [0, 2])
def test_a_test_set_that_is_empty_or_one_group_fails_closed(left):
    Night(champion=0.8, anchor=0.8).judge()
    for name in ("6_reports/evaluate/predictions.parquet", "3_manifest/samples.parquet", "3_manifest/contents.parquet"):
        path = Path("data", name)
        table = pq.read_table(path)
        others = table.slice(0, 0) if "predictions" in name else table.slice(table.num_rows - 3)
        write_parquet(path, pa.concat_tables([table.slice(0, left), others]))
    gate()
    verdict = read_json(Path("data/6_reports/verdict.json"))
    assert (verdict["verdict"], verdict["decided_by"], len(verdict["rows"])) == ("reject", "whole", 1)
    assert f"{left} test samples in fewer than 2 groups" in verdict["rows"][0]["reason"]


@pytest.mark.parametrize(("champion", "decided_by"), [(None, "floor"), (0.8, "champion")])
def test_a_measure_that_is_no_number_fails_closed(champion, decided_by, monkeypatch):
    nan = Interval(float("nan"), float("nan"), float("nan"))
    whole = Evidence.bounds
    monkeypatch.setattr(Evidence, "bounds", lambda self, name, sums: nan if name == decided_by else whole(self, name, sums))
    monkeypatch.setattr(Pair, "bounded", lambda self, sure: nan)
    found, rows = Night(champion=champion, anchor=champion).judge()
    assert (found["verdict"], found["decided_by"], found["becomes_anchor"]) == ("reject", decided_by, False)
    assert "what was measured is no number" in rows[decided_by]["reason"]


@pytest.mark.parametrize("gain", [None, float("nan")])
def test_a_gain_that_was_asked_for_and_is_none_fails_closed(gain, monkeypatch):
    night = Night(gate="floor_over_single: 0.0")
    night.gain = gain and {"value": gain, "low": gain, "high": gain, "single": "alone-image"}
    monkeypatch.setattr(nights, "write_json", _write_any)
    assert night.judge()[0]["decided_by"] == "floor_over_single"


def _write_any(path, value):
    """Write what a stage would refuse to write, NaN too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def test_a_registry_that_is_none_is_refused():
    night = Night()
    night.registry = {"champion": "v1.0.0"}
    with pytest.raises(ContractBroken, match="must hold the number of the champion, and version and batches"):
        night.judge()


@pytest.mark.parametrize(("gain", "verdict"), [(0.1, "promote"), (0.04, "reject")])
def test_a_floor_over_the_best_single_modality_blocks_when_asked_for(gain, verdict):
    night = Night(gate="floor_over_single: 0.05")
    night.gain = {"value": gain + 0.02, "low": gain, "high": gain + 0.04, "single": "alone-image"}
    assert night.judge()[0]["verdict"] == verdict


def test_the_verdict_is_the_same_bytes_when_asked_twice():
    night = Night(champion=0.9, anchor=0.88)
    night.judge()
    first = Path("data/6_reports/verdict.json").read_bytes()
    night.judge()
    assert Path("data/6_reports/verdict.json").read_bytes() == first


def test_who_alone_is_right_is_told_of_independent_samples_and_of_no_others():
    night = Night(mine=0.9, champion=0.87, anchor=0.87)
    night.mine[:3] = night.mine[:3, ::-1]  # now and then the champion is right instead
    assert "McNemar" not in night.judge()[1]["champion"]["reason"]  # two samples to a group
    night.groups = night.ids
    reason = night.judge()[1]["champion"]["reason"]
    mine, theirs = (answer.argmax(1) == night.truth for answer in (night.mine, night.reigning["champion"]))
    ours, others = int((mine & ~theirs).sum()), int((theirs & ~mine).sum())
    assert min(ours, others) > 0
    p = binomtest(ours, ours + others).pvalue
    assert f"it alone is right {ours} times, champion alone {others} (McNemar: p = {p:.3f})" in reason
    night.gate = "margin: 0.02, metric: macro_f1"
    assert "McNemar" not in night.judge()[1]["champion"]["reason"]
    night.gate, night.mine = "margin: 0.02", night.reigning["champion"]
    assert "right 0 times, champion alone 0 (McNemar: p = 1.000)" in night.judge()[1]["champion"]["reason"]
