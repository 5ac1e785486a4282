"""Segments and their statistics, against scipy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import periodogram

from tasks.extract.timeseries import MOST_TOKENS, POINTS, _resampled, fit_facts, prepare, segments, statistics
from tasks.profile.timeseries import Options


@given(st.integers(1, 3000))
def test_segments_cover_a_series_of_any_length(steps):
    starts, pieces = segments(np.arange(steps, dtype=np.float32)[:, None])
    length = pieces.shape[1]
    assert 1 <= len(starts) <= MOST_TOKENS
    assert starts[0] == 0
    assert starts[-1] + length == steps
    assert (np.diff(starts) <= length).all()
    np.testing.assert_array_equal(pieces[:, 0, 0], starts)


def test_energies_are_those_of_scipys_periodogram():
    pieces = np.random.default_rng(0).normal(2, 3, (3, 96, 2))
    bands, length = 12, 96
    window = np.hanning(length + 2)[1:-1]
    _, density = periodogram(pieces, window=window, detrend="constant", axis=1, scaling="density")
    power = density * (window**2).sum() / 2 / length  # from one-sided density to squared magnitude per step
    power[:, -1] *= 2  # the highest frequency has no mirror image
    expected = np.log(power[:, 1:].reshape(3, bands, -1, 2).mean(axis=2) + 1e-8).reshape(3, -1)
    found = statistics(pieces, bands)
    np.testing.assert_allclose(found[:, 4:], expected, rtol=1e-6)
    np.testing.assert_allclose(found[:, :2], pieces.mean(axis=1))
    np.testing.assert_allclose(found[:, 2:4], np.log(pieces.std(axis=1) + 1e-6))


@pytest.mark.parametrize("hz", [3, 12, 22])
def test_an_oscillation_is_strongest_in_its_own_band(hz):
    rate, bands = 50, 10
    wave = np.sin(2 * np.pi * hz * np.arange(200) / rate)[None, :, None]
    assert statistics(wave, bands)[0, 2:].argmax() == int(hz / (rate / 2 / bands))


@pytest.mark.parametrize("steps", [1, 2, 7, 5000])
def test_any_length_and_any_size_of_values_gives_finite_inputs(steps):
    options = Options(channels=2, rate_hz=10)
    rng = np.random.default_rng(0)
    facts = fit_facts([rng.normal(size=(50, 2)).astype(np.float32)], options)
    for scale in (0, 1, 1e38):
        row = prepare((rng.uniform(-1, 1, (steps, 2)) * scale).astype(np.float32), options, facts)
        assert all(np.isfinite(values).all() for values in row.values())
        assert row["mask"].sum() == len(segments(np.zeros((steps, 2), dtype=np.float32))[0])


def test_resampling_is_linear_interpolation():
    pieces = np.random.default_rng(0).normal(size=(2, 37, 3))
    expected = [[np.interp(np.linspace(0, 36, POINTS), np.arange(37), channel) for channel in piece.T] for piece in pieces]
    np.testing.assert_allclose(_resampled(pieces).transpose(0, 2, 1), expected, atol=1e-12)
