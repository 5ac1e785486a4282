"""A small world of three modalities, each of which shows part of the label: a tone, a bright corner, a word."""

import csv
import io
import wave
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

CLASSES = ("east", "north", "south", "west")
FIRST, SECOND = 1200, 900  # samples of the two batches; some 360 and 270 of them judge
GROUP = 3  # samples of one recording session: the same hum, the same light
# With these probabilities a modality shows anything, and what it shows is the label, else any other one. Nothing can be right
# more often than 0.964; without the picture 0.836, without the sound or the text 0.940.
SHOWS = RIGHT = {"audio": 0.85, "image": 0.95, "text": 0.85}
RATE_HZ, FRAMES, SIDE_PX = 8000, 800, 24
TIME_S = np.arange(FRAMES) / RATE_HZ
TONES_HZ = (450.0, 800.0, 1400.0, 2400.0)
CORNERS = ((3, 3), (3, 14), (14, 3), (14, 14))  # top and left of a patch of 7 x 7 px
WORDS = (("dawn", "rise"), ("frost", "pole"), ("palm", "heat"), ("dusk", "sink"))
OTHER = ("road", "field", "house", "river", "stone", "tree", "hill", "gate")

Sound = npt.NDArray[np.float64]  # [FRAMES], full scale -1 to 1
Picture = npt.NDArray[np.float64]  # [SIDE_PX, SIDE_PX], 0 to 255


@dataclass(frozen=True)
class Sample:
    """What lands of one sample: files of a sound and of a picture, and a text."""

    sample_id: str
    group: str
    label: str
    audio: bytes
    image: bytes
    text: str


def sample(seed: int, number: int) -> Sample:
    """The sample of this number; what it shows depends on nothing but the two."""
    rng, session = np.random.default_rng([seed, 1, number]), np.random.default_rng([seed, 2, number // GROUP])
    label = int(rng.integers(len(CLASSES)))
    tone, corner, word = (_shown(label, modality, rng) for modality in SHOWS)
    hum_hz, light = session.uniform(80, 200), session.normal(0, 8)
    sound = 0.1 * np.sin(2 * np.pi * hum_hz * TIME_S) + rng.normal(0, 0.1, FRAMES)
    if tone is not None:
        sound += rng.uniform(0.15, 0.3) * np.sin(2 * np.pi * TONES_HZ[tone] * TIME_S + rng.uniform(0, 6))
    text = rng.choice(OTHER, 5)
    if word is not None:
        text[rng.integers(5)] = WORDS[word][rng.integers(2)]
    return Sample(
        f"s{number:06d}",
        f"g{number // GROUP:06d}",
        CLASSES[label],
        wav(sound),
        encoded(_picture(corner, light, rng), "PNG"),
        " ".join(text),
    )


def _shown(label: int, modality: str, rng: np.random.Generator) -> int | None:
    if rng.random() >= SHOWS[modality]:
        return None
    if rng.random() < RIGHT[modality]:
        return label
    return int((label + rng.integers(1, len(CLASSES))) % len(CLASSES))


def _picture(corner: int | None, light: float, rng: np.random.Generator) -> Picture:
    coarse = Image.fromarray(rng.uniform(40, 150, (6, 6)).astype(np.uint8))  # a scene of its own: no two are nearly the same
    pixels = np.asarray(coarse.resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC), float) + light
    if corner is not None:
        top, left = CORNERS[corner]
        pixels[top : top + 7, left : left + 7] += 60
    return pixels + rng.normal(0, 6, pixels.shape)


def wav(sound: Sound) -> bytes:
    """A file of 16 bit."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
        out.writeframes((sound.clip(-1, 1) * 32767).astype("<i2").tobytes())
    return file.getvalue()


def heard(data: bytes) -> Sound:
    """What `wav` wrote."""
    with wave.open(io.BytesIO(data)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32767


def encoded(pixels: Picture, form: str) -> bytes:
    """A grey picture as PNG, or as JPEG of quality 85."""
    file = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, form, quality=85)
    return file.getvalue()


def seen(data: bytes) -> Picture:
    """What `encoded` wrote."""
    return np.asarray(Image.open(io.BytesIO(data)), float)


def land(folder: Path, samples: Iterable[Sample]) -> None:
    """Write a batch, `metadata.csv` last."""
    for name in ("audio", "image"):
        (folder / name).mkdir(parents=True)
    rows = []
    for one in samples:
        files = {f"audio/{one.sample_id}.wav": one.audio, f"image/{one.sample_id}.png": one.image}
        for path, data in files.items():
            (folder / path).write_bytes(data)
        rows.append([one.sample_id, one.group, one.label, *files, one.text])
    with (folder / "metadata.tmp").open("w", newline="") as file:
        columns = ("sample_id", "group", "label", "audio_file_name", "image_file_name", "text")
        csv.writer(file).writerows([columns, *rows])
    (folder / "metadata.tmp").rename(folder / "metadata.csv")
