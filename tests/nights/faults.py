"""The faults, each with its dose and the row that is meant for it."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.features import Features, read_features, read_sample_ids, write_features
from tasks.files import write_bytes
from tasks.params import load
from tasks.paths import FEATURES, MANIFEST
from tasks.splits import assign
from tasks.tables import write_parquet
from tests.nights.world import CLASSES, FIRST, FRAMES, Sample, encoded, heard, sample, seen, wav

NOISY = 0.3  # share of the labels that are drawn anew
SILENCE = 0.0005  # of full scale: what a dead microphone's amplifier hisses
GAIN = 1.2  # of every pixel
AGAIN = 25  # groups
TAUGHT = 0.1  # share of the train samples
OVERFIT = {"epochs": 150, "patience": 150, "weight_decay": 0.0, "dropout": 0.0, "modality_dropout": 0.0}
IGNORED = "image"
GOOD = "good"

Batch = list[Sample]


def as_it_is(batch: Batch, seed: int) -> Batch:
    """Nothing is planted."""
    return batch


def label_noise(batch: Batch, seed: int) -> Batch:
    """Whoever labelled this batch guessed for three in ten, in train and test alike: no model can be judged by it."""
    rng = np.random.default_rng([seed, 3])
    return [replace(one, label=str(rng.choice(CLASSES)) if rng.random() < NOISY else one.label) for one in batch]


def dead_microphone(batch: Batch, seed: int) -> Batch:
    """The clips are there and can be decoded, but there is nothing in them."""
    rng = np.random.default_rng([seed, 4])
    return [replace(one, audio=wav(rng.normal(0, SILENCE, FRAMES))) for one in batch]


def drifted_camera(batch: Batch, seed: int) -> Batch:
    """Everything is brighter by a fifth: a new exposure, a cleaned lens."""
    return [replace(one, image=encoded(seen(one.image) * GAIN, "PNG")) for one in batch]


def duplicated_group(batch: Batch, seed: int) -> Batch:
    """Old sessions land again as new ones that judge: a little quieter, through a JPEG, so that no byte is equal."""
    rng = np.random.default_rng([seed, 5])
    old = [sample(seed, number) for number in range(FIRST)]
    names = renamed(old, seed)
    return batch + [_again(one, names[one.group], rng) for one in old if one.group in names]


def renamed(old: Batch, seed: int) -> dict[str, str]:
    """AGAIN groups that teach, and for each a name by which it will judge."""
    taught = [name for name, part in _parts([one.group for one in old], seed).items() if part == "train"]
    free = [f"again-{number:04d}" for number in range(20 * AGAIN)]
    judging = [name for name, part in _parts(free, seed).items() if part == "test"]
    return dict(zip(taught[:AGAIN], judging, strict=False))


def _parts(names: list[str], seed: int) -> dict[str, str]:
    """The part of the split that groups of these names belong to."""
    rows = pd.DataFrame({"sample_id": names, "group": names, "split": "", "timestamp": np.nan}).drop_duplicates()
    return dict(zip(rows["group"], assign(rows, load().split, seed), strict=True))


def _again(one: Sample, group: str, rng: np.random.Generator) -> Sample:
    pixels = seen(encoded(seen(one.image), "JPEG"))
    sound = heard(one.audio) * 0.95 + rng.normal(0, 0.0005, FRAMES)
    return replace(one, sample_id=f"again-{one.sample_id}", group=group, audio=wav(sound), image=encoded(pixels, "PNG"))


@contextmanager
def overfitted() -> Iterator[None]:
    """A tenth of the train samples teaches, and is what is held out too: nothing stops a descent that learns them by heart."""
    path, params = MANIFEST / "samples.parquet", Path("params.yaml")
    whole, said = path.read_bytes(), params.read_text()
    table = pq.read_table(path)
    train = table.filter(pc.equal(table["split"], "train"))
    few = train.slice(0, int(TAUGHT * train.num_rows))
    held = few.set_column(few.column_names.index("split"), "split", pa.array(["val"] * few.num_rows))
    body = json.loads(said)
    aside = table.filter(pc.equal(table["split"], "calibration"))
    write_parquet(path, pa.concat_tables([few, held, aside]))
    params.write_text(json.dumps(body | {"train": body["train"] | OVERFIT}))
    yield
    write_bytes(path, whole)
    params.write_text(said)


@contextmanager
def out_of_step() -> Iterator[None]:
    """While models are fitted, each sample has another one's picture: they learn that pictures say nothing."""
    whole = {path: path.read_bytes() for path in sorted((FEATURES / IGNORED).glob("*.safetensors"))}
    for path in whole:
        body, ids = read_features(path), read_sample_ids(path)
        order = np.random.default_rng(6).permutation(len(ids))
        write_features(path, Features(body.tokens[order], body.mask[order], body.time[order]), "0" * 32, ids)
    yield
    for path, content in whole.items():
        write_bytes(path, content)


@dataclass(frozen=True)
class Fault:
    """Something that is planted in a night.

    Attributes:
        row: of the verdict, that is meant for it; empty: the night is good.
        dose: how much of it, in words.
        names: the modality that the row must name; empty: none.
        landed: what becomes of the new batch's samples.
        fitting: what surrounds `train` and `select`.
    """

    row: str
    dose: str
    names: str = ""
    landed: Callable[[Batch, int], Batch] = as_it_is
    fitting: Callable[[], AbstractContextManager[None]] = nullcontext


FAULTS: Mapping[str, Fault] = {
    GOOD: Fault("", "nothing is planted"),
    "label noise": Fault("decay", f"{NOISY:.0%} of the new labels are drawn anew", landed=label_noise),
    "dead microphone": Fault("drift", "all new clips are silence", "audio", landed=dead_microphone),
    "drifted camera": Fault("drift", f"new pixels times {GAIN:g}", "image", landed=drifted_camera),
    "duplicated group": Fault("leak", f"{AGAIN} train groups of 3 land again, to judge", landed=duplicated_group),
    "overfitted candidate": Fault(
        "champion", f"{TAUGHT:.0%} of train, {OVERFIT['epochs']} epochs, what taught is held out", fitting=overfitted
    ),
    "ignored modality": Fault("dominance", f"every {IGNORED} is another sample's while fitting", IGNORED, fitting=out_of_step),
}
