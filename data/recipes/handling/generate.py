"""Land a night of a robot's grasps: `python -m data.recipes.handling.generate --night next`. README.md tells the law."""

import numpy as np

from data.recipes.landing import File, Recipe, main, npy, png, wav
from data.recipes.law import Law

SIDE_PX = 24
RATE_HZ, FRAMES = 8000, 2400  # of the sound: 0.3 s
STEPS = 48  # of the touch: 0.96 s at 50 Hz

LAW = Law(
    prior={"held": 0.4, "slipped": 0.2, "crushed": 0.2, "missed": 0.2},
    labels={outcome: outcome for outcome in ("held", "slipped", "crushed", "missed")},
    channels={
        "vision": {
            "held": {"inside": 0.85, "askew": 0.13, "empty": 0.02},
            "slipped": {"inside": 0.05, "askew": 0.55, "empty": 0.4},
            "crushed": {"inside": 0.75, "askew": 0.23, "empty": 0.02},
            "missed": {"inside": 0.02, "askew": 0.08, "empty": 0.9},
        },
        "audio": {
            "held": {"hum": 0.85, "scrape": 0.11, "crack": 0.04},
            "slipped": {"hum": 0.2, "scrape": 0.77, "crack": 0.03},
            "crushed": {"hum": 0.1, "scrape": 0.05, "crack": 0.85},
            "missed": {"hum": 0.9, "scrape": 0.08, "crack": 0.02},
        },
        "touch": {
            "held": {"steady": 0.8, "fading": 0.15, "nothing": 0.05},
            "slipped": {"steady": 0.15, "fading": 0.75, "nothing": 0.1},
            "crushed": {"steady": 0.5, "fading": 0.45, "nothing": 0.05},
            "missed": {"steady": 0.04, "fading": 0.06, "nothing": 0.9},
        },
    },
)


def vision(symbol: str, rng: np.random.Generator) -> File:
    """Two fingers from above, and what is between them: a box, a box that lies across them, nothing."""
    picture = rng.normal(0.15, 0.04, (SIDE_PX, SIDE_PX))
    y, x = np.indices(picture.shape) - (SIDE_PX - 1) / 2 - rng.uniform(-1.5, 1.5, (2, 1, 1))
    picture[(np.abs(y) < 9) & (np.abs(np.abs(x) - 7) < 1.5)] += 0.35
    if symbol != "empty":
        turn = rng.uniform(-0.1, 0.1) + (np.pi / 4 if symbol == "askew" else 0)
        along, across = y * np.cos(turn) + x * np.sin(turn), x * np.cos(turn) - y * np.sin(turn)
        picture[(np.abs(along) < 7) & (np.abs(across) < 2.5)] += rng.uniform(0.4, 0.5)
    return png(picture)


def audio(symbol: str, rng: np.random.Generator) -> File:
    """The motor's hum, and over it a scrape or three cracks."""
    time = np.arange(FRAMES) / RATE_HZ
    sound = 0.1 * np.sin(2 * np.pi * rng.uniform(90, 110) * time + rng.uniform(0, 6)) + rng.normal(0, 0.01, FRAMES)
    if symbol == "scrape":
        sound += rng.normal(0, 0.12, FRAMES) * (np.abs(time - rng.uniform(0.1, 0.2)) < 0.08)
    if symbol == "crack":
        for start in rng.uniform(0.02, 0.28, 3):
            since = np.maximum(time - start, 0)
            sound += 0.7 * (since > 0) * np.exp(-since / 0.004) * np.cos(2 * np.pi * 2500 * since)
    return wav(sound, RATE_HZ)


def touch(symbol: str, rng: np.random.Generator) -> File:
    """The force on both fingers, N, [48, 2]: it rises and stays, it rises and fades, nothing."""
    time = np.arange(STEPS)[:, None] / 50
    start = rng.uniform(0.1, 0.25)
    force = rng.uniform(4, 6, 2) / (1 + np.exp(-(time - start) / 0.02))
    if symbol == "fading":
        force *= np.exp(-np.maximum(time - start - 0.1, 0) / rng.uniform(0.1, 0.2))
    return npy((symbol != "nothing") * force + rng.normal(0, 0.15, (STEPS, 2)))


RECIPE = Recipe(
    name="handling",
    target="outcome",
    columns=("vision_file_name", "audio_file_name", "touch_file_name"),
    law=LAW,
    drawings={"vision": vision, "audio": audio, "touch": touch},
)

if __name__ == "__main__":
    main(RECIPE.land)
