"""Series: .npy, Parquet or CSV bytes -> float32 [t, channels]."""

from dataclasses import dataclass
from io import StringIO

import numpy as np
import numpy.typing as npt

from tasks.errors import ContractBroken
from tasks.profile import NPY, finite32, read_npy, refusing, require_at_least, require_positive, signed64

MEASURES = ("steps", "mean", "deviation", "lowest", "highest")
PARQUET = b"PAR1"
CELL_BYTES = 64  # of a CSV, in the mean


@dataclass(frozen=True)
class Options:
    """What a timeseries modality may be told in params.yaml."""

    channels: int = 1
    rate_hz: float = 1.0
    max_steps: int = 100_000  # a longer series is refused before it is read
    bands: int = 12  # frequency bands of the spectral branch

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        require_at_least(self, channels=1, max_steps=1, bands=1)
        require_positive(self, "rate_hz")


def decode(data: bytes, options: Options) -> npt.NDArray[np.float32]:
    """Read a series; the format is told from the first bytes, CSV being what is left.

    `.npy` holds [t, channels] (or [t] for one channel) of plain numbers; Parquet and CSV a column per channel, CSV with
    or without a line of names.

    Returns:
        float32 [t, channels], t at least 1, finite, in the file's own units.

    Raises:
        ContractBroken: not such a file, a header that promises another size than is there, objects, another number of
            channels, more than `max_steps` steps (said before they are read), NaN or infinity (says where).
    """
    if data.startswith(NPY):
        found = read_npy(data, lambda shape: _check_shape(shape, options))
        array = found.reshape(len(found), -1)
    elif data.startswith(PARQUET):
        array = _read_parquet(data, options)
    else:
        array = _read_csv(data, options)
    return finite32(array, "series", ("step", "channel"))


def _read_parquet(data: bytes, options: Options) -> npt.NDArray[np.generic]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with refusing("Parquet file"):
        file = pq.ParquetFile(pa.BufferReader(data))
        _check_shape((file.metadata.num_rows, file.metadata.num_columns), options)
        for field in file.schema_arrow:
            if not (pa.types.is_floating(field.type) or pa.types.is_integer(field.type)):
                raise ContractBroken(f"Parquet column {field.name!r} is {field.type}; only plain numbers are read")
        columns = [column.to_numpy() for column in file.read().itercolumns()]  # null becomes NaN
        return np.stack(columns, axis=1).astype(np.float64)


def _read_csv(data: bytes, options: Options) -> npt.NDArray[np.generic]:
    lines = data.count(b"\n") + 1
    if lines > options.max_steps + 2:
        raise ContractBroken(f"CSV of {lines} lines; at most max_steps = {options.max_steps} are read")
    cells = lines * options.channels  # a line of a million cells would cost gigabytes before it is found wrong
    if data.count(b",") > cells - lines or len(data) > CELL_BYTES * cells:
        raise ContractBroken(
            f"CSV of {data.count(b',')} commas and {len(data)} bytes in {lines} lines;"
            f" expected channels = {options.channels} cells a line, of at most {CELL_BYTES} bytes"
        )
    with refusing("CSV of numbers"):
        text = data.decode("utf-8-sig")
        first = text.split("\n", 1)[0]
        if not text.strip():
            raise ContractBroken("CSV without a line")
        array = np.loadtxt(StringIO(text), delimiter=",", ndmin=2, skiprows=1 if _is_header(first) else 0, comments=None)
        _check_shape(array.shape, options)
        return array


def _is_header(line: str) -> bool:
    """Whether no cell of the first line is a number: one that holds some is a row, maybe a broken one."""
    return not any(_is_number(cell) for cell in line.split(","))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _check_shape(shape: tuple[int, ...], options: Options) -> None:
    if len(shape) not in (1, 2):
        raise ContractBroken(f"series of shape {shape}; expected [t, {options.channels}]")
    steps, channels = shape if len(shape) == 2 else (shape[0], 1)
    if channels != options.channels:
        hint = "; time comes first: transpose it" if steps == options.channels else ""
        raise ContractBroken(f"series of {channels} channels; expected channels = {options.channels}{hint}")
    if steps < 1:
        raise ContractBroken("series without a single step")
    if steps > options.max_steps:
        raise ContractBroken(f"series of {steps} steps; at most max_steps = {options.max_steps} are read")


def measure(array: npt.NDArray[np.float32], options: Options) -> dict[str, float]:
    """Steps, and mean, standard deviation, lowest and highest value over time and channels."""
    wide = array.astype(np.float64)
    return {
        "steps": float(len(wide)),
        "mean": float(wide.mean()),
        "deviation": float(wide.std()),
        "lowest": float(wide.min()),
        "highest": float(wide.max()),
    }


def near_hash(array: npt.NDArray[np.float32]) -> int | None:
    """Signs of differences between the means of consecutive stretches, channel after channel.

    None for a series of fewer than 64 differences, and for one that does not move.
    """
    steps, channels = array.shape
    differences = -(-64 // channels)  # per channel, rounded up
    if steps <= differences or float(np.ptp(array, axis=0).max()) == 0:
        return None
    edges = np.linspace(0, steps, differences + 1, endpoint=False).astype(int)
    sums = np.add.reduceat(array.astype(np.float64), edges, axis=0)
    means = sums / np.diff([*edges, steps])[:, None]
    return signed64((np.diff(means, axis=0) > 0).T.ravel()[:64])


def duration_s(array: npt.NDArray[np.float32], options: Options) -> float | None:
    """Seconds from the first step to the end of the last."""
    return len(array) / options.rate_hz
