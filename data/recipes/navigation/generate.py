"""Land a night of a vehicle's drives: `python -m data.recipes.navigation.generate --night next`. README.md tells the law."""

from itertools import product

import numpy as np
import numpy.typing as npt

from data.recipes.landing import File, Recipe, main, npy, png
from data.recipes.law import Law, noisy

SIDE_PX = 24  # of a picture
STEPS = 40  # of the motion: 4 s at 10 Hz
SIGNS, SIDES, COURSES = ("no sign", "stop", "limit"), ("left", "free", "right"), ("left", "straight", "right")
STATES = list(product(SIGNS, SIDES, COURSES))
BLOCKED = {"left": 0.2, "free": 0.6, "right": 0.2}  # how often something stands in the way, and where
TURNED = {"left": 2.5, "straight": 0.0, "right": -2.5}  # m to the left, in 2 s
AVOIDED = {"left": -2.5, "free": 0.0, "right": 2.5}

LAW = Law(
    prior={state: BLOCKED[state[1]] / 9 for state in STATES},
    labels={(sign, side, course): sign if side == "free" else "obstacle" for sign, side, course in STATES},
    channels={
        "camera": {state: noisy(state[0], SIGNS, 0.06) for state in STATES},
        "lidar": {state: noisy(state[1], SIDES, 0.06) for state in STATES},
        "motion": {state: noisy(state[2], COURSES, 0.06) for state in STATES},
    },
    missing=0.03,
    values={(sign, side, course): TURNED[course] + AVOIDED[side] for sign, side, course in STATES},
    spread=0.5,
)


def camera(symbol: str, rng: np.random.Generator) -> File:
    """The road's edge: nothing, a filled stop sign, or the ring of a speed limit, somewhere."""
    picture = rng.normal(0.5, 0.05, (SIDE_PX, SIDE_PX))
    y, x = np.indices(picture.shape) - rng.uniform(8, 15, (2, 1, 1))
    away, size = np.hypot(y, x), rng.uniform(5, 7)
    if symbol == "stop":
        picture[np.maximum(np.maximum(np.abs(y), np.abs(x)), (np.abs(y) + np.abs(x)) / 1.4) < size] = rng.uniform(0.05, 0.2)
    if symbol == "limit":
        picture[away < size] = rng.uniform(0.85, 0.95)
        picture[(away < size) & (away > size - 2)] = rng.uniform(0.05, 0.2)
    return png(picture)


def lidar(symbol: str, rng: np.random.Generator) -> File:
    """Points ahead, m (ahead, left, up), [n, 3]: the ground, and a box on its left or right half."""
    ground = scattered(rng, int(rng.integers(50, 80)), (3, -4, -0.05), (15, 4, 0.05))
    if symbol == "free":
        return npy(ground)
    ahead, left = rng.uniform(5, 11), rng.uniform(1, 2.5) * (1 if symbol == "left" else -1)
    return npy(np.concatenate([ground, scattered(rng, 30, (ahead, left - 0.6, 0), (ahead + 1.2, left + 0.6, 1.4))]))


def scattered(
    rng: np.random.Generator, points: int, low: tuple[float, float, float], high: tuple[float, float, float]
) -> npt.NDArray[np.float64]:
    """Points in a box, [points, 3]."""
    return rng.uniform(low, high, (points, 3))


def motion(symbol: str, rng: np.random.Generator) -> File:
    """How the vehicle turns (gyroscope, rad/s) and how fast it is (GPS, m/s), [40, 2]."""
    time = np.arange(STEPS)[:, None] / 10
    turn = (
        {"left": 1, "straight": 0, "right": -1}[symbol]
        * rng.uniform(0.2, 0.3)
        / (1 + np.exp(-(time - rng.uniform(1, 2)) / 0.2))
    )
    speed = rng.uniform(5, 9) + np.zeros_like(time)
    return npy(np.concatenate([turn, speed], axis=1) + rng.normal(0, (0.03, 0.2), (STEPS, 2)))


RECIPE = Recipe(
    name="navigation",
    target="scene",
    columns=("camera_file_name", "lidar_file_name", "motion_file_name"),
    law=LAW,
    drawings={"camera": camera, "lidar": lidar, "motion": motion},
    number="waypoint_m",
)

if __name__ == "__main__":
    main(RECIPE.land)
