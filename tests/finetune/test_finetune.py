"""Encoders and head fitted together: what only that can see, where it goes from there, and the same bytes every time."""

import contextlib
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from tasks.bundle import Bundle
from tasks.champion.__main__ import champion
from tasks.errors import ContractBroken, Refused, UnknownName, WrongValue
from tasks.evaluate.__main__ import evaluate
from tasks.extract import load_encoder
from tasks.extract.__main__ import extract
from tasks.features import read_features
from tasks.files import folder_digest, read_json
from tasks.finetune.__main__ import finetune
from tasks.finetune.encoders import Encoders
from tasks.finetune.raw import prepared
from tasks.finetune.reads import reads
from tasks.params import KINDS, check, load
from tasks.paths import ANCHOR, BUNDLE, CANDIDATES, CHAMPION, CHECKPOINTS, ENCODERS, FEATURES, REPORTS
from tasks.pretrain.__main__ import pretrain
from tasks.run.graph import stages
from tasks.select.__main__ import select
from tasks.select.assemble import assemble
from tasks.tables import read_answer
from tasks.targets import Output
from tasks.train.__main__ import train
from tests.deaths import cut_off_after
from tests.extract.raw import rows, write_raw
from tests.extract.raw import write_params as write_one
from tests.finetune.night import PARAMS, SIDES, encoded, land, write_params

ROOT = Path(__file__).resolve().parent.parent.parent
PARAMS_YAML = Path("params.yaml")
OUT = CANDIDATES / "finetune-gated"
OUTPUT = Output("classification", ("other", "same"))


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """A whole night, and every sample's pictures."""
    folder = tmp_path_factory.mktemp("judged")
    with contextlib.chdir(folder):
        pictures = land(600)
        write_params()
        encoded()
        for name in ("mean", "plain"):
            train(name)
        finetune("gated")
        select()
        evaluate()
    return folder, pictures


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Features and encoders of few samples, of which some lack a picture; fitting takes no time."""
    folder = tmp_path_factory.mktemp("small")
    with contextlib.chdir(folder):
        land(90, missing=0.2)
        write_params(pretrain={"epochs": 1, "width": 8}, train={"epochs": 3, "width": 8})
        encoded()
    return folder


@pytest.fixture
def night(small, tmp_path, monkeypatch):
    shutil.copytree(small, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)


def test_end_to_end_an_interaction_is_found_that_frozen_encoders_do_not_show(judged):
    scores = read_json(judged[0] / REPORTS / "evaluate/scores.json")
    accuracy = {name: entry["accuracy"]["value"] for name, entry in scores["candidates"].items()}
    assert accuracy.pop("finetune-gated") > 0.95
    assert max(accuracy.values()) < 0.65  # 150 samples: chance is 0.5 ± 0.12
    assert (scores["selected"], scores["interaction"]["joint"]) == ("finetune-gated", "finetune-gated")
    assert scores["interaction"]["end_to_end"] == ["finetune-gated"]
    assert scores["interaction"]["over_late"]["low"] > 0.2


def test_the_bundle_has_the_encoders_that_were_fitted_and_answers_the_same_from_raw(judged, monkeypatch):
    folder, pictures = judged
    monkeypatch.chdir(folder)
    predictions = pq.read_table(REPORTS / "evaluate/predictions.parquet")
    rows = [int(sample[1:]) for sample in predictions["sample_id"].to_pylist()]
    answers = Bundle.load(BUNDLE).predict_raw({side: [pictures[side][row] for row in rows] for side in SIDES})
    np.testing.assert_array_equal(answers["label"], read_answer(predictions, "label", OUTPUT))
    for side in SIDES:
        assert folder_digest(BUNDLE / "encoders" / side) == folder_digest(OUT / "encoders" / side)
        assert folder_digest(BUNDLE / "encoders" / side) != folder_digest(ENCODERS / side)
    assert read_json(BUNDLE / "bundle.json")["candidate"] == "finetune-gated"


def test_a_later_night_judges_a_champion_that_was_fitted_end_to_end(judged, tmp_path, monkeypatch, capsys):
    shutil.copytree(judged[0], tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    shutil.copytree(BUNDLE, CHAMPION)
    ANCHOR.mkdir()
    champion()
    predictions = pq.read_table(REPORTS / "evaluate/predictions.parquet")
    found = pq.read_table(REPORTS / "champion.parquet")
    assert found["sample_id"].to_pylist() == predictions["sample_id"].to_pylist()
    np.testing.assert_allclose(read_answer(found, "label", OUTPUT), read_answer(predictions, "label", OUTPUT), atol=1e-12)
    assert f"encoded={2 * found.num_rows} " in capsys.readouterr().out


def test_twice_and_in_any_order_of_modalities_the_same_bytes(night):
    finetune("gated")
    first = folder_digest(OUT)
    write_params(pretrain={"epochs": 1, "width": 8}, train={"epochs": 3, "width": 8})
    params = json.loads(Path("params.yaml").read_text())
    params["modalities"] = dict(reversed(params["modalities"].items()))
    Path("params.yaml").write_text(json.dumps(params))
    finetune("gated")
    assert folder_digest(OUT) == first


def test_a_training_that_was_cut_off_goes_on_and_ends_in_the_same_bytes(night, capsys):
    finetune("gated")
    wanted = folder_digest(OUT)
    shutil.rmtree(OUT)
    CHECKPOINTS.mkdir(parents=True)
    with cut_off_after(2):
        finetune("gated")
    torch.manual_seed(99)
    finetune("gated")
    assert "finetune-gated: resumes at epoch 3 of 3" in capsys.readouterr().out
    assert folder_digest(OUT) == wanted


def test_test_samples_have_no_say_in_what_is_fitted(night):
    def fitted():
        finetune("gated")
        return [
            folder_digest(OUT / "encoders"),
            (OUT / "weights.safetensors").read_bytes(),
            (OUT / "scores.parquet").read_bytes(),
        ]

    before = fitted()
    path = Path("data/3_manifest/samples.parquet")
    table = pq.read_table(path)
    pq.write_table(table.filter([split != "test" for split in table["split"].to_pylist()]), path)
    assert fitted() == before


def test_an_encoder_from_elsewhere_stays_as_it_is(night):
    source = {"model": "/models/x", "revision": "0" * 64}
    params = json.loads(Path("params.yaml").read_text())
    params["modalities"]["right"]["encoder"] = source
    Path("params.yaml").write_text(json.dumps(params))
    finetune("gated")
    assert [path.name for path in (OUT / "encoders").iterdir()] == ["left"]
    assemble(OUT, read_json(OUT / "candidate.json"), load(), {}, BUNDLE)
    assert folder_digest(BUNDLE / "encoders/right") == folder_digest(ENCODERS / "right")
    assert folder_digest(BUNDLE / "encoders/left") == folder_digest(OUT / "encoders/left")
    params["modalities"]["left"]["encoder"] = source
    with pytest.raises(WrongValue, match=r"train.finetune fits encoders .* every modality's is from elsewhere"):
        check(params)


@pytest.mark.parametrize("training", [False, True])
def test_what_stands_where_a_modality_is_missing_changes_nothing(night, training):
    encoders = Encoders({"left": load_encoder(ENCODERS / "left")}).train(training)
    there = torch.tensor([True, False, True, False])
    pixels = torch.randn(4, 1, 16, 16)
    pixels[~there] = torch.nan
    mask, time = {"left": there[:, None].expand(4, 16), "right": there[:, None]}, {"left": torch.zeros(4, 16)}
    inputs = {"left/pixels": pixels, "right": torch.arange(4.0).view(4, 1, 1)}
    torch.manual_seed(3)
    found = encoders(inputs, mask, time | {"right": torch.zeros(4, 1)})
    torch.manual_seed(3)
    alone = encoders({"left/pixels": pixels[there]}, {"left": mask["left"][there]}, {"left": time["left"][there]})
    torch.testing.assert_close(found["left"][there], alone["left"])
    assert not found["left"][~there].any()
    assert found["right"] is inputs["right"]
    assert all(tensor.isfinite().all() for tensor in encoders.state_dict().values())


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_encoder_is_fitted_from_what_it_prepares(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_one(kind, epochs=1)
    write_raw(made := rows(kind, 12))
    pretrain("thing")
    extract("thing")
    encoder, chosen = load_encoder(ENCODERS / "thing"), load().modalities["thing"]
    samples = pa.table(
        {"batch": ["night-00000000"] * 12, "sample_id": [row["sample_id"] for row in made], "has_thing": [True] * 12}
    )
    features = encoder.encode([row["data"] for row in made])
    inputs, encoders = prepared(chosen, encoder, samples, 1), Encoders({"thing": encoder}).eval()
    mask, time = ({"thing": torch.from_numpy(values)} for values in (features.mask, features.time))
    found = encoders(inputs, mask, time)["thing"]
    tokens = torch.from_numpy(features.tokens)  # in another batch, whose sums some processors take in another order
    torch.testing.assert_close(found[mask["thing"]], tokens[mask["thing"]], rtol=1e-4, atol=1e-4)
    encoders.train()(inputs, mask, time)["thing"].square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in encoders.parameters())


def test_a_batch_in_which_one_sample_or_none_has_a_modality_teaches_too(night):
    encoders = Encoders({"left": load_encoder(ENCODERS / "left")}).train()
    mask, time = torch.zeros(2, 16, dtype=torch.bool), {"left": torch.zeros(2, 16)}
    assert encoders({"left/pixels": torch.randn(2, 1, 16, 16)}, {"left": mask}, time)["left"].shape == (2, 16, 8)
    mask[1] = True
    before = {name: tensor.clone() for name, tensor in encoders.named_buffers()}
    encoders({"left/pixels": torch.randn(2, 1, 16, 16)}, {"left": mask}, time)["left"].sum().backward()
    assert all(torch.equal(tensor, before[name]) for name, tensor in encoders.named_buffers())
    assert next(encoders.parameters()).grad.abs().sum() > 0


def test_features_are_those_of_the_judged_samples_by_the_fitted_encoders(night):
    finetune("gated")
    samples = pq.read_table("data/3_manifest/samples.parquet")
    splits = dict(zip(samples["sample_id"].to_pylist(), samples["split"].to_pylist(), strict=True))
    (path,) = (OUT / "features/left").iterdir()
    raw = pq.read_table("data/1_raw/left/night-00000000-000.parquet").to_pylist()
    items = [row["data"] for row in raw if splits[row["sample_id"]] in ("val", "test")]
    wanted = load_encoder(OUT / "encoders/left").encode(items).tokens
    np.testing.assert_array_equal(read_features(path).tokens, wanted)
    assert not np.allclose(wanted[0], read_features(FEATURES / "left" / path.name).tokens[0])


def test_a_worker_is_asked_for_what_the_stage_reads(night, capsys):
    capsys.readouterr()
    reads()
    wanted = json.loads(capsys.readouterr().out)
    assert wanted == [f"data/1_raw/{side}/night-00000000-000.parquet" for side in SIDES]
    params = json.loads(PARAMS_YAML.read_text())
    params["modalities"]["right"]["encoder"] = {"model": "/models/it", "revision": "0" * 64}
    PARAMS_YAML.write_text(json.dumps(params))
    reads()
    assert json.loads(capsys.readouterr().out) == wanted[:1]  # its features are read instead


def test_what_is_unknown_or_lost_is_told(night):
    with pytest.raises(UnknownName, match="unknown fusion 'tensor'; known: attention"):
        finetune("tensor")
    index = read_json(Path("data/1_raw.json"))
    del index["batches"][0]["partitions"]["left"]
    Path("data/1_raw.json").write_text(json.dumps(index))
    with pytest.raises(ContractBroken, match="data/1_raw/left has no row of"):
        finetune("gated")
    assert not OUT.exists()


def test_it_is_a_stage_only_where_a_fusion_is_named(tmp_path):
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    found = {}
    for names in ([], ["concat", "gated"]):
        (tmp_path / "params.yaml").write_text(json.dumps(PARAMS | {"train": {"finetune": names}}))
        found[len(names)] = {stage.name: stage for stage in stages(tmp_path, tmp_path / "kept")}
    assert not [name for name in found[0] if name.startswith("finetune")]
    assert set(found[2]) - set(found[0]) == {"finetune@concat", "finetune@gated"}
    for later in ("select", "evaluate"):
        assert "finetune@gated" in found[2][later].upstream
    (tmp_path / "params.yaml").write_text(json.dumps(PARAMS | {"train": {}}))
    with pytest.raises(Refused, match=r"train\.finetune.*params.yaml must hold each key .*`train: \{finetune: \[\]\}`"):
        stages(tmp_path, tmp_path / "kept")
