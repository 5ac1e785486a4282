"""Pictures: a noisy sensor, a lens out of focus, a thing before it, wrong exposure, strong compression."""

from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from tasks.profile.image import Options, opened

NOISE = 0.4  # standard deviation, of the range from black to white
BLUR = 0.12  # standard deviation of the blur, of the shorter side
COVERED = 0.6  # of the area
EXPOSURE = 0.7  # of the range
FINEST, COARSEST = 50, 2  # JPEG quality

Pixels = npt.NDArray[np.uint8]


def read(data: bytes, options: Options, facts: Mapping[str, Any]) -> Pixels:
    """Pixels uint8 [height, width, channels]: what is used of the picture.

    One with a side beyond twice `side_px` is made smaller first: of noise in finer pixels the network would see nothing, and
    the time would be that of the pixels.
    """
    picture = opened(data, options)
    if options.crop:
        side = min(picture.size)
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        picture = picture.crop((left, top, left + side, top + side))
    most = 2 * options.side_px
    if max(picture.size) > most:
        picture = picture.resize((min(picture.width, most), min(picture.height, most)), Image.Resampling.BOX, reducing_gap=3.0)
    return np.asarray(picture, np.uint8).reshape(picture.height, picture.width, options.channels)


def write(pixels: Pixels) -> bytes:
    """PNG."""
    file = BytesIO()
    _picture(pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()


def noise(pixels: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    """Gaussian noise."""
    return _pixels(pixels + 255 * NOISE * level * rng.standard_normal(pixels.shape, np.float32))


def blur(pixels: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    """Out of focus."""
    radius = BLUR * level * min(pixels.shape[:2])
    return np.asarray(_picture(pixels).filter(ImageFilter.GaussianBlur(radius)), np.uint8).reshape(pixels.shape)


def occlusion(pixels: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    """Something before the lens: a rectangle of the picture's mean, which grows around its middle."""
    size, middle = np.array(pixels.shape[:2]), rng.random(2)
    largest = np.sqrt(COVERED) * size
    half, middle = largest * np.sqrt(level) / 2, largest / 2 + middle * (size - largest)
    (top, left), (bottom, right) = np.rint(middle - half).astype(int), np.rint(middle + half).astype(int)
    found = pixels.copy()
    found[top:bottom, left:right] = np.rint(pixels.mean(axis=(0, 1)))
    return found


def brightness(pixels: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    """Exposed too long or not long enough, each in half of the samples."""
    return _pixels(pixels + rng.choice((-1.0, 1.0)) * 255 * EXPOSURE * level)


def jpeg(pixels: Pixels, level: float, rng: np.random.Generator) -> Pixels:
    """Compressed by JPEG."""
    file = BytesIO()
    _picture(pixels).save(file, "JPEG", quality=round(FINEST ** (1 - level) * COARSEST**level))
    return np.asarray(Image.open(file), np.uint8).reshape(pixels.shape)


def _picture(pixels: Pixels) -> Image.Image:
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def _pixels(values: npt.NDArray[np.floating[Any]]) -> Pixels:
    return np.asarray(np.rint(values.clip(0, 255)), np.uint8)


CORRUPTIONS: Mapping[str, Callable[[Pixels, float, np.random.Generator], Pixels]] = {
    "noise": noise,
    "blur": blur,
    "occlusion": occlusion,
    "brightness": brightness,
    "jpeg": jpeg,
}
