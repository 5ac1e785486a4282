"""Sound -> up to 16 tokens over time: log-mel spectrogram, then a small convolutional network."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tasks.extract.layers import Inputs, convolution, shifted
from tasks.profile.audio import Options

FLOOR = 1e-8


@lru_cache
def mel_filters(bands: int, bins: int, rate_hz: int) -> npt.NDArray[np.float64]:
    high = 2595 * np.log10(1 + rate_hz / 2 / 700)
    corners = 700 * (10 ** (np.linspace(0, high, bands + 2) / 2595) - 1)
    low, mid, up = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    f = np.linspace(0, rate_hz / 2, bins)[None]
    return np.clip(np.minimum((f - low) / (mid - low), (up - f) / (up - mid)), 0, None)


def log_mel(array, options):
    window, hop = round(options.window_s * options.sample_rate_hz), round(options.hop_s * options.sample_rate_hz)
    total = round(options.max_s * options.sample_rate_hz)
    size = 512
    padded = np.zeros(total + window, dtype=np.float32); padded[window//2:window//2+len(array)] = array[:total]
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(window).astype(np.float32), size, axis=1)) ** 2
    return np.log(power @ mel_filters(options.bands, size // 2 + 1, options.sample_rate_hz).T + FLOOR)


def fit_facts(arrays, options):
    mels = np.concatenate([log_mel(a, options)[: max(1, int(len(a)/options.sample_rate_hz/options.hop_s))] for a in arrays])
    return {"mean": mels.mean(0).tolist(), "deviation": np.maximum(mels.std(0), 1e-3).tolist()}


def prepare(array, options, facts):
    mel = (log_mel(array, options) - np.array(facts["mean"])) / np.array(facts["deviation"])
    mel = np.clip(mel, -4, 4).astype(np.float32)
    n = -(-(-(-len(mel) // 2)) // 2); n = -(-n // 2)
    used = max(1, -(-round(len(array) / options.sample_rate_hz / options.hop_s) // 8))
    mask = np.arange(n) < used
    mel[int(used*8):] = 0
    return {"mel": mel.T[None].copy(), "mask": mask, "time": np.arange(n, dtype=np.float32) * 8 * options.hop_s}

AUG = dict(shift=8, noise=0.2, fmask=4, tmask=10)

def augment(inputs, generator):
    mel = inputs["mel"]
    mel = mel + AUG["noise"] * torch.randn(mel.shape, generator=generator)
    if AUG["shift"]: mel = shifted(mel, AUG["shift"], -1, generator)
    b = len(mel)
    for dim, most in ((2, AUG["fmask"]), (3, AUG["tmask"])):
        if not most: continue
        L = mel.shape[dim]
        w = torch.randint(0, most + 1, (b, 1), generator=generator)
        s = (torch.rand((b, 1), generator=generator) * (L - w)).long()
        i = torch.arange(L)[None]
        hide = (i >= s) & (i < s + w)
        mel = mel.masked_fill(hide[:, None, :, None] if dim == 2 else hide[:, None, None], 0)
    return {**inputs, "mel": mel}

class Encoder(nn.Module):
    def __init__(self, options, facts, width, dropout):
        super().__init__()
        bands = options.bands
        self.layers = nn.Sequential(convolution(1, 16, 2), convolution(16, 32, 2), convolution(32, 32, 2))
        self.join = nn.Sequential(nn.Dropout(dropout), nn.Linear(32 * -(-bands // 8), width), nn.ReLU())
        self.dropout = nn.Dropout(dropout)

    def forward(self, inputs):
        x = self.layers(inputs["mel"])  # b c f t
        return self.dropout(self.join(x.flatten(1, 2).transpose(1, 2)))
