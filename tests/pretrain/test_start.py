"""An encoder that begins with a registered version's weights: those very ones, and what does not fit is refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from tasks.errors import ContractBroken, NoData
from tasks.files import folder_digest
from tasks.params import KINDS
from tasks.paths import ENCODERS, START
from tasks.pretrain.__main__ import pretrain
from tests.extract.raw import rows, write_params, write_raw

FOLDER = ENCODERS / "thing"
STILL = {"epochs": 1, "learning_rate": 0.0}


def fitted(kind: str, **knobs: object) -> dict:
    """Fit on the raw rows that are there; the card."""
    write_params(kind, **knobs)
    pretrain("thing")
    return json.loads((FOLDER / "encoder.json").read_text())


def register() -> None:
    """Let what was fitted be the encoder of the version to start from."""
    shutil.rmtree(START, ignore_errors=True)
    shutil.copytree(FOLDER, START / "encoders/thing")
    (START / "bundle.json").write_text("{}")


@pytest.mark.parametrize("kind", KINDS)
def test_the_weights_and_the_facts_begin_there(kind):
    write_raw(rows(kind))
    there = fitted(kind, epochs=1)
    register()
    write_raw(rows(kind, seed=1))
    here = fitted(kind, start="champion", **STILL)
    assert here["facts"] == there["facts"]
    assert here["start"] == folder_digest(START / "encoders/thing")
    weights, before = load_file(FOLDER / "weights.safetensors"), load_file(START / "encoders/thing/weights.safetensors")
    assert set(weights) == set(before)
    for name, values in weights.items():
        if "running" not in name and "num_batches" not in name:
            np.testing.assert_array_equal(values, before[name])


def test_three_epochs_from_there_reach_what_five_do_not():
    write_raw(rows("image", 120, seed=2))
    fitted("image", epochs=8)
    register()
    write_raw(rows("image", 120))
    three, five = fitted("image", epochs=3, start="v1.0.0"), fitted("image", epochs=5)
    assert three["curve"][-1] < five["curve"][-1]


def test_nothing_asked_is_as_if_there_were_no_such_thing():
    write_raw(rows("text"))
    fitted("text")
    before = folder_digest(FOLDER)
    register()
    assert "start" not in fitted("text")
    assert folder_digest(FOLDER) == before


def test_a_modality_that_the_version_does_not_have_starts_from_random_weights(capsys):
    write_raw(rows("text"))
    fitted("text")
    before = folder_digest(FOLDER)
    register()
    (START / "encoders/thing").rename(START / "encoders/other")
    fitted("text", start="champion")
    assert folder_digest(FOLDER) == before
    assert "thing: champion has no such modality" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("kind", "knobs", "message"),
    [
        ("text", {"width": 16}, r"cannot start from v2\.0\.1: pretrain\.width is 8 there and 16 here\. Let them be alike"),
        ("tabular", {}, "kind is text there and tabular here"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(kind, knobs, message):
    write_raw(rows("text"))
    fitted("text")
    register()
    write_raw(rows(kind))
    with pytest.raises(ContractBroken, match=message):
        fitted(kind, start="v2.0.1", **knobs)


def test_other_options_are_refused_by_name():
    write_raw(rows("text"))
    fitted("text")
    register()
    write_params("text", start="champion")
    body = json.loads(Path("params.yaml").read_text())
    body["modalities"]["thing"]["max_chars"] = 41
    Path("params.yaml").write_text(json.dumps(body))
    with pytest.raises(ContractBroken, match="max_chars is 40 there and 41 here"):
        pretrain("thing")


def test_a_version_whose_bundle_is_not_here_says_what_brings_it():
    write_raw(rows("text"))
    with pytest.raises(NoData, match=r"data/start holds no bundle to start from \(pretrain.start: champion\): `dvc pull"):
        fitted("text", start="champion")
