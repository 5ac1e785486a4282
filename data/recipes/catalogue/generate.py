"""Land a night of goods in a shop: `python -m data.recipes.catalogue.generate --night next`. README.md tells the law."""

from collections.abc import Mapping
from itertools import product

import numpy as np

from data.recipes.landing import File, Recipe, main, png
from data.recipes.law import Law, noisy

SIDE_PX = 24
THINGS, WEARERS = ("shirt", "trousers"), ("adult", "child")
STATES = list(product(THINGS, WEARERS))
NAMED = 0.25  # how often the line names the thing

LAW = Law(
    prior=dict.fromkeys(STATES, 0.25),
    labels={(thing, wearer): f"{wearer} {thing}" for thing, wearer in STATES},
    channels={
        "image": {state: noisy(state[0], THINGS, 0.06) for state in STATES},
        "text": {
            (thing, wearer): {
                f"{said} {name}": chance * named
                for said, chance in noisy(wearer, WEARERS, 0.07).items()
                for name, named in {"thing": 1 - NAMED, thing: NAMED}.items()
            }
            for thing, wearer in STATES
        },
    },
)

SAID = {
    "adult": ("size M", "size L", "size XL", "regular fit", "for men", "for women", "Damen", "Herren", "tall sizes"),
    "child": ("age 4", "age 6-8", "ages 9 to 11", "for kids", "junior", "for girls", "for boys", "Kinder", "baby soft"),
}
NAMES = {
    "thing": ("", "", "new season", "bestseller", "sale"),
    "shirt": ("shirt", "t-shirt", "blouse"),
    "trousers": ("trousers", "jeans", "pants"),
}
PRAISE = ("organic cotton", "washed", "easy care", "navy", "olive", "striped", "made to last", "light", "warm")


def image(symbol: str, rng: np.random.Generator) -> File:
    """A photograph of the thing alone: somewhere, larger or smaller, on a lighter ground."""
    picture = np.full((SIDE_PX, SIDE_PX), rng.uniform(0.75, 0.95))
    size = rng.uniform(0.8, 1.1)
    at = rng.uniform(2, 5, 2)
    for top, left, bottom, right in PARTS[symbol]:
        (y, x), (v, u) = (at + size * np.array([top, left])), (at + size * np.array([bottom, right]))
        picture[round(y) : round(v), round(x) : round(u)] = rng.uniform(0.15, 0.45)
    return png(picture + rng.normal(0, 0.04, picture.shape))


PARTS = {  # boxes: top, left, bottom, right
    "shirt": ((0, 4, 15, 12), (0, 0, 6, 4), (0, 12, 6, 16)),
    "trousers": ((0, 3, 4, 13), (4, 3, 16, 7), (4, 9, 16, 13)),
}


def text(symbol: str, rng: np.random.Generator) -> Mapping[str, str]:
    """A line as a shop has it: whom it is for, perhaps what it is, and praise, in any order."""
    wearer, name = symbol.split()
    words = [rng.choice(SAID[wearer]), rng.choice(NAMES[name]), *rng.choice(PRAISE, 2, replace=False)]
    return {"text": ", ".join(str(word) for word in rng.permutation(words) if word)}


RECIPE = Recipe(
    name="catalogue",
    target="category",
    columns=("image_file_name", "text"),
    law=LAW,
    drawings={"image": image, "text": text},
)

if __name__ == "__main__":
    main(RECIPE.land)
