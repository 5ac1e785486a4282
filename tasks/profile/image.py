"""Images: PNG, JPEG, WebP or TIFF bytes -> uint8 [side, side, channels]."""

import warnings
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from tasks.errors import ContractBroken, WrongValue
from tasks.profile import refusing, require_at_least, signed64

FORM = "image (PNG, JPEG, WebP or TIFF)"
FORMATS = ("PNG", "JPEG", "WEBP", "TIFF")
MEASURES = ("brightness", "contrast")
HASH_SIDE = 8
MODES = {1: "L", 3: "RGB"}


@dataclass(frozen=True)
class Options:
    """What an image modality may be told in params.yaml."""

    side_px: int = 32  # every image is resized to side_px x side_px
    channels: Literal[1, 3] = 1  # 1: grey, 3: RGB
    crop: bool = False  # use the largest square around the centre; otherwise the whole is stretched to a square
    low: int = 0  # of 16-bit grey pixels: what becomes black …
    high: int = 65535  # … and what becomes white, e.g. 4095 for a detector of 12 bits
    max_px: int = 16_000_000  # an image with more pixels is refused before it is decoded

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        require_at_least(self, side_px=8, max_px=1, low=0)
        if not self.low < self.high:
            raise WrongValue(f"option low must be below high, got {self.low} and {self.high}")


def decode(data: bytes, options: Options) -> npt.NDArray[np.uint8]:
    """Decode the first frame, upright, transparent parts on white; of 16-bit RGB the upper 8 bits.

    Returns:
        uint8 [side_px, side_px, channels], 0 to 255, resized with antialiasing; without `crop` the aspect is not kept.

    Raises:
        ContractBroken: no such image, a truncated one, one of more than `max_px` pixels (said before it is decoded),
            or one whose pixels are 32-bit integers or floats.
    """
    with refusing(FORM):
        upright = opened(data, options)
        small = upright.resize(
            (options.side_px, options.side_px), Image.Resampling.BILINEAR, box=_box(upright.size, options), reducing_gap=3.0
        )
    return np.asarray(small, dtype=np.uint8).reshape(options.side_px, options.side_px, options.channels)


def opened(data: bytes, options: Options) -> Image.Image:
    """The first frame before it is resized, upright, 8-bit grey or RGB; a JPEG at about twice the wanted size, if it is larger.

    Raises:
        ContractBroken: as `decode`.
    """
    with refusing(FORM), warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        image = Image.open(BytesIO(data), formats=FORMATS)
        if image.width * image.height > options.max_px:
            raise ContractBroken(f"image of {image.width} x {image.height} pixels; at most max_px = {options.max_px} are read")
        mode, side = MODES[options.channels], options.side_px
        image.draft(mode, (2 * side, 2 * side))  # a JPEG is decoded near the wanted size: less time, less memory
        image.load()
        return _plain(ImageOps.exif_transpose(image), mode, options)


def _box(size: tuple[int, int], options: Options) -> tuple[float, float, float, float]:
    """What of a picture (width, height) is used: left, top, right, bottom, px."""
    across, down = [(length - min(size)) / 2 if options.crop else 0.0 for length in size]
    return across, down, size[0] - across, size[1] - down


def _plain(image: Image.Image, mode: str, options: Options) -> Image.Image:
    """Any mode of pixels as 8-bit grey or RGB."""
    if image.mode.startswith("I;16"):
        image = Image.fromarray(_levels(options.low, options.high)[np.asarray(image)])
    elif image.mode in {"I", "F"}:
        raise ContractBroken(f"image with 32-bit pixels (mode {image.mode}); 8 or 16 bits per channel are read: convert it")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert(mode)


@lru_cache(maxsize=8)
def _levels(low: int, high: int) -> npt.NDArray[np.uint8]:
    """What each 16-bit grey becomes: uint8 [65536]."""
    shares = (np.arange(2**16) - low) / (high - low)
    return np.asarray(np.rint(shares.clip(0, 1) * 255), dtype=np.uint8)


def measure(array: npt.NDArray[np.uint8], options: Options) -> dict[str, float]:
    """Mean and standard deviation of the pixels, 0 to 255."""
    return {"brightness": float(array.mean()), "contrast": float(array.std())}


def near_hash(array: npt.NDArray[np.uint8]) -> int | None:
    """Difference hash of an 8 x 9 grey version (N. Krawetz, "Kind of Like That", 2013); None for an even surface."""
    grey = array.mean(axis=2)
    if grey.std() < 1:
        return None
    picture = Image.fromarray(grey.astype(np.float32), mode="F").resize((HASH_SIDE + 1, HASH_SIDE), Image.Resampling.BOX)
    small = np.asarray(picture)
    return signed64((small[:, 1:] > small[:, :-1]).ravel())


def duration_s(array: npt.NDArray[np.uint8], options: Options) -> float | None:
    """An image has no duration."""
    return None
