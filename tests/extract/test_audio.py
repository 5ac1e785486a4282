"""The mel spectrogram, against plain loops and scipy."""

import numpy as np
import pytest
from scipy.signal import ShortTimeFFT, get_window

from tasks.extract.audio import fit_facts, log_mel, mel_filters, prepare, token_count
from tasks.profile.audio import Options


def test_filters_are_the_triangles_of_the_definition():
    filters, bands, size, rate = mel_filters(6, 64, 8000), 6, 64, 8000
    corners = [700 * (10 ** (m / 2595) - 1) for m in np.linspace(0, 2595 * np.log10(1 + 4000 / 700), bands + 2)]
    for band in range(bands):
        low, middle, high = corners[band : band + 3]
        for number in range(size // 2 + 1):
            hz = number * rate / size
            expected = max(0.0, (hz - low) / (middle - low) if hz <= middle else (high - hz) / (high - middle))
            assert filters[band, number] == pytest.approx(expected, abs=1e-12)


def test_log_mel_is_that_of_scipys_spectra():
    options = Options(max_s=0.5, window_s=0.032)
    sound = np.random.default_rng(0).normal(0, 0.1, 4000).astype(np.float32)
    window, hop, size = 256, 80, 256
    spectra = ShortTimeFFT(get_window("hann", window), hop, 8000, mfft=size, fft_mode="onesided")
    power = np.abs(spectra.stft(sound.astype(float), p0=0, p1=50)) ** 2  # [bins, frames]; slice p is centred on p * hop
    expected = np.log(mel_filters(options.bands, size, 8000) @ power + 1e-8).T
    np.testing.assert_allclose(log_mel(sound, options), expected, atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"bands": 128}, {"bands": 1}, {"sample_rate_hz": 44_100, "window_s": 0.01}])
def test_no_band_is_without_a_bin(options):
    noise = np.random.default_rng(0).normal(0, 0.1, 8000).astype(np.float32)
    assert (log_mel(noise, Options(**options, max_s=0.1)) > np.log(2e-8)).all()


@pytest.mark.parametrize("hz", [300, 1000, 3000])
def test_a_tone_is_loudest_in_its_own_band(hz):
    options = Options(window_s=0.032)
    tone = np.sin(2 * np.pi * hz * np.arange(8000) / 8000).astype(np.float32)
    filters = mel_filters(options.bands, 256, 8000)
    assert log_mel(tone, options)[50].argmax() == filters[:, round(hz / 8000 * 256)].argmax()


def test_facts_are_those_of_the_frames_that_hold_sound():
    options = Options(max_s=0.4)
    sounds = [np.random.default_rng(i).normal(0, 0.1, 1600).astype(np.float32) for i in range(4)]
    frames = np.concatenate([log_mel(sound, options)[:20] for sound in sounds]).astype(float)
    facts = fit_facts(sounds, options)
    np.testing.assert_allclose(facts["mean"], frames.mean(axis=0))
    np.testing.assert_allclose(facts["deviation"], frames.std(axis=0), rtol=1e-6)


@pytest.mark.parametrize("max_s", [0.001, 0.1, 1.0, 1.29, 10.0, 61.0])
def test_tokens_stay_few_however_long_a_sound_may_be(max_s):
    options = Options(max_s=max_s, bands=8)
    facts = {"mean": [0.0] * 8, "deviation": [1.0] * 8}
    for seconds in (max_s / 3, max_s):
        row = prepare(np.ones(max(1, round(seconds * 8000)), dtype=np.float32), options, facts)
        assert row["mask"].shape == row["time"].shape == (token_count(options),)
        assert row["mel"].shape[2] % token_count(options) == 0
        assert row["mel"].shape[2] * options.hop_s >= max_s - options.hop_s
        ends = np.append(row["time"], np.inf)[1:]
        assert ends[row["mask"]][-1] >= seconds - options.hop_s  # tokens that are on cover the sound
    assert token_count(options) <= 16
    assert row["mask"].all()
