"""Images: what is whole is decoded, everything else is refused with a reason, before it costs anything."""

import io
import resource
import struct
import time
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tasks.errors import ContractBroken, WrongValue
from tasks.params import check
from tasks.profile import signed64
from tasks.profile.image import Options, decode, duration_s, measure, near_hash


def encoded(image: Image.Image, form="PNG", **more) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **more)
    return file.getvalue()


def gradient(side=32) -> np.ndarray:
    return np.add.outer(np.arange(side), 2 * np.arange(side)).astype(np.uint8)


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(pixels: np.ndarray) -> bytes:
    """A PNG of uint16 [height, width, 3], which Pillow does not write."""
    header = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 16, 2, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def tiff(pixels: np.ndarray) -> bytes:
    """A plain TIFF of uint16 [height, width, 3]."""
    bits = struct.pack("<3H", 16, 16, 16)
    at = 8 + len(bits)
    tags = {256: pixels.shape[1], 257: pixels.shape[0], 258: (3, 8), 259: 1, 262: 2, 273: at, 277: 3, 278: pixels.shape[0]}
    tags |= {279: pixels.nbytes, 284: 1}
    entries = [(tag, 3, *value) if isinstance(value, tuple) else (tag, 4, 1, value) for tag, value in tags.items()]
    body = pixels.astype("<u2").tobytes()
    folder = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries) + bytes(4)
    return b"II*\0" + struct.pack("<I", at + len(body)) + bits + body + folder


def bomb(side: int) -> bytes:
    """A PNG of side x side grey zeros, compressed to a few kilobytes."""
    packer, row = zlib.compressobj(9), b"\0" * (side + 1)
    body = b"".join([*(packer.compress(row) for _ in range(side)), packer.flush()])
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_a_picture_of_the_wanted_size_comes_back_pixel_by_pixel(form):
    array = decode(encoded(Image.fromarray(gradient()), form), Options(side_px=32))
    assert array.dtype == np.uint8
    assert array.shape == (32, 32, 1)
    np.testing.assert_array_equal(array[..., 0], gradient())


@pytest.mark.parametrize(("form", "more"), [("JPEG", {"quality": 95}), ("WEBP", {"lossless": True})])
def test_other_formats_are_read_too(form, more):
    array = decode(encoded(Image.fromarray(gradient()).convert("RGB"), form, **more), Options(side_px=32))
    assert np.abs(array[..., 0].astype(int) - gradient()).max() <= 4


@settings(max_examples=20, deadline=None)
@given(st.binary(min_size=16 * 16 * 3, max_size=16 * 16 * 3))
def test_lossless_colour_survives_a_round_trip(pixels):
    array = np.frombuffer(pixels, dtype=np.uint8).reshape(16, 16, 3)
    decoded = decode(encoded(Image.fromarray(array)), Options(side_px=16, channels=3))
    np.testing.assert_array_equal(decoded, array)


def test_resizing_averages_instead_of_dropping_pixels():
    board = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    assert np.abs(decode(encoded(Image.fromarray(board)), Options(side_px=8)).astype(int) - 127).max() <= 3


def test_palette_and_transparency_and_16_bits_become_8_bit_pixels():
    clear = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    assert (decode(encoded(clear), Options(side_px=8)) == 255).all()  # transparent is white
    red = Image.new("RGB", (8, 8), "red").quantize(2)
    np.testing.assert_array_equal(decode(encoded(red), Options(side_px=8, channels=3))[0, 0], [255, 0, 0])
    deep = Image.fromarray(np.full((8, 8), 0x8040, dtype=np.uint16))
    assert (decode(encoded(deep), Options(side_px=8)) == 0x80).all()


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_16_bit_grey_is_brought_from_its_own_range(form):
    deep = np.linspace(0, 4095, 64).reshape(8, 8).round().astype(np.uint16)
    data = encoded(Image.fromarray(deep), form)
    array = decode(data, Options(side_px=8, high=4095))[..., 0]
    np.testing.assert_array_equal(array, np.rint(deep / 4095 * 255))
    narrow = decode(data, Options(side_px=8, low=1000, high=2000))[..., 0]
    np.testing.assert_array_equal(narrow, np.rint(((deep - 1000.0) / 1000).clip(0, 1) * 255))


@pytest.mark.parametrize("write", [png, tiff])
def test_16_bit_colours_keep_their_upper_half(write):
    deep = np.random.default_rng(0).integers(0, 2**16, (8, 8, 3), dtype=np.uint16)
    np.testing.assert_array_equal(decode(write(deep), Options(side_px=8, channels=3)), deep >> 8)


@pytest.mark.parametrize("size", [(8, 20), (20, 8), (8, 8)])
def test_a_crop_is_the_square_in_the_middle(size):
    wide = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    top, left = ((length - 8) // 2 for length in size)
    array = decode(encoded(Image.fromarray(wide)), Options(side_px=8, crop=True))[..., 0]
    np.testing.assert_array_equal(array, wide[top : top + 8, left : left + 8])


def test_a_camera_held_sideways_is_turned_upright():
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    lying = np.zeros((16, 16), dtype=np.uint8)
    lying[:, :4] = 255  # a bright left edge is the top edge of what was seen
    array = decode(encoded(Image.fromarray(lying), "JPEG", exif=exif, quality=100), Options(side_px=16))[..., 0]
    assert array[:3].mean() > 250
    assert array[8:].mean() < 5


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF", "WEBP"])
@pytest.mark.parametrize("share", [0.3, 0.7])
def test_a_truncated_file_is_refused(form, share):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), form)
    with pytest.raises(ContractBroken, match="not a readable image"):
        decode(data[: int(len(data) * share)], Options())


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"hello", b"\x89PNG\r\n\x1a\n", b"II*\0" + b"\xff" * 60])
def test_what_is_no_image_is_refused(data):
    with pytest.raises(ContractBroken, match="not a readable image"):
        decode(data, Options())


def test_a_format_that_is_not_named_is_refused():
    with pytest.raises(ContractBroken, match="not a readable image"):
        decode(encoded(Image.fromarray(gradient()), "BMP"), Options())


def test_32_bit_pixels_are_refused():
    with pytest.raises(ContractBroken, match=r"32-bit pixels \(mode F\)"):
        decode(encoded(Image.fromarray(np.ones((4, 4), dtype=np.float32)), "TIFF"), Options())


@pytest.mark.parametrize("side", [5_000, 30_000])
def test_a_bomb_is_refused_before_it_is_decoded(side):
    data = bomb(side) if side < 30_000 else bomb(50).replace(struct.pack(">II", 50, 50), struct.pack(">II", side, side))
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    with pytest.raises(ContractBroken, match=r"pixels; at most max_px|not a readable image"):
        decode(data, Options())
    assert time.monotonic() - start < 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kB


def test_measures_and_hash():
    array = gradient()[..., None]
    assert measure(array, Options()) == {"brightness": array.mean(), "contrast": pytest.approx(array.std())}
    assert duration_s(array, Options()) is None
    assert near_hash(np.full((32, 32, 1), 7, dtype=np.uint8)) is None
    assert near_hash(array) == -1  # brighter to the right everywhere: 64 ones
    assert near_hash(array[:, ::-1]) == 0


def test_nearly_the_same_picture_has_nearly_the_same_hash():
    rng = np.random.default_rng(2)
    rough = np.asarray(Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).resize((64, 64), Image.Resampling.BICUBIC))
    one, again = (decode(encoded(Image.fromarray(rough), "JPEG", quality=q), Options()) for q in (95, 60))
    other = decode(encoded(Image.fromarray(rough[::-1])), Options())
    distance = [(near_hash(one) ^ near_hash(a)) & (2**64 - 1) for a in (again, other)]
    assert distance[0].bit_count() <= 3
    assert distance[1].bit_count() > 10


def test_signed64_puts_the_first_bit_highest():
    assert signed64(np.array([True] + [False] * 63)) == -(2**63)
    assert signed64(np.array([False] * 63 + [True])) == 1


def test_channels_other_than_1_and_3_are_refused_at_the_door():
    body = {"modalities": {"image": {"kind": "image", "channels": 2}}, "targets": {"label": {}}}
    with pytest.raises(WrongValue, match="channels must be one of 1, 3"):
        check(body)
    body["modalities"]["image"] = {"kind": "image", "side_px": 4}
    with pytest.raises(WrongValue, match="side_px must be at least 8"):
        check(body)
    with pytest.raises(WrongValue, match="low must be below high, got 9 and 9"):
        Options(low=9, high=9)
