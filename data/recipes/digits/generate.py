"""Land one night of the default sample: `python -m data.recipes.digits.generate --night next --to data/0_landing`.

Each row is one digit, three times: written (image), dialled (audio) and typed (text). README.md says what is degraded how.
"""

from pathlib import Path

import numpy as np

from data.recipes.digits.dial import call
from data.recipes.digits.handwriting import scan
from data.recipes.digits.typed import message
from data.recipes.landing import keyed, main, write_batch

NIGHTS = 6
SOURCES = 1797  # images that scikit-learn bundles
FIRST = 897  # of them in the first night; each later night has 180
LATER = 180
COPIES = 2  # samples per source image
MISSING = 0.08  # share of each modality
COLUMNS = ("sample_id", "group", "label", "image_file_name", "audio_file_name", "text")


def generator(*key: object) -> np.random.Generator:
    """This sample's own randomness."""
    return keyed("nightloom-digits", *key)


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


def land(night: int, to: Path) -> str:
    """Write a night's batch below `to`, and say what it holds; a batch that is there stays as it is."""
    from sklearn.datasets import load_digits  # here: a second that a night which is there need not cost

    digits = load_digits()

    def rows(folder: Path) -> list[dict[str, object]]:
        for name in ("image", "audio"):
            (folder / name).mkdir()
        return [
            make_row(folder, source, copy, int(digits.target[source]), digits.images[source])
            for source in sources(night)
            for copy in range(1, COPIES + 1)
        ]

    write_batch(to / f"night-{night}", COLUMNS, rows)
    return f"{len(sources(night)) * COPIES} samples of {len(sources(night))} digits"


if __name__ == "__main__":
    main(land, NIGHTS)
