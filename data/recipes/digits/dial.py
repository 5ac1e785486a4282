"""A digit dialled on a phone keypad: two tones (ITU-T Q.23) on a bad line."""

import numpy as np
import numpy.typing as npt

from data.recipes.landing import wav

RATE_HZ = 8000
FRAMES = 3200  # 0.4 s
ROWS_HZ = (697, 770, 852, 941)
COLUMNS_HZ = (1209, 1336, 1477)
KEYPAD = ("123", "456", "789", "*0#")
NOISE = 1.6  # deviation of the strongest noise; a tone's amplitude is 0.5
CROSSTALK = 0.5  # how often another call is heard on the line


def tones_hz(digit: int) -> tuple[int, int]:
    """The two tones of a key, in Hz."""
    row = next(i for i, keys in enumerate(KEYPAD) if str(digit) in keys)
    return ROWS_HZ[row], COLUMNS_HZ[KEYPAD[row].index(str(digit))]


def call(digit: int, rng: np.random.Generator) -> bytes:
    """One recording of a key being pressed: a mono WAV, 8 kHz, 16 bit, 0.4 s."""
    line = pressed(digit, rng)
    if rng.random() < CROSSTALK:
        line += rng.uniform(0.4, 1.5) * pressed(int(rng.integers(10)), rng)
    time = np.arange(FRAMES) / RATE_HZ
    line += rng.uniform(0, 0.6) * np.sin(2 * np.pi * 50 * time + rng.uniform(0, 2 * np.pi))  # mains hum
    line += NOISE * rng.uniform(0.25, 1) * hiss(rng)
    return wav(line / 3, RATE_HZ).data  # a loud line is cut


def pressed(digit: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """The key's tones on a silent line, [3200]: pressed for 80 to 200 ms, somewhere, up to 1.5 % out of tune."""
    time = np.arange(FRAMES) / RATE_HZ
    start, length = rng.uniform(0, 0.2), rng.uniform(0.08, 0.2)
    on = (time >= start) & (time < start + length)
    tune = rng.uniform(0.985, 1.015)
    return sum(0.5 * on * np.sin(2 * np.pi * tune * hz * time + rng.uniform(0, 2 * np.pi)) for hz in tones_hz(digit))


def hiss(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Noise between white and pink, [3200], deviation 1."""
    spectrum = np.fft.rfft(rng.normal(size=FRAMES))
    frequency = np.fft.rfftfreq(FRAMES, 1 / RATE_HZ)
    frequency[0] = frequency[1]
    noise = np.fft.irfft(spectrum / frequency ** rng.uniform(0, 0.5), FRAMES)
    return noise / noise.std()
