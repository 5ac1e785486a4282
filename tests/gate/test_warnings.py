"""Rows that warn: what each tells a person, and that none of them stops a promotion."""

import re

import pytest

from tests.gate.nights import Later, Night, damaged, interaction, pair, shares


def test_a_champion_that_is_worth_less_since_its_promotion_is_warned_of():
    found, rows = Later(mine=(0.9, 0.8), champion=(0.9, 0.8)).judge()
    assert (found["verdict"], rows["decay"]["verdict"], rows["decay"]["blocking"]) == ("promote", "fail", False)
    assert re.search(r"v1\.1\.0 scores 0\.\d+ on 1600 samples .*, 0\.9\d+ on 400 samples", rows["decay"]["reason"])
    _, rows = Later(mine=(0.9, 0.9), champion=(0.9, 0.9)).judge()
    assert rows["decay"]["verdict"] == "pass"


def test_warnings_do_not_stop_a_promotion():
    night = Night(n=40, mine=1.0)
    night.gain = {"value": 0.01, "low": -0.02, "high": 0.04, "single": "alone-image"}
    found, rows = night.judge()
    assert found["verdict"] == "promote"
    assert (rows["dominance"]["verdict"], rows["samples"]["verdict"]) == ("fail", "fail")
    assert not rows["dominance"]["blocking"]


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
