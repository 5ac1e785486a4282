"""What generators share: a batch that appears whole or not at all, randomness keyed by name, the command line."""

import argparse
import csv
import hashlib
import io
import shutil
import tempfile
import wave
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from data.recipes.law import Law

FIRST, LATER, NIGHTS = 7200, 600, 4  # samples of the first night, of each later one, and how many there are
START_S = 1_700_000_000  # of the first sample's timestamp
Cells = Mapping[str, str]  # of metadata.csv, by column


@dataclass(frozen=True)
class File:
    """A file of the batch: its ending, without the dot, and its content."""

    ending: str
    data: bytes


Drawing = Callable[[str, np.random.Generator], File | Cells]  # from a symbol


def keyed(*names: object) -> np.random.Generator:
    """Randomness that belongs to a name, not to a position."""
    digest = hashlib.sha256(":".join(map(str, names)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


@dataclass(frozen=True)
class Recipe:
    """A planted law and how what it shows is drawn.

    Attributes:
        name: keys all randomness.
        target: the column of the label.
        columns: of the modalities, in metadata.csv.
        law: says what each sample shows.
        drawings: by modality, from a symbol to a file or to cells.
        every_s: from one sample's timestamp to the next one's; 0: no timestamps.
        number: the column of the law's values; empty: there are none.
        alarm: the label whose probability is an anomaly score; empty: none is.
    """

    name: str
    target: str
    columns: Sequence[str]
    law: Law
    drawings: Mapping[str, Drawing]
    every_s: float = 0.0
    number: str = ""
    alarm: str = ""

    @property
    def best(self) -> dict[tuple[str, str], dict[str, float]]:
        """What no model beats (see `Law.best`), by target and metric."""
        return self.best_of()

    def best_of(self, alarms: float | None = None) -> dict[tuple[str, str], dict[str, float]]:
        """The same, of samples of which this share are alarms: a score by precision moves with it (None: the law's share)."""
        law, found = self.law, {(self.target, "accuracy"): self.law.scores}
        if self.alarm:
            found[self.target, "auprc"] = law.best(lambda seen: law.precision(seen, self.alarm, alarms))
        if self.number:
            found[self.number, "r2"] = law.best(law.explained)
        return found

    def land(self, night: int, to: Path, samples: int = 0) -> str:
        """Write a night's batch, `samples` of it (0: all there are), and say what it holds and what no model beats."""
        count = samples or (FIRST if night == 1 else LATER)
        first = 0 if night == 1 else FIRST + LATER * (night - 2)
        header = [
            "sample_id",
            *["timestamp"] * bool(self.every_s),
            self.target,
            *[self.number] * bool(self.number),
            *self.columns,
        ]
        numbers = range(first, first + count)
        write_batch(to / f"night-{night}", header, lambda folder: (self._row(folder, number) for number in numbers))
        best = ", ".join(f"{name} {score:.3f}" for name, score in self.law.scores.items())
        return f"{count} samples; no model is right more often than: {best}"

    def _row(self, folder: Path, number: int) -> dict[str, str]:
        sample = f"{number:05d}"
        state, shown = self.law.draw(keyed(self.name, sample))
        row = {"sample_id": sample, self.target: self.law.labels[state]}
        if self.number:
            value = keyed(self.name, sample, self.number).normal(self.law.values[state], self.law.spread)
            row[self.number] = f"{value:.3f}"
        if self.every_s:
            row["timestamp"] = str(START_S + number * self.every_s)
        for modality, symbol in shown.items():
            drawn = self.drawings[modality](symbol, keyed(self.name, sample, modality))
            if isinstance(drawn, File):
                path = f"{modality}/{sample}.{drawn.ending}"
                (folder / modality).mkdir(exist_ok=True)
                (folder / path).write_bytes(drawn.data)
                drawn = {f"{modality}_file_name": path}
            row |= drawn
        return row


def write_batch(batch: Path, columns: Sequence[str], rows: Callable[[Path], Iterable[Mapping[str, object]]]) -> None:
    """Write a batch under a temporary name, metadata.csv last, then rename it; one that is there stays as it is.

    Args:
        batch: its folder.
        columns: of metadata.csv; a cell that a row lacks is empty.
        rows: writes each sample's files into the folder it is given, and yields its row.
    """
    if batch.exists():
        return
    batch.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{batch.name}.", dir=batch.parent))  # a name with a dot is no batch
    try:
        unfinished.chmod(0o755)  # mkdtemp gives 0o700
        made = list(rows(unfinished))
        with (unfinished / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, columns, restval="", lineterminator="\n")
            table.writeheader()
            table.writerows(made)
        unfinished.rename(batch)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def main(land: Callable[[int, Path], str], nights: int = NIGHTS) -> None:
    """Land what the command line asks for and say what was done.

    Args:
        land: writes the batch of a night, 1 to `nights`, below a folder, and says what it holds.
        nights: how many there are.
    """
    parser = argparse.ArgumentParser(description="Land one night of a recipe.")
    parser.add_argument("--night", default="next", choices=["next", *map(str, range(1, nights + 1))])
    parser.add_argument("--to", type=Path, default=Path("data/0_landing"))
    asked = parser.parse_args()
    waiting = [night for night in range(1, nights + 1) if not (asked.to / f"night-{night}").exists()]
    if asked.night == "next" and not waiting:
        print(f"all {nights} nights of the sample have landed in {asked.to}")
        return
    night = waiting[0] if asked.night == "next" else int(asked.night)
    if night not in waiting:
        print(f"{asked.to}/night-{night} has landed before; it stays as it is")
        return
    print(f"landed {asked.to / f'night-{night}'}: {land(night, asked.to)}")


def png(grey: npt.NDArray[np.float64]) -> File:
    """A picture [height, width], 0 (black) to 1 (white), what is beyond is cut."""
    from PIL import Image

    picture = io.BytesIO()
    Image.fromarray((np.clip(grey, 0, 1) * 255).astype(np.uint8)).save(picture, format="PNG")
    return File("png", picture.getvalue())


def wav(sound: npt.NDArray[np.float64], rate_hz: int) -> File:
    """A mono recording [frames], full scale -1 to 1, what is beyond is cut: 16 bit."""
    recording = io.BytesIO()
    with wave.open(recording, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes((np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes())
    return File("wav", recording.getvalue())


def npy(array: npt.NDArray[np.float64]) -> File:
    """Numbers of any shape, as float32."""
    content = io.BytesIO()
    np.save(content, array.astype(np.float32), allow_pickle=False)
    return File("npy", content.getvalue())
