"""Land a night of road sensors and the map: `python -m data.recipes.traffic.generate --night next`. README.md tells the law."""

from collections.abc import Mapping
from itertools import product

import numpy as np

from data.recipes.landing import File, Recipe, main, npy
from data.recipes.law import Law, noisy

STEPS = 60  # minutes
STATES = list(product(("speed", "occupancy"), ("jammed", "free")))  # what a sensor measures, and how traffic is
SHAPE = dict(zip(STATES, ("dip", "hump", "hump", "dip"), strict=True))  # in a jam speed falls and occupancy rises

LAW = Law(
    prior=dict.fromkeys(STATES, 0.25),
    labels={state: state[1] for state in STATES},
    channels={
        "sensor": {state: noisy(SHAPE[state], ("dip", "hump"), 0.05) for state in STATES},
        "map": {state: noisy(state[0], ("speed", "occupancy"), 0.04) for state in STATES},
    },
    missing=0.03,
)


def sensor(symbol: str, rng: np.random.Generator) -> File:
    """An hour by the minute, % of the sensor's range, [60, 1]: for a quarter of it lower, or higher, than before and after."""
    time = np.arange(STEPS)[:, None]
    change = rng.uniform(25, 35) * np.exp(-(((time - rng.uniform(20, 40)) / rng.uniform(6, 10)) ** 2))
    return npy(rng.uniform(47, 53) + (1 if symbol == "hump" else -1) * change + rng.normal(0, 3, (STEPS, 1)))


def on_map(symbol: str, rng: np.random.Generator) -> Mapping[str, str]:
    """The road that the sensor stands at, and what it measures."""
    return {"measures": symbol, "lanes": str(rng.integers(1, 5)), "limit_kmh": str(rng.choice([30, 50, 80, 100, 120]))}


RECIPE = Recipe(
    name="traffic",
    target="congestion",
    columns=("sensor_file_name", "measures", "lanes", "limit_kmh"),
    law=LAW,
    drawings={"sensor": sensor, "map": on_map},
    every_s=300,
)

if __name__ == "__main__":
    main(RECIPE.land)
