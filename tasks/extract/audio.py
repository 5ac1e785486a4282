"""Sound -> up to 16 tokens over time: log-mel spectrogram, then a small convolutional network."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tasks.extract.layers import Inputs, convolution, hidden_stretches, shifted
from tasks.profile.audio import Options

BATCH = 32  # convolutions of more sounds leave the processor's caches
MOST_TOKENS = 16
STRIDE = 8  # frames (and bands) per place after three strided convolutions
CHANNELS = 32
FLOOR = 1e-8  # power below which nothing is told apart; full scale is 1
CLIP = 4.0  # standard deviations
SHIFT, HIDDEN_BANDS, HIDDEN_FRAMES, NOISE = STRIDE, 4, 10, 0.2  # what training varies


@lru_cache(maxsize=8)
def mel_filters(bands: int, size: int, rate_hz: int) -> npt.NDArray[np.float64]:
    """Triangles that overlap by half, evenly spaced on the mel scale (O'Shaughnessy 1987): float64 [bands, size / 2 + 1]."""
    highest = 2595 * np.log10(1 + rate_hz / 2 / 700)
    corners_hz = 700 * (10 ** (np.linspace(0, highest, bands + 2) / 2595) - 1)
    low, middle, high = corners_hz[:-2, None], corners_hz[1:-1, None], corners_hz[2:, None]
    bins_hz = np.linspace(0, rate_hz / 2, size // 2 + 1)
    return np.maximum(0, np.minimum((bins_hz - low) / (middle - low), (high - bins_hz) / (high - middle)))


def log_mel(sound: npt.NDArray[np.float32], options: Options) -> npt.NDArray[np.float32]:
    """Logarithm of the power in each mel band, a frame every `hop_s`, silence after the sound's end.

    Args:
        sound: float32 [n], full scale -1 to 1.
        options: rates and lengths.

    Returns:
        float32 [max_s / hop_s rounded up, bands], natural logarithm; frame i is centred on i * hop_s.
    """
    steps, window, hop = (_steps(length_s, options) for length_s in (options.max_s, options.window_s, options.hop_s))
    size = _spectrum(window, options)
    padded = np.zeros(steps + size, dtype=np.float32)
    padded[window // 2 : window // 2 + min(len(sound), steps)] = sound[:steps]
    frames = torch.from_numpy(padded).unfold(0, size, hop)[: -(-steps // hop)]
    spectra = torch.fft.rfft(frames * _hann(window, size)).numpy()  # in half of numpy's time
    power = spectra.real**2 + spectra.imag**2  # [frames, size / 2 + 1]
    return np.asarray(np.log(power @ _filters(options.bands, size, options.sample_rate_hz) + np.float32(FLOOR)))


@lru_cache(maxsize=8)
def _spectrum(window: int, options: Options) -> int:
    """Length of a Fourier transform: the least power of two that holds a window, with a bin in the narrowest band."""
    step = np.log10(1 + options.sample_rate_hz / 2 / 700) / (options.bands + 1)
    narrowest_hz = 700 * (10**step - 1)  # half of the lowest band
    return int(2 ** np.ceil(np.log2(max(window, options.sample_rate_hz / narrowest_hz))))


@lru_cache(maxsize=8)
def _hann(window: int, size: int) -> Tensor:
    """A window of Hann's shape, zeros behind it: float32 [size]."""
    return torch.from_numpy(np.pad(np.hanning(window + 1)[:-1], (0, size - window)).astype(np.float32))


@lru_cache(maxsize=8)
def _filters(bands: int, size: int, rate_hz: int) -> npt.NDArray[np.float32]:
    return np.ascontiguousarray(mel_filters(bands, size, rate_hz).T, dtype=np.float32)


def _used_frames(sound: npt.NDArray[np.float32], options: Options) -> int:
    return max(1, round(len(sound) / options.sample_rate_hz / options.hop_s))


def _steps(length_s: float, options: Options) -> int:
    return max(1, round(length_s * options.sample_rate_hz))


def _frames(options: Options) -> tuple[int, int]:
    """Frames of a sound of `max_s`, and how many of them a token stands for."""
    steps, hop = (_steps(length_s, options) for length_s in (options.max_s, options.hop_s))
    frames = -(-steps // hop)
    return frames, -(-frames // (STRIDE * MOST_TOKENS)) * STRIDE


def token_count(options: Options) -> int:
    """At most 16, whatever `max_s` is; a short sound uses the first ones."""
    frames, per_token = _frames(options)
    return -(-frames // per_token)


def fit_facts(arrays: Sequence[npt.NDArray[np.float32]], options: Options) -> dict[str, Any]:
    """Mean and standard deviation of each band over the frames of the training sounds."""
    sums, squares, count = np.zeros(options.bands), np.zeros(options.bands), 0
    for sound in arrays:
        mel = log_mel(sound, options)[: _used_frames(sound, options)].astype(np.float64)
        sums, squares, count = sums + mel.sum(axis=0), squares + (mel**2).sum(axis=0), count + len(mel)
    deviation = np.sqrt(np.maximum(squares / count - (sums / count) ** 2, 1e-6))
    return {"mean": (sums / count).tolist(), "deviation": deviation.tolist()}


def prepare(array: npt.NDArray[np.float32], options: Options, facts: Mapping[str, Any]) -> Inputs:
    """`mel` float32 [1, bands, tokens * frames per token], standardised; after the sound's end it is 0 and tokens are off."""
    mean, deviation = (np.array(facts[key], dtype=np.float32) for key in ("mean", "deviation"))
    mel = (log_mel(array, options) - mean) / deviation
    tokens, (_, per_token) = token_count(options), _frames(options)
    used = min(len(mel), _used_frames(array, options))
    pixels = np.zeros((1, options.bands, tokens * per_token), dtype=np.float32)
    pixels[0, :, :used] = np.clip(mel[:used], -CLIP, CLIP).T
    starts = np.arange(tokens) * per_token
    return {"mel": pixels, "mask": starts < used, "time": (starts * options.hop_s).astype(np.float32)}


def augment(inputs: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
    """Move in time, add noise, hide a stretch of bands and one of frames (Park et al. 2019, "SpecAugment")."""
    mel = inputs["mel"] + NOISE * torch.randn(inputs["mel"].shape, generator=generator)
    mel = shifted(mel, SHIFT, -1, generator)
    batch, _, bands, frames = mel.shape
    mel = mel.masked_fill(hidden_stretches(batch, bands, min(HIDDEN_BANDS, bands), generator)[:, None, :, None], 0)
    mel = mel.masked_fill(hidden_stretches(batch, frames, min(HIDDEN_FRAMES, frames), generator)[:, None, None], 0)
    return {**inputs, "mel": mel}


class Encoder(nn.Module):
    """Three strided convolutions over bands and frames, then one layer over all bands of a moment."""

    def __init__(self, options: Options, facts: Mapping[str, Any], width: int, dropout: float) -> None:
        """Make the layers; see the package for the arguments."""
        super().__init__()
        self.layers = nn.Sequential(convolution(1, 16, 2), convolution(16, CHANNELS, 2), convolution(CHANNELS, CHANNELS, 2))
        inside = CHANNELS * -(-options.bands // STRIDE)
        self.join = nn.Sequential(nn.Dropout(dropout), nn.Linear(inside, width), nn.ReLU(), nn.Dropout(dropout))

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """`mel` float32 [b, 1, bands, frames] -> tokens float32 [b, t, width]."""
        places = self.layers(inputs["mel"]).flatten(1, 2).transpose(1, 2)  # [b, frames / 8, channels * bands / 8]
        tokens: Tensor = self.join(places)
        return tokens.reshape(len(tokens), inputs["mask"].shape[1], -1, tokens.shape[-1]).mean(dim=2)
