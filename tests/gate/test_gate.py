"""The verdict: floors on the first night, the paired bound afterwards, and no promotion on evidence that is not whole."""

import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.errors import ContractBroken, NoData
from tasks.files import read_json, write_json
from tasks.gate.__main__ import gate
from tasks.gate.evidence import Evidence
from tasks.gate.reigning import Pair
from tasks.gate.rows import ROWS
from tasks.measures import Interval
from tasks.params import load
from tasks.tables import write_parquet

CLASSES = ["cat", "dog"]
FIRST = {"champion": {"number": 0, "version": None, "batches": []}, "anchor": {"version": None, "batches": []}}
LATER = {
    "champion": {"number": 3, "version": "v1.1.0", "batches": ["n1", "n2"]},
    "anchor": {"version": "v1.0.0", "batches": ["n1"]},
}
PARAMS = """
modalities: {{image: {{kind: image}}}}
targets: {{label: {{type: classification}}}}
evaluate: {{bootstrap: 500}}
gate: {{{gate}}}
{more}
"""


def one_hot(labels):
    return np.eye(len(CLASSES))[np.asarray(labels)]


def table(ids, probabilities, **more):
    return pa.table({"sample_id": ids, **more, **{f"label__{i}": column for i, column in enumerate(probabilities.T)}})


def pair(one, other, cka, p=0.002):
    return {"pair": [one, other], "samples": 80, "cka": cka, "chance": 0.05, "p": p, "errors": 0.3, "errors_p": 0.004}


def interaction(alone=0.3, joint=0.4, late=0.0, objective="supervised", end_to_end=()):
    """What evaluate tells of leads over the prior and over late averaging, each with an interval of ± 0.05."""
    leads = {"over_late": late, "alone-image": alone, "mean": joint}
    leads = {name: {"value": lead, "low": lead - 0.05, "high": lead + 0.05} for name, lead in leads.items()}
    told = {"objective": objective, "end_to_end": list(end_to_end)}
    return {"joint": "mean", "over_late": leads.pop("over_late"), "over_prior": leads, **told}


def shares(**over_nothing):
    """What evaluate tells of each modality: what remains without it, over nothing, with an interval of ± 0.05."""
    of = {m: {"value": v, "low": v - 0.05, "high": v + 0.05} for m, v in over_nothing.items()}
    rows = {
        m: {"share": of[m], "lost": {"value": 0.4 - of[m]["value"], "low": 0.0, "high": 0.4}, "over_nothing": of[m]} for m in of
    }
    return {"nothing": 0.5, "whole": 0.9, "samples": 400, "modalities": rows}


def damaged(audio=0.1, image=0.2, half=0.05, **more):
    """What robustness tells: of each modality one corruption, over its absence by so much at level 0.5, with an interval."""
    over = {
        m: {"value": v, "low": v - half, "high": v + half} for m, v in {"audio": audio, "image": image}.items() if v is not None
    }
    area = {"value": 0.7, "low": 0.6, "high": 0.8}
    told = {
        m: {
            "gone": 0.6,
            "corruptions": {
                "noise": {
                    "scores": [0.9, 0.6 + over[m]["value"], 0.4],
                    "relative": {**area, "value": 0.7 + over[m]["value"] / 2},
                    "effective": area,
                    "over_gone": over[m],
                }
            },
        }
        for m in over
    }
    sizes = {"whole": 0.9, "moderate": 0.5, "levels": [0.0, 0.5, 1.0], "samples": 100, "groups": 50}
    return {"target": "label", "metric": "accuracy", "selected": "mean", **sizes, "modalities": told, **more}


class Night:
    """A test set of `n` samples, two to a group, with the share that candidate and reigning models get right."""

    def __init__(self, n=400, mine=0.9, champion=None, anchor=None, gate="margin: 0.02", registry=None):
        rng = np.random.default_rng(7)
        self.ids = [f"s{i:04d}" for i in range(n)]
        self.groups = [f"g{i // 2:04d}" for i in range(n)]
        self.batches = ["n1"] * n
        self.truth = rng.integers(0, 2, n)
        luck = rng.random(n)  # shared: the models agree on what is hard
        self.mine = one_hot(np.where(luck < mine, self.truth, 1 - self.truth))
        self.reigning = {
            who: one_hot(np.where(luck < share, self.truth, 1 - self.truth))
            for who, share in {"champion": champion, "anchor": anchor}.items()
            if share is not None
        }
        self.registry = registry or (LATER if champion is not None else FIRST)
        self.gate, self.gain = gate, {"value": 0.2, "low": 0.1, "high": 0.3, "single": "alone-image"}
        self.alike, self.interaction = [pair("audio", "image", 0.1)], interaction()
        self.shares, self.promotion = shares(audio=0.3, image=0.2), "auto"
        self.columns, self.more, self.damaged = {}, "", damaged()

    def judge(self):
        reports = Path("data/6_reports")
        Path("params.yaml").write_text(PARAMS.format(gate=self.gate, more=self.more) + f"promotion: {self.promotion}\n")
        write_json(Path("data/1_raw.json"), {"batches": []})
        write_json(Path("data/registry.json"), self.registry)
        write_json(Path("data/5_models/bundle/bundle.json"), {})
        write_json(
            Path("data/3_manifest/manifest.json"), {"targets": {"label": {"type": "classification", "classes": CLASSES}}}
        )
        rows = {"sample_id": [*self.ids, "t0", "t1", "t2"], "split": ["test"] * len(self.ids) + ["train"] * 3}
        rows |= {"batch": [*self.batches, "n1", "n1", "n1"], **self.columns}
        write_parquet(Path("data/3_manifest/samples.parquet"), pa.table({**rows, "label": [*self.truth, 1, 1, 0]}))
        complete = {"samples": 300, "groups": 150, "gain_over_best_single": self.gain}
        metric = load().gate.metric
        scores = {"target": "label", "metric": metric, "selected": "mean", "samples": len(self.ids), "complete": complete}
        scores |= {"alike": self.alike, "interaction": self.interaction, "shares": self.shares}
        write_json(reports / "evaluate/scores.json", scores)
        write_json(reports / "robustness/robustness.json", {"metric": metric, **self.damaged})
        predictions = table(self.ids, self.mine, group=self.groups, label=self.truth)
        write_parquet(reports / "evaluate/predictions.parquet", predictions)
        tables = [table(self.ids, found, who=[who] * len(found)) for who, found in self.reigning.items()]
        empty = table(self.ids[:1], self.mine[:1], who=["champion"]).slice(0, 0)
        write_parquet(reports / "champion.parquet", pa.concat_tables([empty, *tables]))
        gate()
        verdict = read_json(reports / "verdict.json")
        return verdict, {row["name"]: row for row in verdict["rows"]}


@pytest.fixture(autouse=True)
def workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


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


class Later(Night):
    """A test set of which 1,600 samples, the batch n3, landed after the champion's promotion, and 400 before."""

    def __init__(self, mine, champion, newer=1600):
        """Take the shares that candidate and champion get right of older and of newer samples."""
        super().__init__(n=400 + newer, champion=0.0, anchor=0.0)
        self.batches = ["n1"] * 400 + ["n3"] * newer
        luck = np.random.default_rng(5).random(len(self.ids))
        self.mine = self.right(luck, *mine)
        self.reigning = {"champion": self.right(luck, *champion), "anchor": self.right(luck, *champion)}

    def right(self, luck, older, newer):
        share = np.where(np.array(self.batches) == "n3", newer, older)
        return one_hot(np.where(luck < share, self.truth, 1 - self.truth))


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


def test_a_champion_that_is_worth_less_since_its_promotion_is_warned_of():
    found, rows = Later(mine=(0.9, 0.8), champion=(0.9, 0.8)).judge()
    assert (found["verdict"], rows["decay"]["verdict"], rows["decay"]["blocking"]) == ("promote", "fail", False)
    assert re.search(r"v1\.1\.0 scores 0\.\d+ on 1600 samples .*, 0\.9\d+ on 400 samples", rows["decay"]["reason"])
    _, rows = Later(mine=(0.9, 0.9), champion=(0.9, 0.9)).judge()
    assert rows["decay"]["verdict"] == "pass"


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
    for name in ("6_reports/evaluate/predictions.parquet", "3_manifest/samples.parquet"):
        path = Path("data", name)
        table = pq.read_table(path)
        others = table.slice(table.num_rows - 3) if "split" in table.column_names else table.slice(0, 0)
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
    monkeypatch.setitem(globals(), "write_json", _write_any)
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


def test_warnings_do_not_stop_a_promotion():
    night = Night(n=40, mine=1.0)
    night.gain = {"value": 0.01, "low": -0.02, "high": 0.04, "single": "alone-image"}
    found, rows = night.judge()
    assert found["verdict"] == "promote"
    assert (rows["dominance"]["verdict"], rows["samples"]["verdict"]) == ("fail", "fail")
    assert not rows["dominance"]["blocking"]


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


@pytest.mark.parametrize(
    ("pairs", "verdict", "says"),
    [
        ([pair("a", "b", 0.1), pair("a", "c", 0.8)], "fail", "a and c: debiased CKA 0.80 .* errors correlate by .0.30"),
        ([pair("a", "b", 0.1), pair("a", "c", 0.3)], "pass", "a and c: debiased CKA 0.30"),
        ([pair("a", "b", 0.8, p=0.2)], "pass", "chance reaches 0.05"),
        ([], "not applicable", "no two modalities"),
    ],
)
def test_encoders_that_show_the_same_are_warned_of(pairs, verdict, says):
    night = Night()
    night.alike = pairs
    found, rows = night.judge()
    assert (rows["homogenisation"]["verdict"], found["verdict"]) == (verdict, "promote")
    assert re.search(says, rows["homogenisation"]["reason"])


@pytest.mark.parametrize(
    ("told", "verdict", "says"),
    [
        (interaction(), "pass", "no interaction is seen"),
        (interaction(late=0.2), "pass", "they interact"),
        (
            interaction(alone=0.01, joint=0.3, late=0.3),
            "pass",
            "no modality carries it alone; .*try train.finetune: .gated., .*or pretrain.objective: masked",
        ),
        (
            interaction(alone=0.01, joint=0.02),
            "fail",
            "nor mean is surely better than chance; .*try train.finetune: .gated., .*or pretrain.objective: masked",
        ),
        (interaction(alone=0.01, joint=0.02, objective="masked"), "fail", "fitted .*without labels, already"),
        (interaction(alone=0.01, joint=0.02, end_to_end=["finetune-mean"]), "fail", "fitted together with the head, .*already"),
        (interaction(alone=0.01, joint=0.3, late=0.3, end_to_end=["finetune-mean"]), "pass", "no modality carries it alone$"),
        (None, "not applicable", "no fusion, or too few complete cases"),
    ],
)
def test_a_label_that_no_modality_carries_is_told_of(told, verdict, says):
    night = Night()
    night.interaction = told
    found, rows = night.judge()
    assert (rows["interaction"]["verdict"], found["verdict"]) == (verdict, "promote")
    assert re.search(says, rows["interaction"]["reason"])


@pytest.mark.parametrize(
    ("found", "verdict", "reason"),
    [
        (shares(audio=0.3, image=0.2), "pass", r"without image 0\.700 of 0\.900 remains"),
        (shares(audio=0.04, image=0.2), "fail", "when audio fails the answers are worth no more than a constant one"),
        (shares(image=0.2), "not applicable", "one modality"),
        (None, "not applicable", "more modalities"),
    ],
)
def test_a_model_that_hangs_on_one_sensor_is_warned_of(found, verdict, reason):
    night = Night()
    night.shares = found
    decided, rows = night.judge()
    assert (decided["verdict"], rows["missing"]["verdict"], rows["missing"]["blocking"]) == ("promote", verdict, False)
    assert re.search(reason, rows["missing"]["reason"])


@pytest.mark.parametrize(
    ("found", "verdict", "reason"),
    [
        (
            damaged(),
            "pass",
            r"least robust to noise of audio: accuracy 0\.750 .*level 0\.5 noise of audio leaves 0\.700, none .* 0\.600$",
        ),
        (damaged(audio=-0.04), "pass", r"noise of audio leaves 0\.560, none of it 0\.600$"),  # not surely
        (
            damaged(audio=-0.2),
            "fail",
            r"leaves 0\.400, none of it 0\.600, which is surely less: the answers trust a broken sensor",
        ),
        (damaged(audio=-0.1, image=-0.3), "fail", "noise of image leaves .* surely less, so is noise of audio: the answers"),
        (damaged(audio=None), "not applicable", "least robust to noise of image: .*there is one modality"),
        (damaged(samples=0, modalities={}), "not applicable", "robustness.samples is 0"),
        (damaged(samples=9, groups=1, modalities={}), "not applicable", "9 samples in 1 groups"),
        (damaged(selected="concat"), "fail", r"robustness.json is of .*'concat'\], scores.json of .*'mean'\]"),
    ],
)
def test_a_model_that_trusts_a_broken_sensor_is_warned_of(found, verdict, reason):
    night = Night()
    night.damaged = found
    decided, rows = night.judge()
    assert (decided["verdict"], rows["noisy"]["verdict"], rows["noisy"]["blocking"]) == ("promote", verdict, False)
    assert re.search(reason, rows["noisy"]["reason"])
    if verdict == "fail" and rows["noisy"]["measured"] is not None:
        assert rows["noisy"]["high"] < rows["noisy"]["needed"] == 0.0
