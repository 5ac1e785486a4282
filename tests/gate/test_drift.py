"""The row `drift`: a batch that is like the reference is let be, one that surely is not is told of by its column."""

import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp, kstwobign

from tasks.gate.rows.drift import judge, reach
from tasks.params import Gate, Validate
from tasks.validate.drift import drift, independent
from tests.gate.nights import LATER, Night

COLUMNS = [("audio", "rms"), ("audio", "peak"), ("image", "brightness"), ("image", "contrast")]


def night(seed, change=None, groups=(100, 40), each=4):
    """A reference and two batches whose values are alike within groups, `change` made to the last of them."""
    rng = np.random.default_rng(seed)
    batch = np.repeat(["n1", "n2", "n3"], [groups[0] * each, groups[1] * each, groups[1] * each])
    group = np.arange(len(batch)) // each
    landed = pd.DataFrame(
        {"batch": batch, "group": [f"g{i}" for i in group], "sample_id": [f"s{i}" for i in range(len(batch))]}
    )
    profiles = {m: pd.DataFrame({"batch": batch, "ok": True}) for m in ("audio", "image")}
    for m, column in COLUMNS:
        values = rng.normal(size=group.max() + 1)[group]  # all of a group alike
        values = np.abs(values) if m == "audio" else values
        touched = (change or {}).get((m, column), lambda each: each)
        profiles[m][column] = np.where(batch == "n3", touched(values), values)
    return SimpleNamespace(landed=landed, profiles=profiles, reference={"n1"}, new=["n2", "n3"])


def judged(found, **knobs):
    return judge(SimpleNamespace(drift=found.to_dict("records"), gate=Gate(), validate=Validate(**knobs)))


def test_good_nights_are_let_be():
    nights = [drift(night(seed)) for seed in range(100)]
    assert sum(judged(found).verdict == "fail" for found in nights) == 0
    assert sum(judged(found, drift_warning=0.0).verdict == "fail" for found in nights) <= 5


def test_a_distance_of_just_what_is_allowed_is_rarely_told_of():
    shift = {("image", "brightness"): lambda values: values + 0.7706}  # 2 Phi(0.7706 / 2) - 1 = 0.3, the default
    assert sum(judged(drift(night(seed, shift))).verdict == "fail" for seed in range(100)) <= 5


def test_a_dead_microphone_and_a_camera_that_drifted_are_both_named():
    silent, dim = np.zeros_like, lambda values: values - 5
    row = judged(drift(night(0, {("audio", "rms"): silent, ("audio", "peak"): silent, ("image", "brightness"): dim})))
    assert (row.verdict, row.blocking, row.measured) == ("fail", False, 1.0)
    assert row.low > row.needed == 0.3
    assert re.search(
        r"^brightness of image in n3 lies 1\.000 from the reference, its median went from 0\.\d+ to -4\.\d+; .* surely more"
        r" than 0\.3; so does peak of audio in n3 \(1\.000\); so does rms of audio in n3 \(1\.000\): look at the source",
        row.reason,
    )
    assert "n2" not in row.reason


def test_half_a_night_of_silence_in_few_groups_is_not_sure():
    silent = {("audio", "rms"): np.zeros_like}
    assert judged(drift(night(0, silent, groups=(100, 6)))).verdict == "pass"
    assert judged(drift(night(0, silent, groups=(100, 12)))).verdict == "fail"


def test_distances_and_medians_are_those_of_the_values():
    found = drift(night(3, {("audio", "rms"): lambda values: values * 2})).set_index(["batch", "modality", "column"])
    profile = night(3, {("audio", "rms"): lambda values: values * 2}).profiles["audio"]
    here, there = (profile["rms"][profile["batch"] == name] for name in ("n3", "n1"))
    row = found.loc[("n3", "audio", "rms")]
    assert row["distance"] == pytest.approx(ks_2samp(here, there).statistic, abs=1e-12)
    assert row["median"] == [np.median(there), np.median(here)]
    assert (row["samples"], row["independent"]) == ([400, 160], [100.0, 40.0])


def test_a_group_that_is_most_of_a_batch_counts_for_little_more_than_one():
    assert independent(np.arange(7)) == 7
    assert independent(np.array([0] * 1000 + list(range(1, 51)))) == pytest.approx(1050**2 / (1000**2 + 50))


@pytest.mark.parametrize("error", [0.05, 0.01, 0.0001])
@pytest.mark.parametrize("sizes", [(40, 100), (1000, 1000)])
def test_what_chance_reaches_is_kolmogorovs(sizes, error):
    known = kstwobign.isf(error) * np.sqrt(1 / sizes[0] + 1 / sizes[1])
    assert reach(sizes, error) == pytest.approx(known, rel=1e-3)
    assert reach(sizes, error) >= known


def test_only_what_landed_since_the_promotion_is_looked_at():
    far = {"modality": "audio", "column": "rms", "distance": 0.9, "median": [0.2, 0.0], "samples": [400, 400]}
    found = Night(champion=0.9, anchor=0.9, registry=LATER)
    found.drift = [{**far, "batch": "n2", "independent": [200.0, 200.0]}]
    assert found.judge()[1]["drift"]["verdict"] == "not applicable"
    found.drift += [{**far, "batch": "n3", "independent": [200.0, 200.0]}]
    verdict, rows = found.judge()
    assert (verdict["verdict"], rows["drift"]["verdict"]) == ("promote", "fail")
    assert rows["drift"]["reason"].startswith(
        "rms of audio in n3 lies 0.900 from the reference, its median went from 0.2 to 0;"
    )
