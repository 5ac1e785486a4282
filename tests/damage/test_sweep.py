"""Every kind from raw bytes to features, damaged: nothing is lost on the way, and the encoder sees that something happened."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from tasks import extract, profile
from tasks.damage import CLEAN, kind_module, path_of
from tasks.damage.__main__ import damage
from tasks.damage.probe import read_probe
from tasks.damage.reads import read_by
from tasks.damage.sweep import swept
from tasks.errors import ContractBroken, NoData
from tasks.extract import load_encoder
from tasks.features import read_features, read_sample_ids
from tasks.files import folder_digest, write_json
from tasks.params import KINDS, load
from tasks.paths import DAMAGED, ENCODERS, PROBE
from tests.extract.raw import OPTIONS, rows, write_params, write_raw

LEVELS = (0.5, 1.0)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def encoder(kind, data):
    """An encoder with weights of chance."""
    body = {k: tuple(v) if isinstance(v, list) else v for k, v in OPTIONS[kind].items()}
    options, how = profile.kind_module(kind).Options(**body), extract.network_module(kind)
    facts = how.fit_facts([profile.kind_module(kind).decode(one, options) for one in data], options)
    torch.manual_seed(0)
    network = how.Encoder(options, facts, 8, 0.0)
    extract.save_encoder(ENCODERS / "thing", extract.Card(kind, asdict(options), facts, 8, {}, 0, []), network)
    return load_encoder(ENCODERS / "thing")


def write_probe(batch, landed, partitions):
    """A probe of these rows, which lie in these partitions."""
    samples = [{"batch": batch.key, "sample_id": row["sample_id"]} for row in landed]
    places = [{"batch": batch.key, "path": p.path, "rows": p.rows, "md5": p.md5} for p in partitions]
    write_json(PROBE, {"samples": samples, "partitions": {"thing": places}})
    return read_probe()


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_samples_reach_the_encoder_whole(kind):
    landed = rows(kind, 12)
    landed[3]["data"] = None
    [batch] = write_raw(landed, per_partition=5)
    probe = write_probe(batch, landed, batch.partitions["thing"])
    has = [row for row in landed if row["data"] is not None]
    ids, found = swept(encoder(kind, [row["data"] for row in has]), "thing", probe, LEVELS, 0)
    assert ids == [row["sample_id"] for row in has]
    names = set(kind_module(kind).CORRUPTIONS)
    assert set(found) == {CLEAN} | {(name, level) for name in names for level in LEVELS}
    for how, body in found.items():
        assert body.mask.any(axis=1).all(), how
        if how != CLEAN:
            changed = (body.tokens != found[CLEAN].tokens).any(axis=(1, 2)) | (body.mask != found[CLEAN].mask).any(axis=1)
            assert changed.mean() > 0.25, how


def test_a_file_for_every_way_of_the_probe_alone_and_the_same_bytes_twice():
    landed = rows("text", 12)
    [batch] = write_raw(landed, per_partition=5)
    write_params("text")
    made = encoder("text", [row["data"] for row in landed])
    first, second, third = batch.partitions["thing"]
    probe = write_probe(batch, [landed[1], landed[6]], [first, second])
    Path("data/1_raw", third.path).unlink()

    damage("thing")

    ids, found = swept(made, "thing", probe, load().robustness.levels, 0)
    assert ids == [landed[1]["sample_id"], landed[6]["sample_id"]]
    assert {path.name for path in (DAMAGED / "thing").iterdir()} == {path_of("thing", way).name for way in found}
    for way, features in found.items():
        assert read_sample_ids(path_of("thing", way)) == ids
        kept = read_features(path_of("thing", way))
        np.testing.assert_array_equal(kept.mask, features.mask)
        np.testing.assert_array_equal(kept.tokens[kept.mask], features.tokens[features.mask])
    assert read_by(["thing"]) == [f"data/1_raw/{one.path}" for one in (first, second)]
    before = folder_digest(DAMAGED)
    damage("thing")
    assert folder_digest(DAMAGED) == before


def test_of_no_sample_there_is_nothing_and_that_is_written():
    landed = rows("text", 4)
    [batch] = write_raw(landed)
    write_params("text")
    encoder("text", [row["data"] for row in landed])
    write_probe(batch, [], [])
    damage("thing")
    assert path_of("thing", CLEAN).is_file()
    assert all(read_sample_ids(path) == [] for path in (DAMAGED / "thing").iterdir())


def test_a_probe_that_is_gone_or_none_is_told():
    with pytest.raises(NoData, match=r"probe\.json is not here"):
        read_probe()
    write_json(PROBE, {"samples": ["s1"]})
    with pytest.raises(ContractBroken, match=r"probe\.json is no list of samples and partitions"):
        read_probe()
