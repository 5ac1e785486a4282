"""Where in the input an answer comes from: each part's Shapley value, drawn on the input itself.

A sample is opened and written by its kind's module of `tasks.damage`; a file per kind here, found by its name, has

    parts(thing)                int: how many parts the thing has, at most MOST
    hidden(thing, gone, facts)  the thing with some of its parts, bool [parts], told by nothing any more; the given one is left
                                as it is; `facts` are those of the modality's encoder
    draw(axes, thing, tint)     draw it on matplotlib's axes; `tint` float64 [parts], -1 … 1, is what each part says against or
                                for the answer, by the strongest part of the sample

A kind without such a file is not explained.
"""

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

import numpy as np
import numpy.typing as npt

MOST = 64  # parts of a sample: what is asked of the model grows with them

Parts = npt.NDArray[np.int64]  # the part that each element belongs to


def kind_module(kind: str) -> ModuleType | None:
    """The module of a kind's parts; None where there is none. The kind's name has been checked by `tasks.params`."""
    name = f"tasks.explain.{kind}"
    return import_module(name) if find_spec(name) else None


def cells(shape: Sequence[int], counts: Sequence[int]) -> Parts:
    """Cut an array of this shape along each axis into so many stretches of equal length: int64 [*shape], part by part."""
    found = np.zeros(shape, np.int64)
    for axis, (length, count) in enumerate(zip(shape, counts, strict=True)):
        along = np.arange(length) * count // length
        found = found * count + along.reshape([-1 if at == axis else 1 for at in range(len(shape))])
    return found


def runs(count: int, most: int = MOST) -> Parts:
    """The part of each of some things in a row: one each, or runs of neighbours where there are more than so many."""
    parts = min(count, most)
    return np.arange(count, dtype=np.int64) * parts // max(count, 1)
