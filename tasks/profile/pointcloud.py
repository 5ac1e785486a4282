"""Point clouds: .npy, PLY, PCD or LAS bytes -> float32 [n, 3 + fields], in an order of their own.

LAZ and compressed PCD are refused: laspy leaves the one to lazrs or laszip, and neither these nor a reader of the other are
among the packages of requirements.lock.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import numpy.typing as npt

from tasks.errors import ContractBroken
from tasks.profile import NPY, finite32, read_npy, refusing, require_at_least, signed64

MEASURES = ("points", "length", "width", "height")
AXES = ("x", "y", "z")
LONGEST_HEADER = 65_536  # bytes
MOST_FIELDS = 64  # of a file's points
LONGEST_LINE = 64 * MOST_FIELDS  # bytes
PLY_TYPES = {
    "char": "i1",
    "uchar": "u1",
    "short": "i2",
    "ushort": "u2",
    "int": "i4",
    "uint": "u4",
    "float": "f4",
    "double": "f8",
    "int8": "i1",
    "uint8": "u1",
    "int16": "i2",
    "uint16": "u2",
    "int32": "i4",
    "uint32": "u4",
    "float32": "f4",
    "float64": "f8",
}
PLY_FORMATS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
PCD_TYPES = {(letter, size): f"<{code}{size}" for letter, code in (("F", "f"), ("I", "i"), ("U", "u")) for size in "1248"}

LAS_RECORDS_AT, LAS_RECORD_BYTES = 96, 54  # of the header: where points begin and how many records stand before them


@dataclass(frozen=True)
class Options:
    """What a pointcloud modality may be told in params.yaml."""

    fields: tuple[str, ...] = ()  # what a point has beside x, y and z, e.g. [intensity]
    max_points: int = 500_000  # a cloud of more points is refused before it is read
    used_points: int = 1024  # of a cloud, by the network; more are thinned out evenly

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        require_at_least(self, max_points=1, used_points=8)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the numbers of a point."""
        return (*AXES, *self.fields)


def decode(data: bytes, options: Options) -> npt.NDArray[np.float32]:
    """Read a cloud; the format is told from the first bytes.

    `.npy` holds [n, 3 + fields] of plain numbers; PLY (ascii or binary, `vertex` first), PCD (ascii or binary) and LAS
    name their columns. Points without a return, which PCD writes as NaN, are left out there.

    Returns:
        float32 [n, 3 + fields], n at least 1, finite, in the file's own units; sorted, so that the order in which a
        scanner wrote its points changes nothing.

    Raises:
        ContractBroken: not such a file, one that holds less than its header promises, a column that is absent, more than
            `max_points` points (said before they are read), NaN or infinity.
    """
    if data.startswith(NPY):
        points = read_npy(data, lambda shape: _check_shape(shape, options))
    elif data.startswith(b"ply"):
        points = _read_ply(data, options)
    elif data.startswith(b"LASF"):
        points = _read_las(data, options)
    elif b"VERSION" in data[:512] and b"FIELDS" in data[:512]:
        points = _read_pcd(data, options)
    else:
        raise ContractBroken("not a readable point cloud (.npy, PLY, PCD or LAS)")
    cloud = finite32(points, "point cloud", ("point", "column"))
    return cloud.take(_order(cloud), axis=0)


def _order(cloud: npt.NDArray[np.float32]) -> npt.NDArray[np.intp]:
    """That of the columns, the first before the second …: by x and y as one number, by all only where these are alike."""
    keys = (_ranks(cloud[:, 0]).astype(np.int64) << 32) + _ranks(cloud[:, 1])
    order = np.argsort(keys)
    ordered = keys[order]
    alike = ordered[1:] == ordered[:-1]
    places = np.flatnonzero(np.append(alike, False) | np.append(False, alike))
    tied = order[places]
    order[places] = tied[np.lexsort(cloud[tied].T[::-1])]
    return order


def _ranks(numbers: npt.NDArray[np.float32]) -> npt.NDArray[np.int32]:
    """Whole numbers in the order of finite floats: their bits, of those below 0 turned round."""
    bits = (numbers + np.float32(0)).view(np.int32)  # + 0: there are two zeros
    return np.asarray(bits ^ ((bits >> 31) & 0x7FFFFFFF), dtype=np.int32)


def _check_shape(shape: tuple[int, ...], options: Options) -> None:
    wanted = len(options.columns)
    if len(shape) != 2 or shape[1] != wanted:
        raise ContractBroken(f"point cloud of shape {shape}; expected [n, {wanted}]: {', '.join(options.columns)}")
    _check_count(shape[0], options)


def _check_count(points: int, options: Options) -> None:
    if points < 1:
        raise ContractBroken("point cloud without a single point")
    if points > options.max_points:
        raise ContractBroken(f"point cloud of {points} points; at most max_points = {options.max_points} are read")


def _header(data: bytes, end: bytes) -> tuple[list[list[str]], bytes]:
    """The words of a text header's lines, the one that begins with `end` the last, and the bytes behind it."""
    begin = data.find(end, 0, LONGEST_HEADER)
    stop = data.find(b"\n", begin + len(end), begin + 256) if begin >= 0 else -1
    if stop < 0:
        raise ContractBroken(f"point cloud whose header has no line {end.strip().decode()!r}")
    lines = data[: stop + 1].decode("ascii").splitlines()
    return [words for line in lines if (words := line.split()) and words[0] not in {"comment", "obj_info", "#"}], data[
        stop + 1 :
    ]


def _read_ply(data: bytes, options: Options) -> npt.NDArray[np.generic]:
    with refusing("PLY point cloud"):
        lines, body = _header(data, b"end_header")
        form = next(words[1] for words in lines if words[0] == "format")
        elements = [words for words in lines if words[0] == "element"]
        if form not in PLY_FORMATS or not elements or elements[0][1] != "vertex":
            raise ContractBroken(f"PLY in format {form} with first element {elements[:1]}; vertices come first")
        first = lines.index(elements[0])
        end = lines.index(elements[1]) if len(elements) > 1 else len(lines)
        properties = [words for words in lines[first:end] if words[0] == "property"]
        if any(words[1] not in PLY_TYPES for words in properties):
            raise ContractBroken("PLY whose vertices have lists; only plain numbers are read")
        kinds = [(words[2], PLY_FORMATS[form] + PLY_TYPES[words[1]]) for words in properties]
        return _table(kinds, int(elements[0][2]), body, form == "ascii", options)


def _read_pcd(data: bytes, options: Options) -> npt.NDArray[np.generic]:
    with refusing("PCD point cloud"):
        lines, body = _header(data, b"\nDATA")
        said: Mapping[str, Sequence[str]] = {words[0]: words[1:] for words in lines}
        if said["DATA"][0] not in {"ascii", "binary"}:
            raise ContractBroken(f"PCD with {said['DATA'][0]} data; ascii and binary are read: save it uncompressed")
        counts = said.get("COUNT", ["1"] * len(said["FIELDS"]))
        if any(count != "1" for count in counts):
            raise ContractBroken("PCD whose fields have several numbers; only plain ones are read")
        types = [PCD_TYPES[letter, size] for letter, size in zip(said["TYPE"], said["SIZE"], strict=True)]
        kinds = list(zip(said["FIELDS"], types, strict=True))
        points = _table(kinds, int(said["POINTS"][0]), body, said["DATA"][0] == "ascii", options)
        there = points[~np.isnan(points[:, :3]).any(axis=1)]
        _check_count(len(there), options)
        return np.asarray(there)


def _table(kinds: list[tuple[str, str]], count: int, body: bytes, text: bool, options: Options) -> npt.NDArray[np.float64]:
    """The wanted columns of a table of numbers, as text or as packed records: float64 [count, columns]."""
    _check_count(count, options)
    names = [name for name, _ in kinds]
    lacking = [name for name in options.columns if name not in names]
    if lacking or len(kinds) > MOST_FIELDS:
        raise ContractBroken(f"point cloud without {', '.join(lacking)}; its columns: {', '.join(names[:MOST_FIELDS])}")
    if text:
        return _text_table(body, count, [names.index(name) for name in options.columns])
    record = np.dtype(kinds)
    if len(body) < count * record.itemsize:
        raise ContractBroken(
            f"truncated point cloud: the header promises {count} points of {record.itemsize} bytes, {len(body)} bytes are there"
        )
    table = np.frombuffer(body, dtype=record, count=count)
    return np.stack([table[name].astype(np.float64) for name in options.columns], axis=1)


def _text_table(body: bytes, count: int, chosen: list[int]) -> npt.NDArray[np.float64]:
    lines = body.split(b"\n", count)[:count]
    if max(map(len, lines)) > LONGEST_LINE:
        raise ContractBroken(f"point cloud with a line of more than {LONGEST_LINE} bytes")
    filled = [line for line in lines if line.strip()]
    if len(filled) < count:
        raise ContractBroken(f"truncated point cloud: the header promises {count} points, {len(filled)} are there")
    return np.asarray(np.loadtxt(filled, usecols=chosen, ndmin=2, comments=None), dtype=np.float64)


def _read_las(data: bytes, options: Options) -> npt.NDArray[np.generic]:
    import laspy

    with refusing("LAS point cloud"):
        begins, records = struct.unpack_from("<2I", data, LAS_RECORDS_AT)
        if begins > len(data) or records * LAS_RECORD_BYTES > begins:  # the library would look for each of them
            raise ContractBroken(f"LAS whose header promises {records} records before byte {begins} of {len(data)}")
    with refusing("LAS point cloud"), laspy.open(BytesIO(data), closefd=False, read_evlrs=False) as file:
        header = file.header
        _check_count(header.point_count, options)
        if header.are_points_compressed:
            raise ContractBroken("LAZ point cloud; LAS is read: save it uncompressed")
        there = (len(data) - header.offset_to_point_data) // header.point_format.size
        if there < header.point_count:
            raise ContractBroken(
                f"truncated point cloud: the header promises {header.point_count} points, {max(there, 0)} are there"
            )
        known = {*AXES, *(name.lower() for name in header.point_format.dimension_names)}
        if lacking := [name for name in options.columns if name not in known]:
            raise ContractBroken(f"point cloud without {', '.join(lacking)}; its columns: {', '.join(sorted(known))}")
        points = file.read()
        cloud = np.empty((header.point_count, len(options.columns)), np.float32)
        with np.errstate(over="ignore"):  # what is too large becomes infinity, which the caller refuses
            for place, name in enumerate(options.columns):
                cloud[:, place] = points[name]
        return cloud


def measure(array: npt.NDArray[np.float32], options: Options) -> dict[str, float]:
    """Number of points, and their extent along x, y and z, in the file's unit."""
    axes = np.ascontiguousarray(array[:, :3].T)  # along its rows an array is searched several times as fast
    extent = axes.max(axis=1).astype(np.float64) - axes.min(axis=1)
    return {"points": float(len(array)), "length": float(extent[0]), "width": float(extent[1]), "height": float(extent[2])}


def near_hash(array: npt.NDArray[np.float32]) -> int | None:
    """Signs of differences of the mean height between 65 consecutive slices along x, each of as many points.

    None for a cloud of fewer than 260 points, and for a flat one.
    """
    if len(array) < 4 * 65 or float(np.ptp(array[:, 2])) == 0:
        return None
    begins = np.arange(65) * len(array) // 65  # `decode` sorts by x
    means = np.add.reduceat(array[:, 2].astype(np.float64), begins) / np.diff([*begins, len(array)])
    return signed64(np.diff(means) > 0)


def duration_s(array: npt.NDArray[np.float32], options: Options) -> float | None:
    """A cloud is taken as one moment."""
    return None
