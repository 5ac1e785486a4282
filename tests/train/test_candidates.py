"""The train stage on a planted night: determinism, what is learned, what is written, what is refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from safetensors.numpy import load_file
from sklearn.linear_model import LogisticRegression

from tasks.errors import ContractBroken, NoData, UnknownName
from tasks.features import Features, read_features, read_sample_ids, write_features
from tasks.files import folder_digest, read_json, write_json
from tasks.paths import CANDIDATES, FEATURES, MANIFEST
from tasks.tables import write_parquet
from tasks.train.__main__ import train
from tasks.train.candidates import load_candidate
from tasks.train.inputs import aligned, chosen, read_inputs, read_samples_of
from tasks.train.late import SURE
from tasks.train.logistic import NEVER
from tests.planted import plant

MODALITIES = ("audio", "image", "text")


@pytest.fixture(autouse=True)
def workspace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plant()


def accuracy(folder, split="test"):
    inputs = read_inputs(MODALITIES, split)
    return (load_candidate(folder).predict(inputs.features)["label"].argmax(1) == inputs.labels("label")).mean()


def test_fusing_beats_each_modality_alone():
    train("mean")
    train("plain")
    alone = max(accuracy(CANDIDATES / "plain" / f"alone-{m}") for m in MODALITIES)
    for folder in (CANDIDATES / "mean", CANDIDATES / "plain/late", CANDIDATES / "plain/logistic"):
        assert accuracy(folder) > alone + 0.05


def test_a_fit_is_the_same_bytes_twice_and_in_any_order_of_modalities():
    train("attention")
    first = folder_digest(CANDIDATES / "attention")
    plant(modalities=("text", "image", "audio"))
    train("attention")
    assert folder_digest(CANDIDATES / "attention") == first


def test_only_train_and_val_are_seen():
    train("mean")
    first = folder_digest(CANDIDATES / "mean")
    table = pq.read_table(MANIFEST / "samples.parquet")
    write_parquet(MANIFEST / "samples.parquet", table.filter([split != "test" for split in table["split"].to_pylist()]))
    train("mean")
    assert folder_digest(CANDIDATES / "mean") == first


def test_scores_are_the_validation_probabilities():
    train("concat")
    scores = pq.read_table(CANDIDATES / "concat/scores.parquet")
    val = read_inputs(MODALITIES, "val")
    found = load_candidate(CANDIDATES / "concat").predict(val.features)["label"]
    assert scores["sample_id"].to_pylist() == val.samples["sample_id"].to_pylist()
    np.testing.assert_array_equal(np.stack([scores[f"label__{i}"] for i in range(4)], 1), found)
    np.testing.assert_allclose(found.sum(1), 1)


def test_the_card_says_what_was_fitted():
    train("product")
    card = read_json(CANDIDATES / "product/candidate.json")
    weights = load_file(CANDIDATES / "product/weights.safetensors")
    trained = sum(a.size for name, a in weights.items() if not name.endswith((".mean", ".scale")))
    assert (card["name"], card["kind"], card["parameters"]) == ("product", "fusion", trained)
    assert card["widths"] == dict.fromkeys(MODALITIES, 12)
    assert card["targets"] == {"label": {"type": "classification", "classes": ["cat", "dog", "elk", "fox"]}}
    best = min(row["val_loss"] for row in card["curve"])
    assert card["curve"][-1]["epoch"] == 15 or best < card["curve"][-1]["val_loss"]


def test_the_statistics_are_those_of_the_train_split():
    train("mean")
    weights = load_file(CANDIDATES / "mean/weights.safetensors")
    features = read_inputs(MODALITIES, "train").features["audio"]
    there = features.tokens[features.mask]
    np.testing.assert_allclose(weights["adapters.of_audio.mean"], there.mean(0), atol=1e-5)
    np.testing.assert_allclose(weights["adapters.of_audio.scale"], there.std(0), rtol=1e-5)


def test_a_modality_may_be_left_out_at_prediction():
    train("plain")
    features = read_inputs(MODALITIES, "test").features
    late = load_candidate(CANDIDATES / "plain/late")
    image = load_candidate(CANDIDATES / "plain/alone-image")
    has = features["image"].mask.any(1)
    only = late.predict({"image": features["image"]})["label"]
    np.testing.assert_allclose(only[has], image.predict(features)["label"][has], atol=1e-3)
    seen = read_inputs(MODALITIES, "train")
    prior = np.bincount(seen.labels("label")[seen.features["image"].mask.any(1)], minlength=4)
    np.testing.assert_allclose(image.predict(features)["label"][~has], np.tile(prior / prior.sum(), ((~has).sum(), 1)))


def test_late_is_the_product_of_those_present_relative_to_the_prior():
    train("plain")
    prior = {m: read_json(CANDIDATES / f"plain/alone-{m}/candidate.json")["settings"]["prior"]["label"] for m in MODALITIES}
    features = read_inputs(MODALITIES, "test").features
    alone = {m: load_candidate(CANDIDATES / f"plain/alone-{m}").predict(features)["label"] for m in MODALITIES}
    late = load_candidate(CANDIDATES / "plain/late").predict(features)["label"]
    for row in range(len(late)):
        present = [m for m in MODALITIES if features[m].mask[row].any()]
        shared = np.exp(np.mean([np.log(prior[m]) for m in present], axis=0))
        product = shared * np.prod([np.maximum(alone[m][row], SURE) / prior[m] for m in present], axis=0)
        np.testing.assert_allclose(late[row], product / product.sum())


def test_logistic_regression_is_sklearns_on_complete_cases():
    plant(missing=0.0)
    train("plain")
    card = read_json(CANDIDATES / "plain/logistic/candidate.json")
    fitted, test = read_inputs(MODALITIES, "train"), read_inputs(MODALITIES, "test")
    pooled = [np.concatenate([x.features[m].tokens.mean(1) for m in MODALITIES], 1) for x in (fitted, test)]
    mean, scale = pooled[0].mean(0), pooled[0].std(0)
    oracle = LogisticRegression(C=card["settings"]["strength"]["label"], max_iter=5000, tol=1e-6)
    oracle.fit((pooled[0] - mean) / scale, fitted.labels("label"))
    found = load_candidate(CANDIDATES / "plain/logistic").predict(test.features)["label"]
    np.testing.assert_allclose(found, oracle.predict_proba((pooled[1] - mean) / scale), atol=2e-3)


def test_a_class_without_train_samples_is_never_predicted_by_logistic_regression():
    plant(classes=("cat", "dog"))
    write_json(MANIFEST / "manifest.json", {"targets": {"label": {"type": "classification", "classes": ["cat", "dog", "elk"]}}})
    train("plain")
    probabilities = load_candidate(CANDIDATES / "plain/logistic").predict(read_inputs(MODALITIES, "test").features)["label"]
    assert (probabilities[:, 2] == 0).all()
    assert np.isfinite(probabilities).all()
    assert NEVER < 0


def test_partitions_of_other_lengths_are_padded():
    samples = read_samples_of(["test"])
    before = aligned("audio", samples)
    path = FEATURES / "audio/2026-11-01-aaaaaaaa-000.safetensors"
    whole = read_features(path)
    short = Features(*(array[:, :2] for array in (whole.tokens, whole.mask, whole.time)))
    write_features(path, short, "", read_sample_ids(path))
    after = aligned("audio", samples)
    first = np.array([key.endswith("a") for key in samples["batch"].to_pylist()])
    assert not after.mask[first, 2].any()
    np.testing.assert_array_equal(after.tokens[:, :2], before.tokens[:, :2])


def test_an_id_that_landed_in_two_batches_gets_its_own_batchs_features():
    samples = read_samples_of(["test"])
    before = aligned("audio", samples)
    first, second = sorted((FEATURES / "audio").iterdir())
    other = chosen(read_features(first), np.zeros(5, np.int64))
    write_features(second.with_name("2026-11-02-bbbbbbbb-001.safetensors"), other, "", read_sample_ids(first)[:5])
    np.testing.assert_array_equal(aligned("audio", samples).tokens, before.tokens)


def test_an_id_that_stands_twice_in_a_batch_is_told():
    first, _ = sorted((FEATURES / "audio").iterdir())
    other = chosen(read_features(first), np.arange(40))
    write_features(first.with_name("2026-11-01-aaaaaaaa-001.safetensors"), other, "", read_sample_ids(first)[:40])
    with pytest.raises(ContractBroken, match="holds a sample of its batch twice"):
        aligned("audio", read_samples_of(["train"]))


def test_unknown_fusions_are_told_with_the_known():
    with pytest.raises(
        UnknownName, match="unknown fusion 'tensor'; known: attention, concat, convolutional, gated, lowrank, mean, plain"
    ):
        train("tensor")


def without(split):
    table = pq.read_table(MANIFEST / "samples.parquet")
    write_parquet(MANIFEST / "samples.parquet", table.filter([row != split for row in table["split"].to_pylist()]))


def test_a_loss_that_is_no_number_is_told():
    params = Path("params.yaml")
    params.write_text(yaml.safe_dump({**yaml.safe_load(params.read_text()), "train": {"epochs": 3, "learning_rate": 1e30}}))
    with pytest.raises(ContractBroken, match=r"mean: the loss is (nan|inf) in epoch \d: lower train\.learning_rate"):
        train("mean")
    assert not (CANDIDATES / "mean").exists()


@pytest.mark.parametrize("split", ["train", "val"])
def test_an_empty_split_is_told(split):
    without(split)
    with pytest.raises(ContractBroken, match=f"no sample in split {split}"):
        train("mean")
    assert not (CANDIDATES / "mean").exists()


def test_lost_features_are_told():
    path = FEATURES / "image/2026-11-02-bbbbbbbb-000.safetensors"
    features, ids = read_features(path), read_sample_ids(path)
    write_features(path, chosen(features, np.arange(5, len(ids))), "", ids[5:])
    with pytest.raises(ContractBroken, match=r"no features of .* samples that have image"):
        train("mean")


def test_absent_features_are_told():
    shutil.rmtree(FEATURES / "image")
    with pytest.raises(NoData, match="dvc repro extract@image"):
        train("mean")


def test_damaged_features_are_told():
    path = FEATURES / "image/2026-11-02-bbbbbbbb-000.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ContractBroken, match=r"image/2026-11-02-bbbbbbbb-000.safetensors is no file of features, or damaged"):
        train("mean")


def test_features_of_another_width_are_refused_at_prediction():
    train("mean")
    wide = Features(np.zeros((2, 1, 13), np.float32), np.ones((2, 1), bool), np.zeros((2, 1), np.float32))
    with pytest.raises(ContractBroken, match="fitted on 12 features of audio, got 13"):
        load_candidate(CANDIDATES / "mean").predict({"audio": wide})
    with pytest.raises(ContractBroken, match="same samples for every modality"):
        load_candidate(CANDIDATES / "mean").predict({})


def edit(change):
    path = CANDIDATES / "mean/candidate.json"
    card = json.loads(path.read_text())
    change(card)
    write_json(path, card)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda card: card.update(more=1), "exactly the keys"),
        (lambda card: card.update(kind="pickle"), "kind must be one of"),
        (lambda card: card["widths"].update({"../x": 3}), "modalities must be sorted names"),
        (lambda card: card["widths"].update(audio=10**12), "does not fit its candidate.json"),
        (lambda card: card["settings"].update(width=10**6), "does not fit its candidate.json"),
        (lambda card: card["settings"].update(fusion="os.system"), "settings of a network"),
        (lambda card: card["settings"].update(heads=0), "settings of a network"),
        (lambda card: card["settings"]["prior"].update(label=[1.0]), "settings of a network"),
        (lambda card: card["targets"].update(label={"type": "classification", "classes": []}), "targets must be names"),
    ],
)
def test_a_card_that_does_not_fit_is_refused_before_memory_is_taken(change, says):
    train("mean")
    edit(change)
    with pytest.raises(ContractBroken, match=says):
        load_candidate(CANDIDATES / "mean")


def test_damaged_weights_are_refused():
    train("mean")
    path = CANDIDATES / "mean/weights.safetensors"
    whole = path.read_bytes()
    for content in (whole[:-10], b"\xff" * 8 + whole[8:], b"\x80\x04pickle"):
        path.write_bytes(content)
        with pytest.raises(ContractBroken, match="not safetensors, or damaged"):
            load_candidate(CANDIDATES / "mean")
    Path(path).unlink()
    with pytest.raises(ContractBroken, match="the candidate is incomplete"):
        load_candidate(CANDIDATES / "mean")
