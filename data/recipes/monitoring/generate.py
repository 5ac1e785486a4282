"""Land a night of a workshop's camera, microphone and meter: `python -m data.recipes.monitoring.generate --night next`."""

from itertools import product

import numpy as np

from data.recipes.landing import File, Recipe, main, npy, wav
from data.recipes.law import Law, noisy

FRAMES, SIDE_PX = 6, 16  # of the video: 1.5 s at 4 Hz
RATE_HZ, LONG = 8000, 2400  # of the sound: 0.3 s
STEPS = 48  # of the meter: 24 s at 2 Hz

STATES = list(product(("nobody", "someone"), ("off", "on")))  # in the workshop, and the machine
EVENT = dict(zip(STATES, ("normal", "alarm", "alarm", "normal"), strict=True))  # left alone while it runs; there while it rests
SEVERITY = dict(zip(STATES, (0.0, 8.0, 4.0, 1.0), strict=True))
SOUND = {"off": "quiet", "on": "running"}
DRAWN = {"off": {"none": 0.8, "half": 0.17, "full": 0.03}, "on": {"none": 0.02, "half": 0.28, "full": 0.7}}

LAW = Law(
    prior=dict.fromkeys(STATES, 0.25),
    labels=EVENT,
    channels={
        "camera": {state: noisy(state[0], ("nobody", "someone"), 0.05) for state in STATES},
        "microphone": {state: noisy(SOUND[state[1]], ("quiet", "running"), 0.1) for state in STATES},
        "meter": {state: DRAWN[state[1]] for state in STATES},
    },
    missing=0.03,
    values=SEVERITY,
    spread=0.5,
)


def camera(symbol: str, rng: np.random.Generator) -> File:
    """Six frames of a dark room [6, 16, 16], 0 to 255, and somebody bright who walks through it."""
    clip = rng.normal(40, 5, (FRAMES, SIDE_PX, SIDE_PX))
    if symbol == "someone":
        starts, steps, row = rng.uniform(0, 10), rng.uniform(-1.5, 1.5), int(rng.integers(2, 8))
        for number, frame in enumerate(clip):
            left = int(np.clip(starts + number * steps, 0, SIDE_PX - 4))
            frame[row : row + 7, left : left + 4] += 140
    return npy(clip)


def microphone(symbol: str, rng: np.random.Generator) -> File:
    """A room's hiss, and over it the machine: a buzz of 120 Hz and its harmonics."""
    time = np.arange(LONG) / RATE_HZ
    hz = rng.uniform(110, 130)
    buzz = sum(np.sin(2 * np.pi * n * hz * time + rng.uniform(0, 6)) / n for n in range(1, 8))
    return wav(0.15 * (symbol == "running") * buzz + rng.normal(0, 0.02, LONG), RATE_HZ)


def meter(symbol: str, rng: np.random.Generator) -> File:
    """The current that the workshop draws, A, [48, 1]."""
    level = {"none": 0.5, "half": 4.0, "full": 9.0}[symbol]
    return npy(level * rng.uniform(0.9, 1.1) + rng.normal(0, 0.25, (STEPS, 1)))


RECIPE = Recipe(
    name="monitoring",
    target="event",
    columns=("camera_file_name", "microphone_file_name", "meter_file_name"),
    law=LAW,
    drawings={"camera": camera, "microphone": microphone, "meter": meter},
    number="severity",
    alarm="alarm",
)

if __name__ == "__main__":
    main(RECIPE.land)
