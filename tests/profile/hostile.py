"""Whole files of every kind and format, and others whose headers promise what is not there, bombs among them."""

import io
import json
import struct
from collections.abc import Mapping
from zipfile import ZIP_BZIP2, ZIP_LZMA, ZipFile

import numpy as np
from PIL import Image

from tests.profile import test_audio, test_image, test_pointcloud, test_timeseries, test_video, test_volume
from tests.profile.damage import GZIP, changed, deflated, npy

NOISE = np.random.default_rng(0)
SERIES = NOISE.normal(size=(40, 2))
PICTURE = NOISE.integers(0, 256, (40, 40), dtype=np.uint8)
SOUND = test_audio.tone(440, 0.2) + NOISE.normal(0, 0.01, 1600)
ROW = {"size": "1.5", "colour": "réd", "when": "2026-11-05T22:00:00Z", "way": "LINESTRING (13 52, 13.1 52)"}
WORDS = "Zwölf Boxkämpfer jagen Виктора quer über den großen Sylter Deich 夜の学習 🌙 " * 3


def whole() -> dict[str, dict[str, bytes]]:
    """Files that are read, by kind and format."""
    cloud, solid = test_pointcloud.cloud(60), test_volume.EVEN
    picture = Image.fromarray(PICTURE)
    forms = {"PNG": {}, "JPEG": {}, "WEBP": {"lossless": True}, "TIFF": {"compression": "tiff_lzw"}}
    images = {form: test_image.encoded(picture, form, **more) for form, more in forms.items()}
    sounds = {form: test_audio.written(SOUND, *form.split()) for form in ("WAV", "WAV FLOAT", "FLAC", "OGG", "MP3")}
    row = json.dumps(ROW, ensure_ascii=False).encode()
    return {
        "audio": sounds | {"track": test_audio.track(SOUND[:, None], rate=8000)},
        "image": images | {"16 bits": test_image.png(np.stack([PICTURE.astype(np.uint16) * 257] * 3, axis=-1))},
        "pointcloud": {name: write(cloud) for name, write in test_pointcloud.FORMATS.items()},
        "tabular": {"row": row, "plain": json.dumps(ROW).encode(), "gaps": row.replace(b'"1.5"', b"null")},
        "text": {"languages": WORDS.encode(), "one": ("夜" * 40).encode(), "short": "ß 7".encode()},
        "timeseries": {
            "npy": npy(SERIES.astype(np.float32)),
            "csv": test_timeseries.csv(SERIES, "a,b\n"),
            "parquet": test_timeseries.parquet(a=SERIES[:, 0], b=SERIES[:, 1]),
        },
        "video": {name: make() for name, make in test_video.CONTAINERS.items()} | {"npy": npy(np.zeros((9, 8, 8), np.uint8))},
        "volume": {name: write(solid) for name, write in test_volume.FORMATS.items()},
    }


def shapes(*found: tuple[int, ...]) -> dict[str, bytes]:
    """`.npy` headers of float32 that promise arrays of such shapes, and 24 bytes."""
    files = {}
    for shape in found:
        file = io.BytesIO()
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})
        files[f"npy {shape}"] = file.getvalue() + bytes(24)
    return files


def images(files: Mapping[str, bytes]) -> dict[str, bytes]:
    vp8x = b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<I", 10) + b"\x10\0\0\0" + b"\xff" * 6
    small = test_image.tiff(np.zeros((4, 4, 3), np.uint16))
    return {
        "PNG of 2^31 columns": changed(files["PNG"], b"IHDR", ">2I", 2**31 - 1, 2**31 - 1),
        "PNG of 30,000 x 30,000": changed(files["PNG"], b"IHDR", ">2I", 30_000, 30_000),
        "PNG without a pixel": changed(files["PNG"], b"IHDR", ">2I", 0, 0),
        "PNG header of 2 GB": changed(files["PNG"], 8, ">I", 2**31 - 1),
        "PNG bomb": test_image.bomb(5_000),
        "JPEG of 65,535 x 65,535": changed(files["JPEG"], b"\xff\xc0", ">2H", 65_535, 65_535, skip=3),
        "WebP of 2^24 x 2^24": vp8x,
        "TIFF of 60,000 x 60,000": changed(
            changed(small, b"\x01\x01\x04\0", "<2I", 1, 60_000), b"\0\x01\x04\0", "<2I", 1, 60_000
        ),
        "TIFF with its strip elsewhere": changed(small, b"\x11\x01\x04\0", "<2I", 1, 2**31),
        "TIFF of 2^32 - 1 tags": small[:4] + struct.pack("<I", 8) + b"\xff" * 16,
    }


def sounds(files: Mapping[str, bytes]) -> dict[str, bytes]:
    plain, flac, mp3 = files["WAV"], files["FLAC"], files["MP3"]
    tag = b"Xing" if b"Xing" in mp3 else b"Info"
    return {
        **{f"WAV of {size} bytes": changed(plain, b"data", "<I", size) for size in (2**31, 2**32 - 1, 4000)},
        "WAV of 65,535 channels": changed(plain, b"fmt ", "<H", 65_535, skip=6),
        "WAV of no channel": changed(plain, b"fmt ", "<H", 0, skip=6),
        "WAV at 4 GHz": changed(plain, b"fmt ", "<I", 2**32 - 1, skip=8),
        "WAV at 0 Hz": changed(plain, b"fmt ", "<I", 0, skip=8),
        "WAV of 4 GB of format": changed(plain, b"fmt ", "<I", 2**32 - 1),
        "FLAC of 2^36 frames": changed(flac, 21, ">BI", flac[21] | 15, 2**32 - 1),
        "FLAC block of 16 MB": changed(flac, 5, ">BH", 255, 65_535),
        "Ogg of 2^62 frames": changed(files["OGG"], files["OGG"].rindex(b"OggS") + 6, "<Q", 2**62),
        "MP3 of 2 GB": changed(mp3, tag, ">3I", 3, 2**31, 2**31),
        "MP3 behind 256 MB of titles": b"ID3\x03\0\0\x7f\x7f\x7f\x7f" + mp3[:200],
        "track of 4 GB": changed(files["track"], b"mdat", ">I", 2**32 - 1, skip=-8)[:400],
    }


def clouds(files: Mapping[str, bytes]) -> dict[str, bytes]:
    many = {"ply": (test_pointcloud.ply, 2**62), "pcd": (test_pointcloud.pcd, 2**62)}
    found = {f"{name} of {count} points": write(test_pointcloud.cloud(9), count=count) for name, (write, count) in many.items()}
    las = files["las"]
    text = test_pointcloud.ply(test_pointcloud.cloud(2), "ascii")
    head = text[: text.index(b"end_header\n") + 11]
    return found | {
        "las of 2^32 - 1 points": changed(las, 107, "<I", 2**32 - 1),
        "las of 2^32 - 1 records": changed(las, 100, "<I", 2**32 - 1),
        "las whose points begin at 4 GB": changed(las, 96, "<I", 2**32 - 1),
        "las of points of 65,535 bytes": changed(las, 105, "<H", 65_535),
        "a line of four million numbers": head + b"1 " * 4_000_000 + b"\n1 2 3 4\n",
        "four million empty lines": head + b"\n" * 4_000_000 + b"1 2 3 4\n",
        **shapes((2**62, 4), (10**9, 4), (-1, -6)),
    }


def rows(files: Mapping[str, bytes]) -> dict[str, bytes]:
    cells = {
        "a number beyond all": {"size": "1e400"},
        "a number of a million digits": {"size": "9" * 900_000},
        "half a character": {"colour": "\ud800"},
        "a time of no calendar": {"when": "9" * 400 + "-01-01"},
        "a track round the world and on": {"way": "LINESTRING (0 0, 1e9 0)"},
        "a track of braces": {"way": "LINESTRING (" + "(" * 100_000},
    }
    return {name: json.dumps({**ROW, **cell}).encode() for name, cell in cells.items()} | {
        "two million bytes": b" " * 2_000_000,
        "a hundred thousand brackets": b"[" * 100_000,
        "a hundred thousand braces": b'{"size":' * 100_000,
        "a cell of a hundred thousand brackets": b'{"size":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        "a whole number of a million digits": b'{"size":' + b"9" * 900_000 + b"}",
        "a hundred thousand columns": json.dumps({str(i): "" for i in range(100_000)}).encode()[:1_000_000],
    }


def texts(files: Mapping[str, bytes]) -> dict[str, bytes]:
    encodings = {name: WORDS.encode(name, "replace") for name in ("utf-16", "utf-32", "cp1251", "shift_jis", "latin-1")}
    return encodings | {
        "two million bytes": b"x" * 2_000_000,
        "a million bytes of nothing": b" " * 1_000_000,
        "an overlong form": b"\xc0\xaf" * 10,
        "half a pair": b"\xed\xa0\x80",
        "beyond Unicode": b"\xf4\x90\x80\x80",
        "zeros of another kind": b"\xff\xfe\0\0",
    }


def series(files: Mapping[str, bytes]) -> dict[str, bytes]:
    parquet = files["parquet"]
    return {
        "csv of four million lines": b"1,2\n" * 4_000_000,
        "csv of four million cells": b"1," * 4_000_000,
        "csv with a cell of eight million digits": b"1,2\n1," + b"3" * 8_000_000,
        "parquet of twenty million rows": test_timeseries.parquet(
            a=np.zeros(20_000_000, np.int8), b=np.zeros(20_000_000, np.int8)
        ),
        "parquet with an end of 4 GB": changed(parquet, len(parquet) - 8, "<I", 2**32 - 1),
        "parquet with an end of 0 bytes": changed(parquet, len(parquet) - 8, "<I", 0),
        "parquet without an end": parquet[:4] + bytes(1000),
        **shapes((2**62, 2), (10**9, 2), (4, 2), (-3, -2), (3, 2, 1)),
    }


def clips(files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {
        **shapes((2**62, 8, 8), (10**9, 8, 8), (1, 2**31, 2**31), (1, 6)),
        "playlist": b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
        "mp4 without an index": files["mp4"][: files["mp4"].index(b"moov")],
        "mp4 of nothing": files["mp4"][:32],
        "matroska of nothing": files["matroska"][:40],
        "avi of nothing": files["avi"][:200],
        "more pixels than are read": test_video.clip(levels=test_video.LEVELS[:1], size=(4096, 4096)),
    }


def zipped(content: bytes, method: int) -> bytes:
    file = io.BytesIO()
    with ZipFile(file, "w", method) as packed:
        packed.writestr("1.dcm", content)
    return file.getvalue()


def solids(files: Mapping[str, bytes]) -> dict[str, bytes]:
    plain = files["nifti"]
    dims = {f"nifti of {n}^3": changed(plain, 42, "<3h", n, n, n) for n in (32_767, 400, -1, 0)}
    packed = test_volume.series(test_volume.EVEN)
    claims = changed(packed, b"PK\x01\x02", "<I", 2**32 - 2, skip=20)  # of its first file, once inflated
    return dims | {
        "nifti whose voxels begin nowhere": changed(plain, 108, "<f", 1e38),
        "nifti of a million extensions": changed(changed(plain, 108, "<f", 8e6), 348, "<B", 1)
        + struct.pack("<2i", 8, 0) * 10**6,
        "nifti of voxels of 2^15 bits": changed(plain, 72, "<h", 32_767)[:-1],
        "gzip bomb": GZIP + deflated(plain, 600),
        "gzip bomb without a header": GZIP + deflated(b"", 600),
        "zip of a slice of 4 GB": claims,
        "zip of five thousand files": b"PK\x03\x04" + b"PK\x01\x02" * 5000,
        **{f"zip by {name}": zipped(bytes(10**6), method) for name, method in (("bzip2", ZIP_BZIP2), ("lzma", ZIP_LZMA))},
        "zip of nothing": b"PK\x05\x06" + bytes(18),
        "dicom of 65,535 rows": test_volume.dicom(test_volume.EVEN[0], Rows=65_535, Columns=65_535),
        "dicom of a billion frames": test_volume.dicom(test_volume.EVEN, frames=True, NumberOfFrames=10**9),
        "dicom in colour": test_volume.dicom(test_volume.EVEN[0], SamplesPerPixel=3),
        "deflated dicom": test_volume.deflated_dicom(600),
        **shapes((2**62, 2, 2), (10**4, 10**4, 10**4), (-1, -2, 3)),
    }


HOSTILE = {
    "audio": sounds,
    "image": images,
    "pointcloud": clouds,
    "tabular": rows,
    "text": texts,
    "timeseries": series,
    "video": clips,
    "volume": solids,
}
