"""Hostile files of every kind, in a process of its own that gets little memory: `python -m tests.profile.fuzz`.

Whole files of every format are cut and changed by chance; beside them stand headers that promise too much, and bombs. Each is
decoded and measured as `profile` does it. One line of JSON per kind tells what became of them.
"""

import faulthandler
import json
import resource
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tasks.errors import ContractBroken
from tasks.profile import kind_module
from tests.profile.damage import damaged
from tests.profile.hostile import HOSTILE, whole

MEMORY_MIB = 256  # that a decoder may ask for, beside what was taken before
COPIES = 14  # of each whole file, damaged by chance
OPTIONS: Mapping[str, Mapping[str, object]] = {
    "audio": {},
    "image": {},
    "pointcloud": {"fields": ("intensity",)},
    "tabular": {"numbers": ("size",), "categories": ("colour",), "times": ("when",), "tracks": ("way",)},
    "text": {},
    "timeseries": {"channels": 2},
    "video": {"side_px": 8, "rate_hz": 5.0, "max_s": 2.0},
    "volume": {"side": 8},
}


@dataclass
class Told:
    """What became of the files of one kind."""

    kind: str
    refused: int = 0
    read: int = 0
    accepted: list[str] = field(default_factory=list)  # hostile ones that were read
    escaped: list[str] = field(default_factory=list)  # another error than a refusal
    starved: list[str] = field(default_factory=list)  # refused for want of memory alone
    slowest: tuple[float, str] = (0.0, "")  # CPU seconds


def inputs(kind: str, files: Mapping[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """Hostile files, whose names end with "!", then damaged ones."""
    yield from ((f"{name}!", data) for name, data in HOSTILE[kind](files).items())
    for name, data in files.items():
        yield from ((f"{name} {number}", hurt) for number, hurt in enumerate(damaged(data, COPIES, head=600)))


def tried(kind: str, files: Mapping[str, bytes]) -> Told:
    """Decode and measure the files of one kind."""
    module, told = kind_module(kind), Told(kind)
    options = module.Options(**OPTIONS[kind])
    for data in files.values():  # what libraries take once; whole files are read
        profiled(module, data, options)
    ready = list(inputs(kind, files))
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + (MEMORY_MIB << 20), resource.RLIM_INFINITY))
    for name, data in ready:
        began = time.process_time()
        try:
            profiled(module, data, options)
        except ContractBroken as broken:
            told.refused += 1
            if isinstance(broken.__cause__, MemoryError) or "allocate" in str(broken):
                told.starved.append(f"{name}: {broken}")
        except Exception as error:
            told.escaped.append(f"{name}: {error!r}")
        else:
            told.read += 1
            if name.endswith("!"):
                told.accepted.append(name)
        told.slowest = max(told.slowest, (round(time.process_time() - began, 3), name))
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return told


def profiled(module, data: bytes, options) -> None:
    """What the stage does with a sample; numbers have to come out."""
    array = module.decode(data, options)
    measured = module.measure(array, options)
    module.near_hash(array)
    module.duration_s(array, options)
    if np.isinf(array).any() or not all(np.isfinite(value) for value in measured.values()):
        raise ValueError(f"measures {measured}")


def main() -> None:
    faulthandler.enable()
    warnings.simplefilter("ignore")  # Pillow warns of odd metadata
    files = whole()
    for kind in HOSTILE:
        print(json.dumps(tried(kind, files[kind]).__dict__), flush=True)


if __name__ == "__main__":
    main()
