"""Land one night of the default sample: `python data/recipes/digits/generate.py --night next --to data/0_landing`.

Each row is one digit, three times: written (image), dialled (audio) and typed (text). README.md says what is degraded how.
"""

import argparse
import csv
import hashlib
import shutil
import tempfile
from pathlib import Path

import numpy as np
from dial import call
from handwriting import scan
from typed import message

NIGHTS = 6
SOURCES = 1797  # images that scikit-learn bundles
FIRST = 897  # of them in the first night; each later night has 180
LATER = 180
COPIES = 2  # samples per source image
MISSING = 0.08  # share of each modality
COLUMNS = ("sample_id", "group", "label", "image_file_name", "audio_file_name", "text")


def generator(*key: object) -> np.random.Generator:
    """Randomness that belongs to a name, not to a position."""
    digest = hashlib.sha256(":".join(["nightloom-digits", *map(str, key)]).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


def sources(night: int) -> list[int]:
    """The source images of a night, 1 to 6; no image is in two nights."""
    order = generator("nights").permutation(SOURCES)
    end = FIRST + (night - 1) * LATER
    return sorted(int(source) for source in order[0 if night == 1 else end - LATER : end])


def absent(sample: str) -> set[str]:
    """The modalities that this sample lacks; never all of them."""
    rng = generator(sample, "absent")
    lost = {name for name in ("image", "audio", "text") if rng.random() < MISSING}
    return lost if len(lost) < 3 else set()


def make_row(folder: Path, source: int, copy: int, digit: int, ink: np.ndarray) -> dict[str, object]:
    """Write one sample's files and return its row of metadata.csv."""
    sample = f"uci-{source:04d}-{copy}"
    lost = absent(sample)
    row: dict[str, object] = {"sample_id": sample, "group": f"uci-{source:04d}", "label": digit}
    if "image" not in lost:
        row["image_file_name"] = f"image/{sample}.png"
        (folder / f"image/{sample}.png").write_bytes(scan(ink, generator(sample, "image")))
    if "audio" not in lost:
        row["audio_file_name"] = f"audio/{sample}.wav"
        (folder / f"audio/{sample}.wav").write_bytes(call(digit, generator(sample, "audio")))
    if "text" not in lost:
        row["text"] = message(digit, generator(sample, "text"))
    return row


def land(night: int, to: Path) -> Path:
    """Write a night's batch under a temporary name, metadata.csv last, then rename it; a batch that is there stays as it is."""
    batch = to / f"night-{night}"
    if batch.exists():
        return batch
    from sklearn.datasets import load_digits  # here: a second that a batch which is there need not cost

    digits = load_digits()
    to.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".night-{night}.", dir=to))  # a name with a dot is no batch
    try:
        unfinished.chmod(0o755)  # mkdtemp gives 0o700
        for name in ("image", "audio"):
            (unfinished / name).mkdir()
        rows = [
            make_row(unfinished, source, copy, int(digits.target[source]), digits.images[source])
            for source in sources(night)
            for copy in range(1, COPIES + 1)
        ]
        with (unfinished / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
            table.writeheader()
            table.writerows(rows)
        unfinished.rename(batch)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return batch


def main() -> None:
    """Land what the command line asks for and say what was done."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--night", default="next", choices=["next", *map(str, range(1, NIGHTS + 1))])
    parser.add_argument("--to", type=Path, default=Path("data/0_landing"))
    asked = parser.parse_args()
    waiting = [night for night in range(1, NIGHTS + 1) if not (asked.to / f"night-{night}").exists()]
    if asked.night == "next" and not waiting:
        print(f"all {NIGHTS} nights of the sample have landed in {asked.to}")
        return
    night = waiting[0] if asked.night == "next" else int(asked.night)
    if night not in waiting:
        print(f"{asked.to}/night-{night} has landed before; it stays as it is")
        return
    batch = land(night, asked.to)
    print(f"landed {batch}: {len(sources(night)) * COPIES} samples of {len(sources(night))} digits")


if __name__ == "__main__":
    main()
