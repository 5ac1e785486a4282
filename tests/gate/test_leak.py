"""The row `leak`: what judges has not taught, however it is called."""

import re
from pathlib import Path

import numpy as np
import pytest

from tasks.errors import NoData
from tasks.gate.__main__ import gate
from tasks.near import NEAR_BITS, Hashes, twins
from tests.gate.nights import Night


def hashes(bits, known=None, has=None):
    every = np.ones(len(bits), bool)
    return Hashes(np.asarray(bits, np.uint64), every if known is None else known, every if has is None else has)


def drawn(rng, n):
    return rng.integers(0, 2**64, n, dtype=np.uint64, endpoint=False)


def flipped(rng, bits, many):
    """Each hash with so many of its bits turned."""
    places = np.argsort(rng.random((len(bits), 64)), axis=1) < np.asarray(many)[:, None]
    return bits ^ (places.astype(np.uint64) << np.arange(64, dtype=np.uint64)).sum(axis=1)


def test_twins_are_found_up_to_three_bits_in_every_modality():
    rng = np.random.default_rng(0)
    taught = {"a": drawn(rng, 3000), "b": drawn(rng, 3000)}
    of = rng.permutation(3000)[:400]
    many = {name: rng.integers(0, 7, 400) for name in taught}
    mine = {name: flipped(rng, bits[of], many[name]) for name, bits in taught.items()}
    found = twins({m: hashes(bits) for m, bits in mine.items()}, {m: hashes(bits) for m, bits in taught.items()})
    distance = {m: np.bitwise_count(mine[m][:, None] ^ taught[m][None]) for m in taught}
    both = (distance["a"] <= NEAR_BITS) & (distance["b"] <= NEAR_BITS)  # by brute force
    assert 40 < both.any(axis=1).sum() < 200
    assert found.tolist() == np.where(both.any(axis=1), both.argmax(axis=1), -1).tolist()


def test_one_twin_per_modality_is_none_and_a_dull_modality_hides_none():
    one, other = {"a": hashes([5, 5]), "b": hashes([700, 900])}, {"a": hashes([5, 6 << 40]), "b": hashes([1 << 50, 700])}
    assert twins(one, other).tolist() == [-1, -1]
    rng = np.random.default_rng(1)
    sound = drawn(rng, 500)
    dull = {"a": hashes(np.zeros(500)), "b": hashes(sound)}  # a covered camera: all alike
    assert twins(dull, {"a": hashes(np.zeros(500)), "b": hashes(sound[::-1])}).tolist() == list(range(500))[::-1]
    assert (twins(dull, {"a": hashes(np.zeros(500)), "b": hashes(drawn(rng, 500))}) == -1).all()


def test_what_is_missing_or_has_no_hash_is_like_nothing():
    absent = np.zeros(2, bool)
    lone = {"a": hashes([0xFF00, 9]), "b": hashes([0, 0], known=absent, has=absent)}
    assert twins(lone, {"a": hashes([9, 0xFF]), "b": hashes([1, 2])}).tolist() == [-1, 0]  # of what it has
    assert twins({"a": hashes([0xFF00, 9]), "b": hashes([0, 0], known=absent)}, lone).tolist() == [-1, -1]  # silence
    assert twins({m: hashes([0, 0], known=absent, has=absent) for m in "ab"}, lone).tolist() == [-1, -1]


def same_id(night):
    night.taught["sample_id"][0] = night.ids[7]  # twice in one manifest


def same_group(night):
    night.taught["group"][1] = night.groups[7]


def same_content(night):
    night.taught["content"][1] = night.content[7]


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (same_id, r"1 judged samples \(s0007\) taught the candidate too, by sample_id; .*: validate should have"),
        (same_group, r"2 judged samples \(s0006, s0007\) taught the candidate too, by group: validate"),
        (same_content, r"1 judged samples \(s0007\) taught the candidate too, by content: validate"),
    ],
)
def test_a_judged_sample_that_taught_the_candidate_stops_it(harm, says):
    night = Night()
    verdict, rows = night.judge()
    assert (verdict["verdict"], rows["leak"]["verdict"], rows["leak"]["blocking"]) == ("promote", "pass", True)
    assert rows["leak"]["reason"] == "no id, group or content of 400 samples (200 groups) taught the candidate"
    harm(night)
    verdict, rows = night.judge()
    assert (verdict["verdict"], verdict["decided_by"]) == ("reject", "leak")
    assert re.search(says, rows["leak"]["reason"])


@pytest.mark.parametrize(
    ("share", "near", "verdict"), [(0.04, "true", "promote"), (0.06, "true", "reject"), (0.06, "false", "promote")]
)
def test_few_near_duplicates_are_named_and_many_stop_it(share, near, verdict):
    night = Night()
    night.more = f"validate: {{near_duplicates: {near}}}"
    rng = np.random.default_rng(3)
    night.taught = {key: [f"{key[0]}{i:03d}t" for i in range(400)] for key in night.taught}
    bits = {m: rng.integers(-(2**63), 2**63, 800) for m in ("audio", "image")}
    bits["audio"][:400] = bits["audio"][400:] ^ 1  # every sound nearly equals one that taught
    bits["image"][: round(400 * share)] = bits["image"][400 : 400 + round(400 * share)] ^ 3
    night.dense = {f"near of {m}": values for m, values in bits.items()}
    night.columns = {f"has_{m}": [True] * 800 for m in bits}
    found, rows = night.judge()
    assert found["verdict"] == verdict
    told = f"{round(400 * share)} judged samples (s0000, s0001, s0002 …) nearly equal in every dense modality one that taught"
    assert (told in rows["leak"]["reason"]) == (near == "true")
    assert ("more than validate.quarantine_share allows: give" in rows["leak"]["reason"]) == (verdict == "reject")


def manifest(night, **of):
    """A pinned manifest of three train samples; columns are changed."""
    samples = {"sample_id": ["o0", "o1", "o2"], "group": ["p0", "p1", "p2"], "split": ["train", "val", "test"], **of}
    contents = {"sample_id": samples["sample_id"], "content": samples.pop("content", ["x", "", "z"])}
    contents |= {name: samples.pop(name) for name in list(samples) if name.startswith("near of")}
    return {"samples": samples, "contents": contents}


@pytest.mark.parametrize(
    ("of", "verdict", "says"),
    [
        ({}, "pass", r"400 samples \(200 groups\) taught the champion v1\.1\.0; what taught the anchor v1\.0\.0 is not known"),
        (
            {"sample_id": ["s0003", "s0004", "s0005"]},
            "fail",
            r"2 judged samples \(s0003, s0004\) taught the champion v1\.1\.0 too, by",
        ),
        (
            {"group": ["g0003", "p1", "g0004"]},
            "fail",
            r"2 judged samples \(s0006, s0007\) taught the champion .* by group: it looks",
        ),
        (
            {"content": ["of s0009", "", "of s0008"]},
            "fail",
            r"\(s0009\) taught the champion v1\.1\.0 too, by content: it looks better",
        ),
        ({"near of audio": [1, 2, 3]}, "pass", r"no id or group \(it was fitted on other modalities\) of 400 samples"),
    ],
)
def test_a_judged_sample_that_taught_the_champion_flatters_it(of, verdict, says):
    night = Night(champion=0.9, anchor=0.9)
    night.pinned = {"champion": manifest(night, **of)}
    found, rows = night.judge()
    assert (found["verdict"], rows["leak"]["verdict"]) == ("promote" if verdict == "pass" else "reject", verdict)
    assert re.search(says, rows["leak"]["reason"])


def test_a_champion_whose_night_kept_no_contents_is_held_by_ids_and_groups():
    night = Night(champion=0.9, anchor=0.9)
    night.pinned = {who: {"samples": manifest(night)["samples"]} for who in ("champion", "anchor")}
    found, rows = night.judge()
    assert found["verdict"] == "promote"
    for name in ("the champion v1.1.0", "the anchor v1.0.0"):
        assert (
            f"no id or group (its night kept no contents) of 400 samples (200 groups) taught {name}" in rows["leak"]["reason"]
        )
    night.pinned["anchor"]["samples"]["group"][0] = "g0001"
    found, rows = night.judge()
    assert (found["verdict"], found["decided_by"]) == ("reject", "leak")
    assert "put seed and split back to what they were when it was fitted" in rows["leak"]["reason"]


def test_a_pinned_folder_that_is_absent_is_not_the_same_as_an_empty_one():
    night = Night()
    night.judge()
    Path("data/anchor_manifest").rmdir()
    with pytest.raises(NoData, match=r"data/anchor_manifest is not here: `dvc pull data/anchor_manifest`"):
        gate()
