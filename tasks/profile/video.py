"""Moving pictures: MP4, MOV, WebM, Matroska or AVI, or .npy bytes of frames -> float32 [t, side, side, channels]."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from tasks.errors import ContractBroken
from tasks.profile import NPY, coarse_hash, container, finite32, read_npy, refusing, require_at_least, require_positive

MEASURES = ("brightness", "contrast", "motion")
CODECS = frozenset({"av1", "h264", "hevc", "libdav1d", "mjpeg", "mpeg4", "vp8", "vp9"})
PIXELS: dict[int, Literal["gray", "rgb24"]] = {1: "gray", 3: "rgb24"}
MOST_PX = 2**32  # that are decoded of a clip: a minute or so


@dataclass(frozen=True)
class Options:
    """What a video modality may be told in params.yaml."""

    side_px: int = 32  # every frame is resized to side_px x side_px
    channels: Literal[1, 3] = 1  # 1: grey or depth, 3: RGB
    rate_hz: float = 4.0  # frames that are used of a second
    max_s: float = 4.0  # what comes later in a clip is not used
    npy_rate_hz: float = 25.0  # frames of a second in .npy files, which do not know it
    max_px: int = 16_000_000  # a clip with larger frames is refused before it is decoded
    max_frames: int = 10_000  # of a clip, up to max_s; more are refused

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        require_at_least(self, side_px=8, max_px=1, max_frames=1)
        require_positive(self, "rate_hz", "max_s", "npy_rate_hz")

    @property
    def most(self) -> int:
        """How many frames are used of a long clip."""
        return max(1, round(self.max_s * self.rate_hz))


def decode(data: bytes, options: Options) -> npt.NDArray[np.float32]:
    """The frames that are seen at 0 s, 1 / rate_hz, …, up to `max_s`.

    `.npy` holds [t, height, width] or [t, height, width, channels] of any numbers, depth in metres for one.

    Returns:
        float32 [t, side_px, side_px, channels], t at least 1, finite: 0 to 255, or the file's own unit for `.npy`.

    Raises:
        ContractBroken: no such clip, one cut off before its first frame, another codec than those in CODECS, frames of
            more than `max_px` pixels (said before they are decoded) or more than MOST_PX together, NaN or infinity.
    """
    if data.startswith(NPY):
        return _from_npy(read_npy(data, lambda shape: _check_shape(shape, options)), options)
    with refusing("video (MP4, MOV, WebM, Matroska or AVI)"):
        return np.stack(list(_frames(data, options))).astype(np.float32)


def _frames(data: bytes, options: Options) -> Iterator[npt.NDArray[np.uint8]]:
    """Each used frame, uint8 [side, side, channels]; the last one stays until the next begins."""
    import av

    form = container(data)
    if form is None:
        raise ContractBroken("not a readable video (MP4, MOV, WebM, Matroska or AVI)")
    with av.open(BytesIO(data), format=form) as file:
        if not file.streams.video:
            raise ContractBroken("video file without moving pictures")
        stream = file.streams.video[0]
        context = stream.codec_context
        if context.name not in CODECS:
            raise ContractBroken(f"video of codec {context.name}; read are {', '.join(sorted(CODECS))}")
        _check_size(context.height, context.width, options)
        stream.thread_type, context.thread_count = "NONE", 1  # the same frames each time, and one core
        yield from _at_rate(_timed(file, stream, options), options)


def _timed(file: Any, stream: Any, options: Options) -> Iterator[tuple[float, Any]]:
    """Frames with the time at which they begin, s from the first one; at last none, with the time at which the clip ends."""
    length = 1 / float(stream.average_rate or 25)
    begin, seconds, pixels = None, 0.0, 0
    for number, frame in enumerate(file.decode(stream)):
        if number >= options.max_frames:
            raise ContractBroken(f"video of more than max_frames = {options.max_frames} frames in {options.max_s} s")
        _check_size(frame.height, frame.width, options)  # a stream may grow on the way
        pixels += frame.height * frame.width
        if pixels > MOST_PX:
            raise ContractBroken(f"video of more than {MOST_PX} pixels in {options.max_s} s, all frames together")
        now = frame.time if frame.time is not None else number * length
        begin = now if begin is None else begin
        seconds = now - begin
        yield seconds, frame
        if seconds > options.max_s:
            return
    yield seconds + length, None


def _small(frame: Any, options: Options) -> npt.NDArray[np.uint8]:
    side = options.side_px
    made = frame.reformat(width=side, height=side, format=PIXELS[options.channels], interpolation="AREA").to_ndarray()
    return np.asarray(made, dtype=np.uint8).reshape(side, side, options.channels)


def _at_rate(timed: Iterator[tuple[float, Any]], options: Options) -> Iterator[npt.NDArray[np.uint8]]:
    """What is seen at 0 s, 1 / rate_hz, …: each frame until the next begins. Only what is seen is made small."""
    shown, given = None, 0
    for begin, frame in timed:
        small = None
        while shown is not None and given < options.most and given / options.rate_hz < begin - 1e-6:
            small = _small(shown, options) if small is None else small
            yield small
            given += 1
        if given == options.most:
            return
        shown = frame
    if given == 0:
        raise ContractBroken("video without a single frame that can be decoded")


def _check_size(height: int, width: int, options: Options) -> None:
    if not 0 < height * width <= options.max_px:
        raise ContractBroken(f"video of {width} x {height} pixels; at most max_px = {options.max_px} are read")


def _check_shape(shape: Sequence[int], options: Options) -> None:
    channels = shape[3] if len(shape) == 4 else 1
    if len(shape) not in (3, 4) or channels != options.channels or min(shape) < 1:
        wanted = f"[t, height, width, {options.channels}]"
        raise ContractBroken(f"frames of shape {tuple(shape)}; expected {wanted}")
    if shape[0] > options.max_frames:
        raise ContractBroken(f"{shape[0]} frames; at most max_frames = {options.max_frames} are read")
    _check_size(shape[1], shape[2], options)


def _from_npy(frames: npt.NDArray[np.generic], options: Options) -> npt.NDArray[np.float32]:
    shown = len(frames) / options.npy_rate_hz * options.rate_hz
    count = min(options.most, max(1, math.ceil(shown - 1e-6)))  # 29 / 3.5 * 3.5 is a little more than 29
    chosen = np.floor(np.arange(count) / options.rate_hz * options.npy_rate_hz + 1e-6).astype(int)
    used = finite32(frames[chosen], "frames", ("frame", "row", "column", "channel")[: frames.ndim])
    used = used.reshape(*used.shape[:3], options.channels)
    side = (options.side_px, options.side_px)
    planes = [
        [
            np.asarray(Image.fromarray(np.ascontiguousarray(frame[..., c])).resize(side, Image.Resampling.BOX))
            for c in range(options.channels)
        ]
        for frame in used
    ]
    return np.ascontiguousarray(np.array(planes, dtype=np.float32).transpose(0, 2, 3, 1))


def measure(array: npt.NDArray[np.float32], options: Options) -> dict[str, float]:
    """Mean and deviation of the pixels, and the mean change from one used frame to the next, in the frames' unit."""
    wide = array.astype(np.float64)
    motion = float(np.abs(np.diff(wide, axis=0)).mean()) if len(wide) > 1 else 0.0
    return {"brightness": float(wide.mean()), "contrast": float(wide.std()), "motion": motion}


def near_hash(array: npt.NDArray[np.float32]) -> int | None:
    """Signs of differences between neighbours in a 4 x 4 x 5 version of time, height and width; None for an even clip."""
    if float(np.ptp(array)) < 1e-6:
        return None
    rows = np.linspace(0, len(array) - 1, 4).round().astype(int)  # a short clip has fewer frames
    return coarse_hash(array[rows].mean(axis=3, dtype=np.float64))


def duration_s(array: npt.NDArray[np.float32], options: Options) -> float | None:
    """Seconds of the clip that are used."""
    return len(array) / options.rate_hz
