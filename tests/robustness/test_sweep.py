"""Every kind from raw bytes to features, damaged: nothing is lost on the way, and the encoder sees that something happened."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from tasks import extract, profile
from tasks.bundle import Bundle
from tasks.features import Features, write_features
from tasks.params import KINDS
from tasks.paths import ENCODERS, FEATURES
from tasks.robustness import CLEAN, kind_module
from tasks.robustness.sweep import swept
from tests.extract.raw import OPTIONS, rows, write_raw

LEVELS = (0.5, 1.0)


def encoder(kind, data):
    """An encoder with weights of chance, as a bundle holds it; returns the bundle."""
    body = {k: tuple(v) if isinstance(v, list) else v for k, v in OPTIONS[kind].items()}
    options, how = profile.kind_module(kind).Options(**body), extract.network_module(kind)
    facts = how.fit_facts([profile.kind_module(kind).decode(one, options) for one in data], options)
    torch.manual_seed(0)
    network = how.Encoder(options, facts, 8, 0.0)
    extract.save_encoder(ENCODERS / "thing", extract.Card(kind, asdict(options), facts, 8, {}, 0, []), network)
    return Bundle(ENCODERS.parent, {"thing": kind}, {}, None)


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_samples_reach_the_encoder_whole(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    landed = rows(kind, 12)
    landed[3]["data"] = None
    batches = write_raw(landed, per_partition=5)
    has = [row for row in landed if row["data"] is not None]
    for number in range(0, len(has), 5):
        ids = [row["sample_id"] for row in has[number : number + 5]]
        empty = Features(
            np.zeros((len(ids), 1, 8), np.float32), np.ones((len(ids), 1), bool), np.zeros((len(ids), 1), np.float32)
        )
        write_features(FEATURES / "thing" / f"night-{number // 5:03d}.safetensors", empty, "", ids)
    bundle = encoder(kind, [row["data"] for row in has])
    columns = {"sample_id": [row["sample_id"] for row in landed], "batch": [batches[0].key] * len(landed)}
    samples = pa.table({**columns, "has_thing": [row["data"] is not None for row in landed]})
    found = swept(bundle, "thing", samples, LEVELS, 0)
    names = set(kind_module(kind).CORRUPTIONS)
    assert set(found) == {CLEAN} | {(name, level) for name in names for level in LEVELS}
    assert Path("data/1_raw/thing").is_dir()
    there = np.array([row["data"] is not None for row in landed])
    for how, body in found.items():
        assert (body.mask.any(axis=1) == there).all(), how
        if how != CLEAN:
            changed = (body.tokens != found[CLEAN].tokens).any(axis=(1, 2)) | (body.mask != found[CLEAN].mask).any(axis=1)
            assert not changed[~there].any()
            assert changed[there].mean() > 0.25, how


def test_what_changes_nothing_is_left_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    landed = [{**row, "data": b"word"} for row in rows("text", 4)]
    batches = write_raw(landed)
    ids = [row["sample_id"] for row in landed]
    write_features(
        FEATURES / "thing/night-000.safetensors",
        Features(np.zeros((4, 1, 8), np.float32), np.ones((4, 1), bool), np.zeros((4, 1), np.float32)),
        "",
        ids,
    )
    samples = pa.table({"sample_id": ids, "batch": [batches[0].key] * 4, "has_thing": [True] * 4})
    found = swept(encoder("text", [b"word"]), "thing", samples, LEVELS, 0)
    assert {name for name, _ in found} == {"", "typos", "truncation"}  # the only word always stays
