"""Sound: WAV, FLAC, Ogg or MP3 bytes, or the sound track of a video -> float32 [n], mono, -1 to 1."""

import math
import struct
import wave
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from io import BytesIO

import numpy as np
import numpy.typing as npt

from tasks.errors import ContractBroken
from tasks.profile import container, refusing, require_at_least, require_positive, signed64

FORMATS = frozenset({"WAV", "WAVEX", "FLAC", "OGG", "MP3"})
CODECS = frozenset(
    {"aac", "alac", "flac", "mp3", "mp3float", "opus", "libopus", "pcm_s16le", "vorbis", "libvorbis"}
)  # of a track
MEASURES = ("rms", "peak", "zero_crossings_hz")
MOST_RATIO = 32  # between a file's rate and the wanted one
LOUDEST = 2.0**16  # float files may exceed 1; what is far beyond is no sound, and its power would overflow
PCM = 1  # wFormatTag of plain integers
UNKNOWN_SIZE = 0xFFFFFFFF
OGG_PAGE, OGG_LAST = 27, 4  # bytes of a page's header before its table of segments; flag of the last page


@dataclass(frozen=True)
class Options:
    """What an audio modality may be told in params.yaml."""

    sample_rate_hz: int = 8000  # everything is resampled to it
    max_s: float = 1.0  # what comes later in a clip is not used
    max_values: int = 10_000_000  # a clip with more values (frames x channels) is refused before it is decoded
    bands: int = 40  # mel bands of the spectrogram
    window_s: float = 0.05  # length of a spectrum's window
    hop_s: float = 0.01  # from one spectrum to the next

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        require_at_least(self, sample_rate_hz=1, max_values=1, bands=1)
        require_positive(self, "max_s", "window_s", "hop_s")


def decode(data: bytes, options: Options) -> npt.NDArray[np.float32]:
    """Decode, mix to mono, cut to `max_s`, resample to `sample_rate_hz`; of a video, its first sound track up to `max_s`.

    Returns:
        float32 [n], n at least 1, full scale -1 to 1 (a float file may exceed it).

    Raises:
        ContractBroken: no such sound, one that holds less than its header promises, NaN or infinity, or one beyond
            `max_values` (said before it is decoded); a video without sound, or with another codec than those in CODECS.
    """
    frames, rate = opened(data, options)
    mono = frames[:, 0] if frames.shape[1] == 1 else frames.mean(axis=1, dtype=np.float32)
    return _resample(np.ascontiguousarray(mono), rate, options.sample_rate_hz)


def opened(data: bytes, options: Options) -> tuple[npt.NDArray[np.float32], int]:
    """The frames that are used, float32 [n, channels], before they are mixed and resampled, and their rate, Hz.

    Raises:
        ContractBroken: as `decode`.
    """
    with refusing("sound (WAV, FLAC, Ogg or MP3, or a video's)"):
        frames, rate = _read(data, options)
    peak = float(max(frames.max(), -frames.min()))  # NaN, if there is one
    if not math.isfinite(peak):
        raise ContractBroken(f"sound with NaN or infinity, first at frame {int(np.argmin(np.isfinite(frames).all(axis=1)))}")
    if peak > LOUDEST:
        raise ContractBroken(f"sound with values beyond +-{LOUDEST:.0f}: full scale is 1")
    return frames[: max(1, round(options.max_s * rate))], rate


def _read(data: bytes, options: Options) -> tuple[npt.NDArray[np.float32], int]:
    """All frames of a file, of a track those that are used: float32 [n, channels]; and its rate, Hz."""
    if form := container(data):
        return _read_track(data, form, options)
    for begin, check in CHECKS.items():
        if data.startswith(begin):
            check(data)
    return _read_pcm16(data, options) if _is_pcm16(data) else _read_other(data, options)


def _check_chunks(data: bytes) -> None:
    """Compare the length of each RIFF chunk with what is there: libsndfile reads half a file without a word.

    Raises:
        ContractBroken: a chunk goes past the file's end, or there is none with sound.
    """
    at, sound = 12, False
    while at + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, at)
        if size > len(data) - at - 8:
            kept = "an unknown number of" if size == UNKNOWN_SIZE else str(size)
            raise ContractBroken(f"truncated WAV: chunk {name!r} promises {kept} bytes, {len(data) - at - 8} are there")
        sound = sound or name == b"data"
        at += 8 + size + size % 2
    if not sound:
        raise ContractBroken("WAV without a data chunk")


def _check_last_page(data: bytes) -> None:
    """Look for the mark of the last page of an Ogg file, and for the whole of that page.

    Raises:
        ContractBroken: the file ends before.
    """
    at = data.rfind(b"OggS")
    header = data[at : at + OGG_PAGE]
    segments = data[at + OGG_PAGE : at + OGG_PAGE + header[-1]] if len(header) == OGG_PAGE else b""
    ends = at + OGG_PAGE + len(segments) + sum(segments)
    if len(header) < OGG_PAGE or not header[5] & OGG_LAST or len(segments) < header[-1] or ends > len(data):
        raise ContractBroken("truncated Ogg: it ends before a page that is marked as the last one")


def _check_tag(data: bytes) -> None:
    """Compare the length that most encoders write into the first frame of an MP3 with what is there.

    Raises:
        ContractBroken: less is there.
    """
    begin = 0
    if data.startswith(b"ID3"):  # titles and pictures before the sound, their length in sevens of bits
        begin = 10 + sum((byte & 127) << 7 * place for place, byte in enumerate(data[9:5:-1]))
    at = max(data.find(tag, begin, begin + 200) for tag in (b"Xing", b"Info"))
    if at < 0 or len(data) < at + 16:
        return
    flags, first, second = struct.unpack_from(">3I", data, at + 4)  # frames if bit 0, bytes if bit 1
    promised = (second if flags & 1 else first) if flags & 2 else 0
    if begin + promised > len(data):
        raise ContractBroken(f"truncated MP3: its header promises {promised} bytes, {len(data) - begin} are there")


CHECKS: Mapping[bytes, Callable[[bytes], None]] = {
    b"RIFF": _check_chunks,
    b"OggS": _check_last_page,
    b"ID3": _check_tag,
    b"\xff": _check_tag,
}


def _is_pcm16(data: bytes) -> bool:
    """Whether the usual header stands at the start: the fast way needs no library."""
    if len(data) < 44 or data[:4] != b"RIFF" or data[8:16] != b"WAVEfmt ":
        return False
    tag, bits = struct.unpack_from("<H", data, 20)[0], struct.unpack_from("<H", data, 34)[0]
    return bool(tag == PCM and bits == 16)


def _read_pcm16(data: bytes, options: Options) -> tuple[npt.NDArray[np.float32], int]:
    with wave.open(BytesIO(data)) as file:
        promised, channels, rate = file.getnframes(), file.getnchannels(), file.getframerate()
        _check_size(promised, channels, rate, options)
        values = np.frombuffer(file.readframes(promised), dtype="<i2")
    _check_whole(values.size // channels, promised)
    return values.reshape(-1, channels).astype(np.float32) / np.float32(2**15), rate


def _read_other(data: bytes, options: Options) -> tuple[npt.NDArray[np.float32], int]:
    import soundfile

    with soundfile.SoundFile(BytesIO(data)) as file:
        if file.format not in FORMATS:
            raise ContractBroken(f"sound in format {file.format}; read are {', '.join(sorted(FORMATS))}")
        promised, rate = file.frames, file.samplerate
        _check_size(promised, file.channels, rate, options)
        frames = file.read(dtype="float32", always_2d=True)
    _check_whole(len(frames), promised)
    return frames, rate


def _read_track(data: bytes, form: str, options: Options) -> tuple[npt.NDArray[np.float32], int]:
    import av

    with av.open(BytesIO(data), "r", format=form) as file:
        if not file.streams.audio:
            raise ContractBroken("video without a sound track")
        stream = file.streams.audio[0]
        context = stream.codec_context
        if context.name not in CODECS:
            raise ContractBroken(f"sound track of codec {context.name}; read are {', '.join(sorted(CODECS))}")
        rate, context.thread_count = context.sample_rate, 1
        used = max(1, round(options.max_s * rate))
        _check_size(used, context.channels, rate, options)
        even, parts, count = av.AudioResampler(format="fltp"), [], 0  # the kind of numbers alone is another one
        for frame in file.decode(stream):
            parts += [part.to_ndarray() for part in even.resample(frame)]
            count += frame.samples
            if count >= used:
                break
    if not parts:
        raise ContractBroken("sound without a single frame")
    return np.asarray(np.concatenate(parts, axis=1).T[:used], dtype=np.float32), rate


def _check_size(frames: int, channels: int, rate: int, options: Options) -> None:
    if frames < 1:
        raise ContractBroken("sound without a single frame")
    if frames * channels > options.max_values:
        raise ContractBroken(
            f"sound of {frames} frames and {channels} channels; at most max_values = {options.max_values} are decoded"
        )
    if not options.sample_rate_hz / MOST_RATIO <= rate <= options.sample_rate_hz * MOST_RATIO:
        raise ContractBroken(
            f"sound at {rate} Hz; with sample_rate_hz = {options.sample_rate_hz}, rates up to {MOST_RATIO} times away are read"
        )


def _check_whole(read: int, promised: int) -> None:
    if read != promised:
        raise ContractBroken(f"truncated sound: the header promises {promised} frames, {read} are there")


def _resample(mono: npt.NDArray[np.float32], rate: int, wanted: int) -> npt.NDArray[np.float32]:
    if rate == wanted:
        return mono
    from scipy.signal import resample_poly

    # odd rates would ask for a filter of a million taps: a ratio that is wrong by less than 1e-5 will do
    ratio = Fraction(wanted, rate).limit_denominator(1000)
    return np.asarray(resample_poly(mono, ratio.numerator, ratio.denominator), dtype=np.float32)


def measure(array: npt.NDArray[np.float32], options: Options) -> dict[str, float]:
    """Root mean square and highest magnitude (full scale 1), and sign changes per second."""
    wide, below = array.astype(np.float64), np.signbit(array)
    return {
        "rms": math.sqrt(float(wide @ wide) / len(wide)),
        "peak": float(max(array.max(), -array.min())),
        "zero_crossings_hz": int(np.count_nonzero(below[1:] != below[:-1])) * options.sample_rate_hz / len(array),
    }


def near_hash(array: npt.NDArray[np.float32]) -> int | None:
    """Signs of energy differences between 9 moments and 9 bands (Haitsma and Kalker, "A highly robust audio
    fingerprinting system", ISMIR 2002); None for silence and for what is shorter than a spectrum each."""  # noqa: D205, D209
    length = len(array) // 9
    if length < 64 or float(np.abs(array).max()) < 1e-4:
        return None
    parts = array[: 9 * length].reshape(9, length) * _window(length)
    spectra = np.fft.rfft(parts, 1 << length.bit_length(), axis=1)  # [9, bins]; a power of two is fast
    power = spectra.real**2 + spectra.imag**2
    edges = np.geomspace(2, power.shape[1], 10).astype(int)
    bands = np.log(np.add.reduceat(power, edges[:-1], axis=1) + 1e-12)  # [9, 9]
    return signed64((np.diff(np.diff(bands, axis=0), axis=1) > 0).ravel())


@lru_cache(maxsize=8)
def _window(length: int) -> npt.NDArray[np.float32]:
    return np.hanning(length).astype(np.float32)


def duration_s(array: npt.NDArray[np.float32], options: Options) -> float | None:
    """Seconds of sound that are used."""
    return len(array) / options.sample_rate_hz
