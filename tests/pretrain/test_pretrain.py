"""Pretraining: the same bytes every time, from training rows alone, and something is learned."""

import json
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from tasks.errors import ContractBroken
from tasks.extract import load_encoder
from tasks.files import folder_digest
from tasks.index import Batch, write_index
from tasks.params import KINDS, Pretrain
from tasks.paths import ENCODERS, REFERENCE
from tasks.pretrain.__main__ import pretrain
from tasks.pretrain.fit import fit
from tasks.pretrain.objectives.batch import Head, pooled
from tasks.tables import UNLABELLED
from tasks.targets import Target
from tests.extract.raw import CLASSES, items, rows, write, write_params, write_raw

FOLDER = ENCODERS / "thing"


def fitted(made: list[dict]) -> str:
    write_raw(made)
    pretrain("thing")
    return folder_digest(FOLDER)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_leaks_from_rows_that_are_not_train(kind):
    write_params(kind)
    made = rows(kind)
    before = fitted(made)
    assert fitted(made) == before  # twice is the same

    other = rows(kind, seed=1)
    altered = [row if row["split"] == "train" else {**new, "label": "low"} for row, new in zip(made, other, strict=True)]
    assert fitted(altered) == before
    broken = [row if row["split"] == "train" else {**row, "data": b"\xff", "label": "never seen"} for row in made]
    assert fitted(broken) == before
    deleted = [row for row in made if row["split"] == "train"]
    assert fitted(deleted) == before

    changed = [dict(row) for row in made]
    changed[0]["data"] = other[0]["data"]
    assert fitted(changed) != before  # a training row does have a say


def test_the_order_of_rows_and_their_partitions_change_nothing():
    write_params("text")
    made = rows("text")
    before = fitted(made)
    random.Random(0).shuffle(made)
    write_raw(made, per_partition=11)
    pretrain("thing")
    assert folder_digest(FOLDER) == before


def test_rows_that_are_refused_unlabelled_or_missing_have_no_say():
    write_params("text")
    made = rows("text")
    before = fitted([row for row in made if row["sample_id"] not in {"s000", "s001", "s003"}])
    made[0]["refused"], made[1]["label"], made[3]["data"] = "no such file", None, None
    assert fitted(made) == before


def test_of_an_id_that_lands_twice_the_first_copy_teaches_the_content_as_well_as_the_label():
    write_params("text")
    made = rows("text")
    before = fitted(made)
    (night,) = write_raw(made)
    copies = pa.table(
        {"sample_id": [row["sample_id"] for row in made], "file_name": [""] * len(made), "data": [b"else"] * len(made)}
    )
    again = {"thing": (write("thing/later-000.parquet", copies),), "samples": night.partitions["samples"]}
    write_index([night, Batch("later", "1" * 64, again)], REFERENCE)
    pretrain("thing")
    assert folder_digest(FOLDER) == before


def test_few_steps_are_steps_too():
    write_params("text", epochs=5)
    path = Path("params.yaml")
    params = json.loads(path.read_text())
    params["pretrain"]["batch"] = 64  # one batch an epoch: five steps
    path.write_text(json.dumps(params))
    fitted(rows("text"))
    curve = json.loads((FOLDER / "encoder.json").read_text())["curve"]
    assert curve[-1] < curve[0]


def test_what_cannot_be_decoded_is_left_out_and_not_counted(capsys):
    write_params("text")
    made = rows("text")
    made[0]["data"] = b"\xff"
    fitted(made)
    assert "work decoded=39 steps=9" in capsys.readouterr().out  # 40 train rows, 3 epochs of 3 batches


def test_the_card_tells_what_was_done():
    write_params("text", epochs=5)
    fitted(rows("text"))
    card = json.loads((FOLDER / "encoder.json").read_text())
    assert card["kind"] == "text"
    assert card["options"]["max_chars"] == 40
    assert card["classes"] == {"label": list(CLASSES)}
    assert (card["steps"], card["width"], len(card["curve"])) == (15, 8, 5)


def test_the_seed_matters():
    write_params("text")
    before = fitted(rows("text"))
    path = Path("params.yaml")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"seed": 1}))
    assert fitted(rows("text")) != before


@pytest.mark.parametrize("kind", KINDS)
def test_features_of_new_samples_tell_the_classes_apart(kind):
    write_params(kind, epochs=8, width=16)
    fitted(rows(kind, 120))
    encoder = load_encoder(FOLDER)

    def vectors(seed: int) -> tuple[np.ndarray, np.ndarray]:
        data, labels = items(kind, 80, seed)
        features = encoder.encode(data)
        mean = (features.tokens * features.mask[..., None]).sum(axis=1) / features.mask.sum(axis=1)[:, None]
        return mean, np.array(labels)

    (seen, names), (new, truth) = vectors(0), vectors(5)
    centres = np.stack([seen[names == name].mean(axis=0) for name in CLASSES])
    nearest = np.argmin(((new[:, None] - centres) ** 2).sum(axis=2), axis=1)
    assert (np.array(CLASSES)[nearest] == truth).mean() > 0.75


def test_too_few_samples_are_refused():
    write_params("text")
    made = rows("text")
    for row in made[1:]:
        row["data"] = None
    with pytest.raises(ContractBroken, match="modality thing: 1 labelled training samples of the reference can be decoded"):
        fitted(made)
    assert not FOLDER.exists()


def test_a_loss_that_explodes_ends_the_stage():
    write_params("tabular", learning_rate=10**30)
    with pytest.raises(ContractBroken, match=r"the loss of epoch \d is .*lower pretrain.learning_rate"):
        fitted(rows("tabular"))


@pytest.mark.parametrize("count", [2, 3, 17, 33])
def test_any_number_of_samples_is_cut_into_batches_that_can_be_normalised(count):
    import tasks.extract.image as module
    from tasks.profile.image import Options, decode

    options = Options(side_px=16)
    arrays = [decode(data, options) for data in items("image", count)[0]]
    labels = {"label": np.arange(count) % 2, "other": np.full(count, UNLABELLED)}
    knobs, target = Pretrain(epochs=1, batch=16, width=4), Target(loss="cross_entropy")
    result = fit(module, options, arrays, labels, {"label": Head(target, 2), "other": Head(target, 3)}, knobs, 0, "thing")
    assert np.isfinite(result.curve).all()
    assert result.steps == -(-count // 16)


def test_tokens_that_are_off_are_not_in_the_mean():
    tokens = torch.tensor([[[1.0], [3.0], [float("nan")]], [[float("nan")]] * 3])
    mask = torch.tensor([[True, True, False], [False] * 3])
    torch.testing.assert_close(pooled(tokens, mask), torch.tensor([[2.0], [0.0]]))


def test_a_number_is_learned_beside_a_class_and_its_unit_changes_nothing():
    write_params("tabular", epochs=8, width=16)
    path = Path("params.yaml")
    targets = {"targets": {"label": {}, "grams": {"type": "regression", "weight": 2.0}}}
    path.write_text(json.dumps(json.loads(path.read_text()) | targets))
    made = rows("tabular", 120)
    for row in made:
        row["grams"] = json.loads(row["data"])["size"]  # what the rows themselves say, empty in some
    fitted(made)
    card = json.loads((FOLDER / "encoder.json").read_text())
    assert card["classes"] == {"label": list(CLASSES), "grams": []}
    assert card["curve"][-1] < 0.7 * card["curve"][0]
    before = load_encoder(FOLDER).encode([row["data"] for row in made]).tokens
    for row in made:
        row["grams"] = row["grams"] and f"{float(row['grams']) * 4096 + 8192}"
    fitted(made)
    np.testing.assert_allclose(load_encoder(FOLDER).encode([row["data"] for row in made]).tokens, before, atol=1e-3)


def test_several_labels_are_learned_whatever_their_order_in_a_cell():
    write_params("tabular", epochs=8, width=16)
    path = Path("params.yaml")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"targets": {"label": {"type": "multilabel"}}}))
    made = rows("tabular", 120)
    for row in made:
        row["label"] = {"high": "big|tall", "low": "|"}[row["label"]]
    first = fitted(made)
    card = json.loads((FOLDER / "encoder.json").read_text())
    assert card["classes"] == {"label": ["big", "tall"]}
    assert card["curve"][-1] < 0.8 * card["curve"][0]
    assert fitted([{**row, "label": "|".join(reversed(row["label"].split("|")))} for row in made]) == first
