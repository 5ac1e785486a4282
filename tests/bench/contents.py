"""Samples of a real size of every kind, and how each is decoded when nothing else is done: by the fastest library at hand."""

import gzip
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from tests.bench.landing import WORDS, _photo, _scene, _sound

GRAIN = np.random.default_rng(8).normal(0, 7, (960, 1280, 1)).astype(np.float32)


@dataclass(frozen=True)
class Content:
    """Samples of one kind.

    Attributes:
        options: of the modality.
        make: one sample's bytes from a generator.
        decode: many samples' bytes -> what is used of them; no check, no measure.
        samples: how many are enough to time.
    """

    options: Mapping[str, Any]
    make: Callable[[np.random.Generator], bytes]
    decode: Callable[[Sequence[bytes]], Any]
    samples: int


def picture(rng: np.random.Generator) -> bytes:
    """A JPEG of 640 x 480, some 90 kB."""
    return _photo(rng, _scene(rng), GRAIN)


def decode_picture(data: bytes) -> Any:
    image = Image.open(io.BytesIO(data), formats=("JPEG",))
    image.draft("RGB", (128, 128))
    return np.asarray(image.convert("RGB").resize((64, 64), Image.Resampling.BILINEAR, reducing_gap=3.0))


def sound(rng: np.random.Generator) -> bytes:
    """2 s at 16 kHz as FLAC."""
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, decode_sound(_sound(rng, 3)), 16_000, format="FLAC", subtype="PCM_16")
    return file.getvalue()


def decode_sound(data: bytes) -> Any:
    import soundfile

    return soundfile.read(io.BytesIO(data), dtype="float32")[0]


def words(rng: np.random.Generator) -> bytes:
    """A text of some 190 bytes."""
    return " ".join(rng.choice(WORDS, 28)).encode()


@cache
def tokenizer() -> Any:
    """Byte pairs, trained on the words."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel()
    made.train_from_iterator([" ".join(WORDS)], trainers.BpeTrainer(vocab_size=400, show_progress=False))
    return made


def decode_words(items: Sequence[bytes]) -> Any:
    return tokenizer().encode_batch_fast([data.decode() for data in items])


def row(rng: np.random.Generator) -> bytes:
    cells = {f"n{i}": f"{rng.normal():.4f}" for i in range(8)} | {f"c{i}": str(rng.choice(WORDS)) for i in range(2)}
    return json.dumps(cells).encode()


def decode_rows(items: Sequence[bytes]) -> Any:
    """Numbers as such, categories as texts."""
    found = map(orjson.loads, items)
    return [([float(cells[f"n{i}"]) for i in range(8)], cells["c0"], cells["c1"]) for cells in found]


def series(rng: np.random.Generator) -> bytes:
    """Six channels at 100 Hz for 5 s, as Parquet."""
    file = io.BytesIO()
    pq.write_table(pa.table({f"c{i}": rng.normal(size=500).astype(np.float32) for i in range(6)}), file)
    return file.getvalue()


def decode_series(data: bytes) -> Any:
    table = pq.read_table(pa.BufferReader(data), use_threads=False)
    return np.stack([column.to_numpy() for column in table.itercolumns()], axis=1)


def cloud(rng: np.random.Generator) -> bytes:
    """10,000 points with intensity, as LAS."""
    import laspy

    made, file = laspy.create(point_format=0, file_version="1.2"), io.BytesIO()
    made.header.scales = [0.001] * 3
    made.x, made.y, made.z = rng.normal(0, 10, (3, 10_000))
    made.intensity = rng.integers(0, 256, 10_000).astype(np.uint16)
    made.write(file)
    return file.getvalue()


def decode_cloud(data: bytes) -> Any:
    import laspy

    points = laspy.read(io.BytesIO(data))
    return np.stack([np.asarray(points[name]) for name in ("x", "y", "z", "intensity")], axis=1)


def clip(rng: np.random.Generator) -> bytes:
    """4 s of 320 x 240 at 25 Hz, MPEG-4."""
    import av

    file, scene = io.BytesIO(), np.asarray(Image.fromarray(_scene(rng).astype(np.uint8)).resize((320, 240)))
    with av.open(file, "w", format="mp4") as out:
        stream = out.add_stream("mpeg4", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt, stream.bit_rate = 320, 240, "yuv420p", 800_000
        for number in range(100):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(np.roll(scene, 3 * number, axis=1), format="rgb24")))
        out.mux(stream.encode(None))
    return file.getvalue()


def decode_clip(data: bytes) -> Any:
    """Every frame has to be decoded, since each but the first is told by what it changes; 4 a second are used."""
    import av

    with av.open(io.BytesIO(data), format="mov") as file:
        stream = file.streams.video[0]
        stream.thread_type, stream.codec_context.thread_count = "NONE", 1
        frames = (frame for number, frame in enumerate(file.decode(stream)) if number % 6 == 0)
        return [frame.reformat(width=32, height=32, format="gray", interpolation="AREA").to_ndarray() for frame in frames]


def solid(rng: np.random.Generator) -> bytes:
    """64 x 64 x 64 voxels of 16 bits in a NIfTI in a gzip."""
    import nibabel

    smooth = rng.normal(0, 300, (8, 8, 8)).repeat(8, 0).repeat(8, 1).repeat(8, 2) + rng.normal(0, 20, (64, 64, 64))
    return gzip.compress(nibabel.Nifti1Image(smooth.astype(np.int16), np.eye(4)).to_bytes(), 6)


def decode_solid(data: bytes) -> Any:
    import nibabel

    return np.asarray(nibabel.Nifti1Image.from_bytes(gzip.decompress(data)).dataobj)


def each(decode: Callable[[bytes], Any]) -> Callable[[Sequence[bytes]], Any]:
    """One after another."""
    return lambda items: [decode(data) for data in items]


CONTENTS = {
    "image": Content({"side_px": 64, "channels": 3}, picture, each(decode_picture), 3000),
    "audio": Content({"sample_rate_hz": 16_000, "max_s": 2.0, "window_s": 0.025}, sound, each(decode_sound), 12_000),
    "video": Content({}, clip, each(decode_clip), 200),
    "text": Content({}, words, decode_words, 40_000),
    "timeseries": Content({"channels": 6, "rate_hz": 100}, series, each(decode_series), 4000),
    "pointcloud": Content({"fields": ["intensity"]}, cloud, each(decode_cloud), 1500),
    "volume": Content({}, solid, each(decode_solid), 800),
    "tabular": Content({"numbers": [f"n{i}" for i in range(8)], "categories": ["c0", "c1"]}, row, decode_rows, 300_000),
}
