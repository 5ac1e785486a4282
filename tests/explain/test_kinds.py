"""Parts by kind: what hiding some changes and what it leaves, and pictures that are the same twice."""

from io import BytesIO

import numpy as np
import pytest
from matplotlib import pyplot as plt
from PIL import Image

from tasks import damage
from tasks.damage.audio import Sound
from tasks.explain import MOST, cells, kind_module, runs
from tasks.explain.audio import BANDS, MOMENTS
from tasks.explain.pictures import drawn
from tasks.explain.worth import Opened
from tasks.params import KINDS
from tasks.profile import kind_module as profile
from tasks.profile.text import Options as TextOptions
from tests.damage.test_corruptions import distance, known


def opened(kind):
    """The first sample, its kind's module, and how it is written and decoded again."""
    raw, options, facts = known(kind)
    opener, how = damage.kind_module(kind), kind_module(kind)
    thing = opener.read(raw["s0"], options, facts)
    return thing, how, facts, lambda one: profile(kind).decode(opener.write(one), options)


@pytest.mark.parametrize("kind", KINDS)
def test_hidden_parts_change_and_the_given_thing_stays(kind):
    thing, how, facts, decoded = opened(kind)
    count = how.parts(thing)
    assert 2 <= count <= MOST
    whole = decoded(thing)
    none = decoded(how.hidden(thing, np.zeros(count, bool), facts))
    assert distance(kind, whole, none) <= 1e-3
    changed = 0
    for part in range(count):
        gone = np.arange(count) == part
        changed += distance(kind, whole, decoded(how.hidden(thing, gone, facts))) > 1e-3
    assert changed >= 0.75 * count
    np.testing.assert_array_equal(decoded(thing), whole)


@pytest.mark.parametrize("kind", sorted({*KINDS} - {"text", "tabular"}))  # of these nothing at all is left, which is no sample
def test_with_all_hidden_nothing_tells_one_sample_from_another_part_of_it(kind):
    thing, how, facts, decoded = opened(kind)
    gone = decoded(how.hidden(thing, np.ones(how.parts(thing), bool), facts)).astype(float)
    if kind in ("image", "volume"):
        assert np.ptp(gone) <= 1
    elif kind == "video":
        assert np.ptp(gone.reshape(-1, gone.shape[-1]), axis=0).max() <= 1e-3
    elif kind == "timeseries":
        assert np.ptp(gone, axis=0).max() == 0
    elif kind == "pointcloud":
        assert len(gone) == 1
    else:
        loud = np.abs(np.fft.rfft(gone.ravel()))[20:-20]
        before = np.abs(np.fft.rfft(decoded(thing).astype(float).ravel()))[20:-20]
        assert loud.max() / np.median(loud) < 0.5 * before.max() / np.median(before)  # no tone stands out


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_is_the_same_twice_and_shows_the_tints(kind):
    thing, how, _, _ = opened(kind)
    count = how.parts(thing)
    worth = np.where(np.arange(count) % 2, 1.0, -0.5)
    things = [Opened("thing", thing, count)]
    one, other = (drawn(things, {"thing": kind}, {"thing": worth}, number=False) for _ in range(2))
    assert one == other
    nothing = drawn(things, {"thing": kind}, {"thing": np.zeros(count)}, number=False)
    shown, plain = (np.asarray(Image.open(BytesIO(data)).convert("RGB")).astype(int) for data in (one, nothing))
    assert (np.abs(shown - plain).max(axis=2) > 20).mean() > 0.002
    assert not plt.get_fignums()


def test_a_tone_lies_in_the_cells_of_its_moment_and_band():
    rate, hz = 8000, 1000.0
    time_s = np.arange(rate) / rate
    tone = np.where(time_s < 0.5, np.sin(2 * np.pi * hz * time_s), 0) + np.random.default_rng(0).normal(0, 0.05, rate)
    sound, how = Sound(tone.astype(np.float32)[:, None], rate), kind_module("audio")

    def loud(gone):
        frames = how.hidden(sound, gone, {}).frames[: rate // 2, 0].astype(float)
        return np.abs(np.fft.rfft(frames))[round(hz / 2)]

    every, cell = loud(np.zeros(MOMENTS * BANDS, bool)), np.arange(MOMENTS * BANDS)
    lost = np.array([every - loud(cell == one) for one in cell]).reshape(MOMENTS, BANDS) / every
    assert lost[: MOMENTS // 2].sum() == pytest.approx(1, abs=0.1)
    band = lost[: MOMENTS // 2].sum(axis=0)
    assert band.max() > 0.9
    assert np.abs(lost[MOMENTS // 2 + 1 :]).max() < 0.05


def test_words_are_left_out_one_by_one_and_long_texts_in_runs():
    how = kind_module("text")
    assert how.parts("the cat sat") == 3
    assert how.hidden("the cat sat", np.array([False, True, False]), {}) == "the sat"
    text = " ".join(f"w{i}" for i in range(1000))
    assert how.parts(text) == MOST
    left = how.hidden(text, np.arange(MOST) > 0, {}).split()
    assert left == [f"w{i}" for i in range(len(left))]
    assert len(left) in (15, 16)
    assert TextOptions().max_chars > 0


def test_cells_cut_evenly_and_runs_are_as_many_as_asked_for():
    found = cells((7, 10), (2, 5))
    assert found.shape == (7, 10)
    assert found[0].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert found[:, 0].tolist() == [0, 0, 0, 0, 5, 5, 5]
    assert np.unique(cells((3, 4, 5), (3, 2, 5))).tolist() == list(range(30))
    assert runs(3).tolist() == [0, 1, 2]
    assert np.unique(runs(200, 7), return_counts=True)[1].min() >= 28
