"""Preparation of images, texts and rows of tables."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from tasks.extract import image, tabular, text
from tasks.extract.layers import areas
from tasks.profile.image import Options as ImageOptions
from tasks.profile.tabular import Options as TabularOptions
from tasks.profile.tabular import identity
from tasks.profile.text import Options as TextOptions
from tasks.profile.text import as_text, decode


@pytest.mark.parametrize("side", [2, 4, 7, 8, 13])
def test_areas_average_like_a_box_of_any_size(side):
    line = torch.randn(1, 1, side)
    fine = functional.interpolate(line, size=side * 4, mode="nearest")  # each place four times: 4 equal stretches of `side`
    expected = fine.view(4, side).mean(dim=1)
    torch.testing.assert_close(torch.from_numpy(areas(side, 4)) @ line[0, 0], expected)


def test_pixels_are_standardised_by_the_training_pixels():
    arrays = list(np.random.default_rng(0).integers(0, 256, (6, 8, 8, 1), dtype=np.uint8))
    options = ImageOptions(side_px=8)
    facts = image.fit_facts(arrays, options)
    pixels = np.stack([image.prepare(array, options, facts)["pixels"] for array in arrays])
    assert pixels.shape == (6, 1, 8, 8)
    assert pixels.mean() == pytest.approx(0, abs=1e-6)
    assert pixels.std() == pytest.approx(1, abs=1e-6)


def test_pieces_of_a_word_know_its_ends():
    assert set(text.pieces("Ab c")) == {"<", "a", "b", ">", "<a", "ab", "b>", "<ab", "ab>", "<ab>", "c", "<c", "c>", "<c>"}


def test_the_vocabulary_holds_the_commonest_pieces_and_no_order_matters():
    texts = [decode(t.encode(), TextOptions()) for t in ("aa", "ab", "ac")]
    options = TextOptions(vocabulary=4)
    assert text.fit_facts(texts, options) == text.fit_facts(texts[::-1], options) == {"vocabulary": ["<", "<a", ">", "a"]}


def test_words_are_dealt_to_four_tokens_and_new_pieces_share_a_number():
    options = TextOptions()
    facts = {"vocabulary": ["<", "a"]}
    row = text.prepare(decode(b"a b", options), options, facts)
    np.testing.assert_array_equal(row["mask"], [True, True, False, False])
    assert row["pieces"][0, :6].tolist() == [2, 1, 1, 3, 1, 1]  # < <a <a> a a> >
    assert (row["pieces"][2:] == text.NOTHING).all()
    many = text.prepare(decode(b"one two three four five six seven", options), options, facts)
    assert many["mask"].all()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text("abcdefghij", min_size=1, max_size=40), min_size=1, max_size=60).map(" ".join), st.integers(1, 300))
def test_all_of_a_text_is_read_in_tokens_of_a_quarter_each(words: str, most: int) -> None:
    options = TextOptions(max_chars=most)
    array = decode(words.encode(), options)
    wanted = text.pieces(as_text(array))
    facts = {"vocabulary": sorted(set(wanted))}
    row = text.prepare(array, options, facts)
    tokens = [numbers[numbers != text.NOTHING] for numbers in row["pieces"]]
    assert [facts["vocabulary"][number - 2] for number in np.concatenate(tokens)] == wanted
    counts = [len(found) for found in tokens]
    assert [count > 0 for count in counts] == row["mask"].tolist()
    assert max(counts) < len(wanted) / 4 + text.STRETCH


def test_a_script_without_blanks_is_read_to_its_end() -> None:
    options = TextOptions()
    array = decode(("肺に影がある" * 40).encode(), options)
    facts = text.fit_facts([array], options)
    row = text.prepare(array, options, facts)
    assert row["mask"].all()
    other = text.prepare(decode(("肺に影がある" * 39 + "肺に影はない").encode(), options), options, facts)
    assert (row["pieces"] != other["pieces"]).any()


def test_gaps_and_unknown_categories_have_places_of_their_own():
    options = TabularOptions(numbers=("a", "b"), categories=("c",))
    table = [np.array([1.0, np.nan, identity("x")]), np.array([3.0, np.nan, identity("y")])]
    facts = tabular.fit_facts(table, options)
    assert (facts["mean"], facts["deviation"]) == ([2.0, 0.0], [1.0, 1.0])
    x, y = (2 + sorted([identity("x"), identity("y")]).index(identity(name)) for name in "xy")
    for cells, numbers, place in [
        ([3.0, np.nan, identity("x")], [1, 0, 0, 1], x),
        ([np.nan, 0.5, identity("y")], [0, 0.5, 1, 0], y),
        ([2.0, 9e29, np.nan], [0, tabular.CLIP, 0, 0], 0),
        ([2.0, 0.0, identity("new")], [0, 0, 0, 0], 1),
    ]:
        row = tabular.prepare(np.array(cells), options, facts)["row"]
        np.testing.assert_array_equal(row[:4], np.array(numbers, dtype=np.float32))
        assert row[4:].tolist() == [float(place == i) for i in range(4)]


def test_a_time_also_stands_on_the_circles_of_day_week_and_year():
    options = TabularOptions(times=("when",), tracks=("way",))
    table = [np.array([when, 52.0, 13.0, 1.0, 2.0, 3.0]) for when in (0.0, 21_600.0)]
    facts = tabular.fit_facts(table, options)
    row = tabular.prepare(table[1], options, facts)["row"]
    assert row.shape == (2 * 6 + 6,)
    assert row[0] == 1  # standardised, as the places are
    angles = 2 * np.pi * 21_600 / np.array([86_400, 604_800, 365.2425 * 86_400])
    np.testing.assert_allclose(row[12:], [*np.sin(angles), *np.cos(angles)], atol=1e-6)
    gap = tabular.prepare(np.array([np.nan, 52.0, 13.0, 1.0, 2.0, 3.0]), options, facts)["row"]
    assert (gap[0], gap[6]) == (0, 1)
    assert not gap[12:].any()


def test_many_rows_are_prepared_as_each_is_alone():
    options = TabularOptions(numbers=("a",), categories=("c", "d"), times=("when",))
    rng = np.random.default_rng(0)
    table = rng.normal(size=(40, 2)) * [1, 1e9]
    table = np.hstack([table, rng.integers(0, 5, (40, 2)).astype(float)])
    table[rng.random(table.shape) < 0.2] = np.nan
    facts = tabular.fit_facts(list(table[:20]), options)
    many = tabular.prepare_many(table, options, facts)
    for place, array in enumerate(table):
        for key, values in tabular.prepare(array, options, facts).items():
            np.testing.assert_array_equal(many[key][place], values)
            assert many[key].dtype == values.dtype
