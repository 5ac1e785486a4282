"""`train.distil`: what a teacher says is blended with what labels say, and a weak modality alone gets better by it."""

from dataclasses import asdict

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
import yaml

from tasks.files import folder_digest
from tasks.params import PARAMS
from tasks.paths import CANDIDATES, CHECKPOINTS, FEATURES, MANIFEST
from tasks.tables import write_parquet
from tasks.targets import Output
from tasks.train.__main__ import train
from tasks.train.candidates import load_candidate
from tasks.train.distil import blended
from tasks.train.inputs import read_inputs
from tasks.train.rows import Rows
from tests.planted import plant

NAN = float("nan")
TOLD = np.array([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [NAN] * 3, [NAN] * 3])


def mixed(truth: torch.Tensor, told: np.ndarray, output: Output, statistics: dict | None = None) -> np.ndarray:
    rows = Rows({}, {}, {}, {"x": truth}, torch.arange(len(truth)))
    return blended(rows, {"x": told}, 0.4, {"x": output}, {"x": statistics} if statistics else {}).labels["x"].numpy()


def test_a_class_is_blended_where_both_tell_and_what_one_tells_is_taken_whole():
    found = mixed(torch.tensor([2, -100, 1, -100]), TOLD, Output("classification", ("a", "b", "c")))
    wanted = [[0.2, 0.12, 0.08 + 0.6], [0.1, 0.8, 0.1], [0, 1, 0], [NAN] * 3]
    np.testing.assert_allclose(found, np.array(wanted), atol=1e-6)


def test_several_labels_are_blended_each_by_itself():
    truth = torch.tensor([[1, 0, 1], [-100] * 3, [0, 1, 0], [-100] * 3])
    found = mixed(truth, TOLD, Output("multilabel", ("a", "b", "c")))
    np.testing.assert_allclose(found[0], [0.8, 0.12, 0.68], atol=1e-6)
    np.testing.assert_allclose(found[1:], [TOLD[1], [0, 1, 0], [NAN] * 3], atol=1e-6)


def test_a_value_is_blended_in_deviations():
    told = np.array([[60.0], [40.0], [NAN], [NAN]])
    found = mixed(torch.tensor([0.0, NAN, 2.0, NAN]), told, Output("regression"), {"mean": 50.0, "deviation": 10.0})
    np.testing.assert_allclose(found, [0.4, -1.0, 2.0, NAN], atol=1e-6)


@pytest.fixture
def night(tmp_path, monkeypatch):
    """A clear image, a dull text; a few train rows are labelled, the others may teach without a label."""
    monkeypatch.chdir(tmp_path)
    plant(samples=500, modalities=("image", "text"), missing=0.1, clean=1.0, group_size=1, epochs=12, strength=0.5)
    dull("text")
    path = MANIFEST / "samples.parquet"
    table = pq.read_table(path).to_pandas()
    hidden = (table["split"] == "train") & (table.index % 8 != 0)
    table["unlabelled"] = hidden
    table["label"] = table["label"].astype("Int64").where(~hidden)
    table.loc[hidden, "split"] = ""
    write_parquet(path, pa.Table.from_pandas(table, preserve_index=False).cast(pq.read_schema(path)))


def dull(modality):
    """Put noise over its features."""
    from tasks.features import Features, read_features, read_sample_ids, write_features

    rng = np.random.default_rng(5)
    for path in sorted((FEATURES / modality).iterdir()):
        body, ids = read_features(path), read_sample_ids(path)
        noisy = (body.tokens + rng.normal(0, 1.5, body.tokens.shape)).astype(np.float32)
        write_features(path, Features(noisy, body.mask, body.time), "0" * 32, ids)


def fitted(**knobs):
    params = yaml.safe_load(PARAMS.read_text())
    params["train"] = {**params["train"], **knobs}
    PARAMS.write_text(yaml.safe_dump(params))
    train("plain")
    return CANDIDATES / "plain"


def accuracy(folder):
    test = read_inputs(["text"], "test")
    return float((load_candidate(folder).predict(test.features)["label"].argmax(1) == test.labels("label")).mean())


@pytest.mark.usefixtures("night")
def test_the_weak_learns_from_the_strong_and_nothing_else_changes(capsys):
    names = ("alone-image", "alone-text", "logistic")
    plain = fitted()
    before, alone = {name: folder_digest(plain / name) for name in names}, accuracy(plain / "alone-text")
    assert "learns from" not in capsys.readouterr().out
    CHECKPOINTS.mkdir(parents=True)
    taught = fitted(distil=0.5)
    assert "alone-text: learns from alone-image" in capsys.readouterr().out
    assert [name for name in names if folder_digest(taught / name) != before[name]] == ["alone-text"]
    assert accuracy(taught / "alone-text") > alone + 0.03
    once = folder_digest(taught)
    kept = {path.name.split(".")[0] for path in CHECKPOINTS.glob("alone-text*")}
    assert len(kept) == 2, kept  # a pupil that is cut off does not cost what it was before
    assert folder_digest(fitted(distil=0.5)) == once
    assert load_candidate(taught / "late").card.settings == asdict(load_candidate(plain / "late").card)["settings"]
