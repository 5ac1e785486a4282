"""The stage on raw inputs with a planted truth: what the model hears is what noise can take from it."""

import contextlib
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tasks.bundle import Bundle
from tasks.damage import CLEAN, kind_module, path_of
from tasks.damage.__main__ import damage
from tasks.damage.probe import read_probe
from tasks.errors import ContractBroken, NoData
from tasks.extract import load_encoder, save_encoder
from tasks.features import read_features, read_sample_ids, write_features
from tasks.files import file_digest, folder_digest, read_json
from tasks.params import load
from tasks.paths import BUNDLE, CANDIDATES, DAMAGED, MANIFEST, PROBE, RAW, REPORTS
from tasks.robustness.__main__ import probed, robustness
from tasks.robustness.answers import answers
from tasks.robustness.features import by_its_own, by_tonights
from tasks.robustness.reads import reads, with_other_encoders
from tasks.select.assemble import assemble
from tasks.tables import decided, write_parquet
from tasks.train.__main__ import train
from tasks.train.inputs import aligned, chosen
from tests.robustness.night import MODALITIES, damaged, encoded, land, write_params

OUT = REPORTS / "robustness"


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fitted")
    with contextlib.chdir(folder):
        land(320)
        write_params()
        encoded()
        damaged()
        for name in ("mean", "plain"):
            train(name)
        select("mean")
        robustness()
    return folder


@pytest.fixture(autouse=True)
def night(tmp_path, monkeypatch, fitted):
    shutil.copytree(fitted, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)


def folder_of(name):
    return CANDIDATES / (name if name == "mean" else f"plain/{name}")


def select(name):
    """Put a candidate into the bundle."""
    shutil.rmtree(BUNDLE, ignore_errors=True)
    assemble(folder_of(name), read_json(folder_of(name) / "candidate.json"), load(), {}, BUNDLE)


def judged():
    """The report, made anew."""
    shutil.rmtree(OUT, ignore_errors=True)
    robustness()
    return read_json(OUT / "robustness.json")


def test_a_model_that_listens_loses_by_what_it_hears_and_by_nothing_that_it_sees():
    found = read_json(OUT / "robustness.json")
    assert (found["selected"], found["target"], found["metric"]) == ("mean", "label", "accuracy")
    assert (found["samples"], found["levels"], found["moderate"]) == (40, [0.0, 0.5, 1.0], 0.5)
    audio, image = (found["modalities"][m] for m in MODALITIES)
    assert found["whole"] > 0.9
    assert set(audio["corruptions"]) == {"noise", "clipping", "dropouts", "muffled"}
    assert set(image["corruptions"]) == {"noise", "blur", "occlusion", "brightness", "jpeg"}
    noise = audio["corruptions"]["noise"]
    assert noise["scores"][0] == found["whole"]
    assert noise["scores"][2] < 0.75
    assert noise["lost"][1]["low"] > 0
    assert audio["lost"]["low"] > 0.2
    for told in image["corruptions"].values():
        assert min(told["scores"]) > found["whole"] - 0.05
        assert all(lost["low"] <= 0.02 for lost in told["lost"])
        assert told["relative"]["value"] > noise["relative"]["value"]
    for told in (*audio["corruptions"].values(), *image["corruptions"].values()):
        assert told["relative"]["value"] == pytest.approx(np.trapezoid(told["scores"], found["levels"]), abs=1e-12)
        f, late = np.array(told["scores"]), np.array(told["late"])
        between = np.trapezoid(f - late - (f[0] - late[0]), found["levels"])
        assert told["effective"]["value"] == pytest.approx(between, abs=1e-12)
        assert told["effective"]["low"] <= told["effective"]["value"] <= told["effective"]["high"]
    assert noise["over_gone"]["value"] == pytest.approx(noise["scores"][1] - audio["gone"])


def test_undamaged_inputs_are_answered_as_the_test_set_is():
    params = load()
    samples = probed("label")
    assert samples["sample_id"].to_pylist() == sorted(samples["sample_id"].to_pylist())
    assert samples.num_rows == 40
    bundle = Bundle.load(BUNDLE)
    features = {m: by_tonights(m, m, samples, params.robustness.levels) for m in MODALITIES}
    told = answers(bundle, features, samples, "label")
    raw = {m: raw_of(m, samples["sample_id"].to_pylist()) for m in MODALITIES}
    np.testing.assert_array_equal(told.clean, bundle.predict_raw(raw)["label"])
    for m, gone in told.gone.items():
        wanted = bundle.predict_raw({**raw, m: [None] * len(samples)})["label"]
        np.testing.assert_array_equal(gone, wanted)
    without = np.flatnonzero(~samples["has_image"].to_numpy())
    assert len(without)
    for how in features["image"]:
        assert not features["image"][how].mask[without].any()
    found = read_json(OUT / "robustness.json")
    hits = decided(told.clean, bundle.targets["label"]) == samples["label"].to_numpy()
    assert found["whole"] == pytest.approx(hits.mean())


def raw_of(modality, ids):
    rows = {}
    for path in (RAW / modality).glob("*.parquet"):
        table = pq.read_table(path)
        rows |= dict(zip(table["sample_id"].to_pylist(), table["data"].to_pylist(), strict=True))
    return [rows.get(sample) for sample in ids]


def test_the_same_bytes_twice():
    first = folder_digest(OUT)
    judged()
    assert folder_digest(OUT) == first
    assert (OUT / "robustness.png").stat().st_size > 10_000


@pytest.mark.parametrize(("name", "modalities"), [("late", MODALITIES), ("alone-audio", ("audio",))])
def test_late_fusion_has_no_baseline_nor_has_a_single_modality(name, modalities):
    select(name)
    found = judged()
    assert (found["selected"], tuple(found["modalities"])) == (name, modalities)
    told = found["modalities"]["audio"]["corruptions"]["noise"]
    assert (told["late"], told["effective"]) == (None, None)
    assert told["scores"][2] < told["scores"][0]


def fitted_end_to_end(scale=1.0):
    """Give the bundle an audio encoder of its own: the same in other bytes, its weights scaled."""
    folder = BUNDLE / "encoders/audio"
    encoder = load_encoder(folder)
    for weights in encoder.network.parameters():
        weights.data.mul_(scale)
    save_encoder(folder, encoder.card, encoder.network)
    path = folder / "encoder.json"
    path.write_text(json.dumps(read_json(path)))
    assert with_other_encoders(MODALITIES) == ["audio"]


def test_an_encoder_of_the_bundles_own_is_asked_itself(capsys):
    before = read_json(OUT / "robustness.json")
    fitted_end_to_end()
    assert judged() == before
    params, samples = load(), probed("label")
    own, encoded = by_its_own("audio", samples, params)
    assert f"encoded={encoded}" in capsys.readouterr().out
    assert encoded == 40 * (1 + 2 * len(kind_module("audio").CORRUPTIONS))
    theirs = by_tonights("audio", "audio", samples, params.robustness.levels)
    assert set(own) == set(theirs)
    for way, body in own.items():
        np.testing.assert_array_equal(body.tokens[body.mask], theirs[way].tokens[body.mask])


def test_late_fusion_hears_by_tonights_encoder_whatever_the_bundle_has():
    before = read_json(OUT / "robustness.json")
    fitted_end_to_end(scale=-1.0)
    after = judged()
    assert after["whole"] < before["whole"] - 0.2
    found, known = (of["modalities"]["audio"]["corruptions"] for of in (after, before))
    assert found.keys() == known.keys()
    for name, told in found.items():
        assert told["late"] == known[name]["late"]
        assert told["scores"] != known[name]["scores"]


def test_damage_that_changes_nothing_is_left_out():
    for level in load().robustness.levels:
        shutil.copyfile(path_of("audio", CLEAN), path_of("audio", ("noise", level)))
    assert set(judged()["modalities"]["audio"]["corruptions"]) == {"clipping", "dropouts", "muffled"}


def test_damage_that_was_not_done_is_told():
    path_of("audio", ("noise", 1.0)).unlink()
    with pytest.raises(NoData, match=r"noise-1\.0\.safetensors is not here"):
        robustness()


def test_where_no_sample_can_be_damaged_the_report_says_so(capsys):
    write_params(robustness={"samples": 0})
    shutil.rmtree(RAW)
    assert (judged()["samples"], judged()["modalities"]) == (0, {})
    assert "encoded=0" in capsys.readouterr().out
    assert [path.name for path in OUT.iterdir()] == ["robustness.json"]


def test_one_group_says_nothing():
    table = pq.read_table(MANIFEST / "samples.parquet")
    place = table.column_names.index("group")
    write_parquet(MANIFEST / "samples.parquet", table.set_column(place, "group", [["g"] * table.num_rows]))
    found = judged()
    assert (found["samples"], found["groups"], found["modalities"]) == (40, 1, {})


def told(capsys):
    capsys.readouterr()
    reads()
    return json.loads(capsys.readouterr().out)


def test_with_tonights_encoders_no_raw_partition_is_asked_for_nor_read(capsys):
    before = read_json(OUT / "robustness.json")
    assert told(capsys) == []
    shutil.rmtree(RAW)
    assert judged() == before


def test_what_is_asked_for_is_what_is_read(capsys):
    fitted_end_to_end()
    wanted = told(capsys)
    assert {Path(path).parent.name for path in wanted} == {"audio"}
    for path in RAW.rglob("*.parquet"):
        if str(path) not in wanted:
            path.unlink()
    robustness()
    Path(wanted[0]).unlink()
    with pytest.raises(NoData, match="is not here"):
        robustness()
    write_params(robustness={"samples": 0})
    assert told(capsys) == []


def test_a_sample_of_which_nothing_was_damaged_is_told():
    for path in (DAMAGED / "audio").iterdir():
        name = read_sample_ids(path)[0]
        features = read_features(path)
        write_features(path, chosen(features, np.arange(1, len(features.mask))), "", read_sample_ids(path)[1:])
    with pytest.raises(
        ContractBroken, match=f"nothing of audio was damaged of 1 samples of the probe, e.g. '{name}': `dvc repro -f probe`"
    ):
        robustness()


def test_an_unread_sample_is_missing_and_breaks_nothing():
    found = read_json(OUT / "robustness.json")
    path = RAW / read_probe().partitions["audio"][0][1].path
    table = pq.read_table(path)
    before = file_digest(path, "md5")
    write_parquet(path, table.set_column(2, "data", [[b"junk"] * table.num_rows]))
    PROBE.write_text(PROBE.read_text().replace(before, file_digest(path, "md5")))
    damage("audio")
    after = judged()
    assert after["whole"] < found["whole"]
    assert np.isfinite(
        [score for told in after["modalities"]["audio"]["corruptions"].values() for score in told["scores"]]
    ).all()


def test_undamaged_features_are_those_that_extract_made():
    samples = probed("label")
    found = by_tonights("audio", "audio", samples, (1.0,))
    kept = aligned("audio", samples)
    np.testing.assert_array_equal(found[CLEAN].mask, kept.mask)
    np.testing.assert_array_equal(found[CLEAN].tokens[kept.mask], kept.tokens[kept.mask])
