"""Modalities of a sample find each other: the loss against its formula, what teaches, and what is kept of it."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml

from tasks.errors import ContractBroken
from tasks.features import Features, read_features, read_sample_ids, write_features
from tasks.files import folder_digest, read_json, write_json
from tasks.params import PARAMS
from tasks.paths import CANDIDATES, CHECKPOINTS, FEATURES, MANIFEST
from tasks.tables import write_parquet
from tasks.train.__main__ import train
from tasks.train.align import Align, info_nce, unit
from tasks.train.candidates import load_candidate
from tasks.train.inputs import read_inputs
from tests.deaths import cut_off_after
from tests.planted import plant

MODALITIES = ("audio", "image", "text")
SAMPLES = MANIFEST / "samples.parquet"


def asked(**knobs):
    params = yaml.safe_load(PARAMS.read_text())
    params["train"] |= knobs
    PARAMS.write_text(yaml.safe_dump(params))


def freed(share):
    """Take the label of some train samples: they are in no split, and may teach what needs none."""
    table = pq.read_table(SAMPLES).to_pandas()
    drawn = (table["split"] == "train") & (np.random.default_rng(1).random(len(table)) < share)
    table.loc[drawn, ["label", "split", "unlabelled"]] = [np.nan, "", True]
    schema = pq.read_schema(SAMPLES)
    write_parquet(SAMPLES, pa.Table.from_pandas(table.astype({"label": "Int64"}), schema, preserve_index=False))
    return int(drawn.sum())


@pytest.fixture(autouse=True)
def night(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plant(epochs=6)
    asked(align=1.0)


def test_info_nce_against_its_formula():
    rng = np.random.default_rng(0)
    left, right = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in rng.normal(size=(2, 7, 5)))
    near = np.exp(3.0 * left @ right.T)
    there, back = (near.diagonal() / near.sum(axis=axis) for axis in (1, 0))
    found = info_nce(torch.from_numpy(left), torch.from_numpy(right), torch.tensor(3.0))
    assert found.item() == pytest.approx(-(np.log(there) + np.log(back)).mean() / 2)


def test_each_pair_of_modalities_counts_alike_and_only_samples_that_have_both():
    torch.manual_seed(0)
    vectors = {m: torch.randn(6, 4) for m in MODALITIES}
    there = {m: torch.ones(6, dtype=torch.bool) for m in MODALITIES}
    there["audio"][:3] = False
    there["text"][4:] = False  # one sample has audio and text: nothing to tell it from
    align = Align()
    pairs = [("audio", "image", slice(3, 6)), ("image", "text", slice(0, 4))]
    wanted = [info_nce(unit(vectors[a][rows]), unit(vectors[b][rows]), align.sharpness) for a, b, rows in pairs]
    torch.testing.assert_close(align(vectors, there), (wanted[0] + wanted[1]) / 2)
    nothing = align({"audio": vectors["audio"]}, there)
    nothing.backward()
    assert nothing.item() == 0


def near(candidate, split="test"):
    """How often a sample's text is the nearest to its image among those of a split."""
    features = read_inputs(MODALITIES, split).features
    both = features["image"].mask.any(1) & features["text"].mask.any(1)
    image, text = (candidate.placed(m, features[m])[both] for m in ("image", "text"))
    return (np.argmax(image @ text.T, axis=1) == np.arange(both.sum())).mean()


def test_what_shares_more_than_the_label_is_aligned_and_the_temperature_is_learned():
    for path in FEATURES.glob("text/*"):  # a text that says what the image shows
        image = FEATURES / "image" / path.name
        seen = dict(zip(read_sample_ids(image), read_features(image).tokens, strict=True))
        ids, features = read_sample_ids(path), read_features(path)
        tokens = np.stack([np.roll(seen.get(name, body), 1, axis=-1) for name, body in zip(ids, features.tokens, strict=True)])
        write_features(path, Features(tokens, features.mask, features.time), "", ids)
    asked(epochs=60, patience=60, learning_rate=0.01)
    train("mean")
    aligned = load_candidate(CANDIDATES / "mean")
    asked(align=0.0)
    train("mean")
    assert near(aligned) > 0.7
    assert read_json(CANDIDATES / "mean/candidate.json")["settings"].get("align") is None
    with pytest.raises(ContractBroken, match=r"mean was fitted without train\.align: its modalities share no space"):
        load_candidate(CANDIDATES / "mean").placed("image", read_inputs(MODALITIES, "test").features["image"])
    assert aligned.network.align.sharpness.item() != pytest.approx(Align().sharpness.item(), rel=1e-3)


def test_samples_without_a_label_teach_alignment_and_nothing_else():
    assert freed(0.4) > 30
    train("mean")
    with_them = folder_digest(CANDIDATES / "mean")
    asked(align=0.0)
    train("mean")
    plain = folder_digest(CANDIDATES / "mean")
    table = pq.read_table(SAMPLES)
    write_parquet(SAMPLES, table.filter([not free for free in table["unlabelled"].to_pylist()]))
    train("mean")
    assert folder_digest(CANDIDATES / "mean") == plain
    asked(align=1.0)
    train("mean")
    assert folder_digest(CANDIDATES / "mean") != with_them


def test_the_order_of_modalities_changes_no_byte():
    train("concat")
    first = folder_digest(CANDIDATES / "concat")
    plant(epochs=6, modalities=("text", "image", "audio"))
    asked(align=1.0)
    train("concat")
    assert folder_digest(CANDIDATES / "concat") == first


def test_the_plain_candidates_stay_as_they_are():
    train("plain")
    first = folder_digest(CANDIDATES / "plain")
    asked(align=0.0)
    train("plain")
    assert folder_digest(CANDIDATES / "plain") == first


def test_a_training_that_is_cut_off_ends_in_the_same_bytes_and_another_weight_is_another_training(capsys):
    asked(missing="mapped")
    train("mean")
    wanted = folder_digest(CANDIDATES / "mean")
    CHECKPOINTS.mkdir(parents=True)
    with cut_off_after(3):
        train("mean")
    train("mean")
    assert "mean: resumes at epoch 4 of 6" in capsys.readouterr().out
    assert folder_digest(CANDIDATES / "mean") == wanted
    asked(align=0.5)
    train("mean")
    assert "is of another training; starts afresh" in capsys.readouterr().out


@pytest.mark.parametrize("settings", [{"align": False}, {"align": 1}, {"mapping": "os.system"}, {"mapping": []}])
def test_a_card_that_asks_for_something_unknown_is_refused(settings):
    train("mean")
    path = CANDIDATES / "mean/candidate.json"
    card = read_json(path)
    write_json(path, {**card, "settings": card["settings"] | settings})
    with pytest.raises(ContractBroken, match="settings of a network"):
        load_candidate(path.parent)
