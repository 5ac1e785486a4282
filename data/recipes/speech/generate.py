"""Land a night of spoken commands: `python -m data.recipes.speech.generate --night next`. README.md tells the law."""

from collections.abc import Mapping
from itertools import product

import numpy as np

from data.recipes.landing import File, Recipe, main, wav
from data.recipes.law import Law, noisy

RATE_HZ, FRAMES = 8000, 3200  # 0.4 s
SYLLABLES = {"light": 1, "heating": 2, "television": 4}
DEVICES, SWITCHES = tuple(SYLLABLES), ("on", "off")
STATES = list(product(DEVICES, SWITCHES))
MELODY = {"on": "rising", "off": "falling"}

LAW = Law(
    prior=dict.fromkeys(STATES, 1 / 6),
    labels={state: " ".join(state) for state in STATES},
    channels={
        "spectrum": {state: noisy(MELODY[state[1]], ("rising", "falling"), 0.07) for state in STATES},
        "words": {
            state: {
                f"{device} {switch}": one * other
                for device, one in noisy(state[0], DEVICES, 0.14).items()
                for switch, other in noisy(state[1], SWITCHES, 0.3).items()
            }
            for state in STATES
        },
        "timing": {state: noisy(state[0], DEVICES, 0.16) for state in STATES},
    },
)

HEARD = {
    "light": ("light", "lights", "the light", "lamp"),
    "heating": ("heating", "the heating", "heater", "heat"),
    "television": ("television", "the television", "TV", "telly"),
    "on": ("on", "on please", "start"),
    "off": ("off", "off please", "stop"),
}


def spectrum(symbol: str, rng: np.random.Generator) -> File:
    """A voice of five harmonics that glides up or down."""
    time = np.arange(FRAMES) / FRAMES
    climb = rng.uniform(0.7, 1.1) * (1 if symbol == "rising" else -1)  # octaves
    hz = rng.uniform(180, 320) * 2 ** (climb * (time - 0.5))
    phase = 2 * np.pi * np.cumsum(hz) / RATE_HZ
    voice = sum(np.sin(number * phase + rng.uniform(0, 6)) / number for number in range(1, 6))
    return wav(rng.uniform(0.15, 0.3) * voice + rng.normal(0, 0.01, FRAMES), RATE_HZ)


def words(symbol: str, rng: np.random.Generator) -> Mapping[str, str]:
    """What a recogniser wrote down."""
    device, switch = symbol.split()
    spoken = f"{rng.choice(HEARD[device])} {rng.choice(HEARD[switch])}"
    return {"words": f"{rng.choice(('', 'turn', 'er', 'now'))} {spoken}".strip()}


def timing(symbol: str, rng: np.random.Generator) -> Mapping[str, str]:
    """When the words began and ended, s."""
    first = 0.15 * SYLLABLES[symbol] + rng.uniform(0.05, 0.1)
    begin, pause, second = rng.uniform(0.1, 0.5), rng.uniform(0.05, 0.2), rng.uniform(0.15, 0.3)
    return {"first_s": f"{first:.3f}", "begin_s": f"{begin:.3f}", "pause_s": f"{pause:.3f}", "second_s": f"{second:.3f}"}


RECIPE = Recipe(
    name="speech",
    target="command",
    columns=("spectrum_file_name", "words", "begin_s", "first_s", "pause_s", "second_s"),
    law=LAW,
    drawings={"spectrum": spectrum, "words": words, "timing": timing},
)

if __name__ == "__main__":
    main(RECIPE.land)
