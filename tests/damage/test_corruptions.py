"""Damage by kind: nothing at level 0, more at each level, the same every time, and nothing that cannot be read breaks it."""

import re
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np
import pytest

from tasks import extract, profile
from tasks.damage import CLEAN, corrupted, damaged, kind_module
from tasks.params import KINDS
from tasks.profile import pointcloud, tabular
from tests.extract.raw import OPTIONS, items
from tests.profile import hostile

LEVELS = (0.1, 0.25, 0.5, 0.75, 1.0)
COUNT = 16
WHOLE = {
    "audio": {},
    "image": {"channels": 3},
    "pointcloud": {"fields": ["intensity"]},
    "tabular": OPTIONS["tabular"],
    "text": {},
    "timeseries": {"channels": 2},
    "video": {},
    "volume": {},
}


def options_of(kind, body):
    return profile.kind_module(kind).Options(**{k: tuple(v) if isinstance(v, list) else v for k, v in body.items()})


def known(kind):
    """Raw samples, their options, and what an encoder would know of such ones."""
    data, options = items(kind, COUNT)[0], options_of(kind, OPTIONS[kind])
    arrays = [profile.kind_module(kind).decode(one, options) for one in data]
    return {f"s{i}": one for i, one in enumerate(data)}, options, extract.network_module(kind).fit_facts(arrays, options)


def distance(kind, before, after):
    """How far two decoded samples are apart; 0 of equal ones."""
    if kind == "text":
        words = ["".join(map(chr, array)) for array in (before, after)]
        return 1 - SequenceMatcher(None, *words, autojunk=False).ratio()
    if kind == "pointcloud":
        if before.shape != after.shape:
            return float(len(before) - len(after))
        return float(np.abs(before - after).mean())
    if kind == "tabular":
        changed = before != after
        gap = np.where(np.isnan(before - after), 1e10, np.abs(before - after))  # a lost cell is further off than any value
        return float((gap * (changed & ~(np.isnan(before) & np.isnan(after)))).sum())
    return float(np.abs(after.astype(float) - before).mean())


@pytest.mark.parametrize("kind", KINDS)
def test_damage_begins_with_nothing_and_grows(kind):
    raw, options, facts = known(kind)
    decode, of = profile.kind_module(kind).decode, kind_module(kind)
    assert len(of.CORRUPTIONS) >= 3
    found = dict(damaged(of, raw, LEVELS, options, facts, seed=7))
    assert found[CLEAN] == list(raw.values())
    before = [decode(one, options) for one in raw.values()]
    for name in of.CORRUPTIONS:
        after = {level: [decode(one, options) for one in found[name, level]] for level in LEVELS}
        apart = [np.mean([distance(kind, *pair) for pair in zip(before, after[level], strict=True)]) for level in LEVELS]
        assert apart == sorted(apart), (name, apart)
        assert 0 <= apart[0] < apart[2] < apart[-1], (name, apart)


@pytest.mark.parametrize("kind", KINDS)
def test_a_level_of_nothing_gives_the_bytes_that_came(kind):
    raw, options, facts = known(kind)
    of, data = kind_module(kind), raw["s0"]
    for name in of.CORRUPTIONS:
        assert corrupted(of, data, of.read(data, options, facts), name, 0.0, 1) is data


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_is_damaged_every_time_and_in_whatever_company(kind):
    raw, options, facts = known(kind)
    of = kind_module(kind)
    first = dict(damaged(of, raw, (0.5,), options, facts, seed=7, modality="m"))
    turned = dict(damaged(of, dict(reversed(raw.items())), (1.0, 0.5), options, facts, seed=7, modality="m"))
    others = [dict(damaged(of, raw, (0.5,), options, facts, seed=s, modality=m)) for s, m in ((8, "m"), (7, "n"))]
    for name in of.CORRUPTIONS:
        assert first[name, 0.5] == turned[name, 0.5][::-1]
    for other in others:
        assert any(first[name, 0.5] != other[name, 0.5] for name in of.CORRUPTIONS)
    name = next(name for name in of.CORRUPTIONS if first[name, 0.5] != others[0][name, 0.5])
    twins = dict(damaged(of, {"a": raw["s0"], "b": raw["s0"]}, (0.5,), options, facts, seed=7))
    assert len(set(twins[name, 0.5])) == 2  # what is drawn is each sample's own


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_damaged_yet_is_read_as_it_was_from_every_format(kind):
    of, options = kind_module(kind), options_of(kind, WHOLE[kind])
    decode = profile.kind_module(kind).decode
    facts = {"deviation": [1.0] * 7, "scale": [1.0, 1.0]}
    for form, data in hostile.whole()[kind].items():
        wanted = decode(data, options)
        np.testing.assert_allclose(decode(of.write(of.read(data, options, facts)), options), wanted, rtol=1e-5, err_msg=form)


@pytest.mark.parametrize("kind", KINDS)
def test_what_cannot_be_read_stays_as_it_is(kind):
    raw, options, facts = known(kind)
    bad = {"empty": b"", "junk": b"\xff\xfe\0junk", "cut": raw["s1"][: len(raw["s1"]) // 3] + b"\xff", "whole": raw["s1"]}
    for shown, found in damaged(kind_module(kind), bad, (0.5, 1.0), options, facts, seed=0):
        assert found[:3] == list(bad.values())[:3], shown


SMALLEST = {
    "audio": lambda: kind_module("audio").write(kind_module("audio").Sound(np.zeros((1, 1), np.float32), 8000)),
    "image": lambda: hostile.test_image.encoded(hostile.Image.fromarray(np.zeros((1, 1), np.uint8)), "PNG"),
    "pointcloud": lambda: hostile.npy(np.zeros((1, 3), np.float32)),
    "tabular": lambda: b'{"size": "0", "colour": null, "when": null, "way": null}',
    "text": lambda: b"!",
    "timeseries": lambda: hostile.npy(np.zeros((1, 2), np.float32)),
    "video": lambda: hostile.npy(np.zeros((1, 1, 1), np.uint8)),
    "volume": lambda: hostile.npy(np.zeros((1, 1, 1), np.float32)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_smallest_sample_stays_one_that_can_be_read(kind):
    _, options, facts = known(kind)
    data = SMALLEST[kind]()
    for _, found in damaged(kind_module(kind), {"s": data}, LEVELS, options, facts, seed=0):
        assert profile.kind_module(kind).decode(found[0], options).size >= 1


def test_a_large_picture_is_made_smaller_and_its_middle_used():
    rng = np.random.default_rng(0)
    wide = hostile.test_image.encoded(hostile.Image.fromarray(rng.integers(0, 256, (100, 300), dtype=np.uint8)), "PNG")
    image = kind_module("image")
    assert image.read(wide, options_of("image", {"side_px": 16}), {}).shape == (32, 32, 1)
    assert image.read(wide, options_of("image", {"side_px": 16, "crop": True}), {}).shape == (32, 32, 1)
    assert image.read(wide, options_of("image", {"side_px": 64, "crop": True}), {}).shape == (100, 100, 1)


def test_noise_has_the_power_that_its_level_says():
    audio, rng = kind_module("audio"), np.random.default_rng(0)
    sound = audio.Sound(rng.normal(0, 0.1, (80_000, 2)).astype(np.float32), 8000)
    for level, ratio_db in ((0.25, 20.0), (0.5, 10.0), (1.0, -10.0)):
        hiss = audio.noise(sound, level, np.random.default_rng(1)).frames - sound.frames
        assert 10 * np.log10(np.mean(sound.frames**2) / np.mean(hiss**2)) == pytest.approx(ratio_db, abs=0.1)


def test_a_muffled_sound_keeps_what_is_low():
    audio, time = kind_module("audio"), np.arange(8000) / 8000
    tones = {hz: np.sin(2 * np.pi * hz * time) for hz in (100, 600, 3000)}
    sound = audio.Sound(sum(tones.values())[:, None].astype(np.float32), 8000)
    for level, kept in ((0.25, (100, 600)), (0.5, (100, 600)), (1.0, (100,))):
        found = audio.muffled(sound, level, np.random.default_rng(0)).frames[:, 0]
        np.testing.assert_allclose(found, sum(tones[hz] for hz in kept), atol=1e-5)


def test_typos_are_those_of_a_keyboard_and_hit_as_many_as_they_should():
    text, rng = kind_module("text"), np.random.default_rng(0)
    assert set(text.NEIGHBOURS["g"]) == set("fhtb")
    assert set(text.NEIGHBOURS["1"]) == set("2q")
    long = "abcdefghij " * 400
    found = text.typos(long, 0.5, rng)
    deleted = len(long) - len(found)
    assert deleted / 4000 == pytest.approx(text.TYPOS / 2 / 3, rel=0.2)
    assert text.typos("夜", 1.0, rng).strip()
    assert text.omission("one", 1.0, rng) == "one"
    assert text.truncation("a bc", 1.0, rng) == "a"


def test_numbers_are_off_by_the_spread_of_their_column_and_tracks_stay_on_the_earth():
    options = options_of("tabular", OPTIONS["tabular"])
    spread = [2.0, 3600.0, 0.1, 50.0, 1.0, 1.0, 1.0]
    row = {"size": "1.5", "colour": "red", "when": "2026-11-05T22:00:00Z", "way": "LINESTRING (179.9 89.9, 179.95 89.9)"}
    of, facts = kind_module("tabular"), {"deviation": spread}
    thing = of.read(hostile.json.dumps(row).encode(), options, facts)
    before = thing.values[:3]
    moved = [
        tabular.decode(of.write(of.jitter(thing, 0.5, np.random.default_rng(seed))), options)[: options.plain]
        for seed in range(150)
    ]
    off = np.array(moved)[:, :2] - before[:2]
    assert off.std(axis=0) == pytest.approx([0.5 * of.JITTER * s for s in spread[:2]], rel=0.2)
    gone = of.lost(thing, 1.0, np.random.default_rng(0))
    assert sum(cell is not None for cell in gone.cells.values()) == 1
    assert of.renamed(thing, 1.0, np.random.default_rng(3)).cells["colour"] in {"~red", "red"}


def test_the_cell_that_stays_is_a_filled_one():
    options, of = options_of("tabular", OPTIONS["tabular"]), kind_module("tabular")
    row = hostile.json.dumps({"size": "1.5", "colour": " ", "when": None, "way": ""}).encode()
    thing = of.read(row, options, {"deviation": [1.0] * 7})
    for seed in range(20):
        assert of.lost(thing, 1.0, np.random.default_rng(seed)).cells["size"] == "1.5"
        assert of.renamed(thing, 1.0, np.random.default_rng(seed)).cells["colour"] == " "


def test_at_least_one_point_is_left_and_those_that_are_hidden_lie_together():
    of, rng = kind_module("pointcloud"), np.random.default_rng(0)
    cloud = rng.normal(size=(1000, 3)).astype(np.float32)
    for name in ("lost", "occlusion"):
        assert len(of.CORRUPTIONS[name](cloud[:1], 1.0, np.random.default_rng(0))) == 1
    left = of.occlusion(cloud, 0.5, np.random.default_rng(0))
    assert len(left) == 600
    kept = {tuple(point) for point in left}
    hidden = np.array([point for point in cloud if tuple(point) not in kept]) - cloud.mean(axis=0)
    along = hidden / np.linalg.norm(hidden, axis=1, keepdims=True)
    assert np.linalg.norm(along.mean(axis=0)) > 0.6  # of a whole ball it is 0
    assert pointcloud.decode(of.write(left), pointcloud.Options()).shape == (600, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_the_docs_name_every_damage(kind):
    lines = Path("docs/models.md").read_text().splitlines()
    told = next(line for line in lines if line.startswith(f"| {kind} |"))
    assert re.findall(r"`(\w+)`", told) == list(kind_module(kind).CORRUPTIONS)
