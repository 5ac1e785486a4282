"""Batches of any size: 640 x 480 JPEG, 2 s WAV and text per sample; seeded, as hard to compress as photos and speech."""

import csv
import io
import wave
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = 10
WIDTH_PX, HEIGHT_PX = 640, 480
RATE_HZ, LONG_S = 16_000, 2
WORDS = ("night", "river", "stone", "lamp", "paper", "glass", "wheel", "cloud", "garden", "engine", "needle", "harbour")


def land(folder: Path, first: int, samples: int, seed: int = 0) -> int:
    """Write one batch, `metadata.csv` last.

    Args:
        folder: the batch's folder.
        first: number of its first sample; ids never repeat between batches that do not overlap.
        samples: how many.
        seed: of everything random.

    Returns:
        Bytes landed.
    """
    for place in ("image", "audio"):
        (folder / place).mkdir(parents=True)
    scenes = [_scene(np.random.default_rng([seed, 7, label])) for label in range(CLASSES)]
    grain = np.random.default_rng([seed, 8]).normal(0, 7, (2 * HEIGHT_PX, 2 * WIDTH_PX, 1)).astype(np.float32)
    size = 0
    with (folder / "metadata.tmp").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["sample_id", "group", "label", "image_file_name", "audio_file_name", "text"])
        for number in range(first, first + samples):
            rng = np.random.default_rng([seed, number])
            label = int(rng.integers(CLASSES))
            name = f"s{number:07d}"
            files = {f"image/{name}.jpg": _photo(rng, scenes[label], grain), f"audio/{name}.wav": _sound(rng, label)}
            for path, data in files.items():
                (folder / path).write_bytes(data)
                size += len(data)
            text = " ".join([*rng.choice(WORDS, 40), WORDS[label] * int(rng.integers(1, 3)), *rng.choice(WORDS, 8)])
            rows.writerow([name, f"g{number}", label, *files, text])
            size += len(text)
    (folder / "metadata.tmp").rename(folder / "metadata.csv")
    return size


def _scene(rng: np.random.Generator) -> np.ndarray:
    """Smooth shapes that tell a class: float32 [height, width, 3], 0 to 255."""
    small = rng.uniform(30, 220, (6, 8, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(small).resize((WIDTH_PX, HEIGHT_PX), Image.Resampling.BICUBIC), dtype=np.float32)


def _photo(rng: np.random.Generator, scene: np.ndarray, grain: np.ndarray) -> bytes:
    """The class's scene, moved, under two scales of noise: some 90 kB as JPEG of quality 85."""
    moved = np.roll(scene, (int(rng.integers(-40, 40)), int(rng.integers(-60, 60))), axis=(0, 1))
    coarse = rng.normal(0, 12, (HEIGHT_PX // 4, WIDTH_PX // 4, 1)).astype(np.float32).repeat(4, 0).repeat(4, 1)
    top, left = int(rng.integers(HEIGHT_PX)), int(rng.integers(WIDTH_PX))
    fine = grain[top : top + HEIGHT_PX, left : left + WIDTH_PX]
    file = io.BytesIO()
    Image.fromarray((moved + coarse + fine).clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=85)
    return file.getvalue()


def _sound(rng: np.random.Generator, label: int) -> bytes:
    """A tone that tells the class in noise, 16 bit: 64 kB."""
    t = np.arange(RATE_HZ * LONG_S) / RATE_HZ
    tone = np.sin(2 * np.pi * (200 + 150 * label) * t + rng.uniform(0, 6)) * 0.25 + rng.normal(0, 0.08, t.size)
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
        out.writeframes((tone.clip(-1, 1) * 32767).astype("<i2").tobytes())
    return file.getvalue()
