"""Volumes: NIfTI, a DICOM series in a zip (or one DICOM file), or .npy bytes -> float32 [side, side, side]."""

import math
import warnings
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from tasks.errors import ContractBroken, WrongValue
from tasks.profile import NPY, coarse_hash, finite32, read_npy, refusing, require_at_least, require_positive

MEASURES = ("mean", "deviation")
GZIP, ZIP, ENTRY, DICOM = b"\x1f\x8b", b"PK\x03\x04", b"PK\x01\x02", b"DICM"
DEFLATED = b"1.2.840.10008.1.2.1.99"  # DICOM's transfer syntax that is inflated as a whole
PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
HEADER_BYTES = 1 << 20  # of a NIfTI file, beside its voxels
SLICE_BYTES = 1 << 16  # of a DICOM file, beside its pixels
MOST_SLICES = 4096
UNEVEN = 0.02  # share by which the distances between slices of one series may differ

Grid = tuple[npt.NDArray[np.generic], Sequence[float]]  # voxels [depth, height, width], mm from one to the next


@dataclass(frozen=True)
class Options:
    """What a volume modality may be told in params.yaml."""

    side: int = 32  # every volume is brought to side x side x side voxels
    extent_mm: float | None = None  # edge of the cube around the centre that is used; the whole volume when left out
    spacing_mm: tuple[float, ...] = (1.0, 1.0, 1.0)  # of .npy files, which do not know theirs: depth, height, width
    low: float | None = None  # values below become this, e.g. -1000 in CT
    high: float | None = None  # values above become this
    max_voxels: int = 100_000_000  # a volume of more is refused before it is read

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        require_at_least(self, side=8, max_voxels=1)
        if self.extent_mm is not None:
            require_positive(self, "extent_mm")
        if len(self.spacing_mm) != 3 or not all(step > 0 for step in self.spacing_mm):
            raise WrongValue(f"option spacing_mm must be three lengths above 0, got {self.spacing_mm}")
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise WrongValue(f"option low must be below high, got {self.low} and {self.high}")


def decode(data: bytes, options: Options) -> npt.NDArray[np.float32]:
    """Read a volume and bring it to a cube; the format is told from the first bytes.

    NIfTI (`.nii`, `.nii.gz`) is turned so that its axes are superior, anterior, right; a DICOM series is sorted along its
    normal, in its rescaled unit; `.npy` holds [depth, height, width]. Lengths count in mm: of voxels that are not cubes
    the cube of `extent_mm` is cut all the same, and what lies outside the volume has its lowest value.

    Returns:
        float32 [side, side, side], finite: each the average of what it covers.

    Raises:
        ContractBroken: no such file, one that holds less than its header promises, more than `max_voxels` voxels (said before
            they are read), colours or several moments, a series with slices missing, NaN or infinity.
    """
    if data.startswith(NPY):
        grid: Grid = (read_npy(data, lambda shape: _check_shape(shape, options)), options.spacing_mm)
    elif data.startswith(ZIP):
        grid = _read_series(_unzipped(data, options), options)
    elif data[128:132] == DICOM:
        grid = _read_series([data], options)
    else:
        grid = _read_nifti(_inflated(data, options), options)
    return _cube(*grid, options)


def _check_shape(shape: Sequence[int], options: Options) -> None:
    if len(shape) != 3 or min(shape) < 1:
        raise ContractBroken(f"volume of shape {tuple(shape)}; expected [depth, height, width]")
    if math.prod(shape) > options.max_voxels:
        raise ContractBroken(f"volume of {math.prod(shape)} voxels; at most max_voxels = {options.max_voxels} are read")


def _inflated(data: bytes, options: Options) -> bytes:
    """The NIfTI file in a gzip, no more of it than its own header promises; other bytes as they are."""
    if not data.startswith(GZIP):
        return data
    with refusing("gzip of NIfTI"):
        stream = zlib.decompressobj(wbits=31)
        head = stream.decompress(data, HEADER_BYTES)
        most = _promised(head, options)[1] + HEADER_BYTES
        found = head + stream.decompress(stream.unconsumed_tail, max(1, most - len(head)))  # 0 would mean without end
        if stream.unconsumed_tail:
            raise ContractBroken(f"gzip of more than {most} bytes, which is what the NIfTI header in it promises at most")
        if not stream.eof:
            raise ContractBroken("truncated gzip")
        return found


def _promised(data: bytes, options: Options) -> tuple[Any, int]:
    """The class of a NIfTI file, and how many bytes its header promises.

    Raises:
        ContractBroken: it promises what is not read.
    """
    import nibabel

    kind = nibabel.Nifti2Image if data[:4] in {b"\x1c\x02\0\0", b"\0\0\x02\x1c"} else nibabel.Nifti1Image
    header = kind.header_class.from_fileobj(BytesIO(data[:HEADER_BYTES]))  # it may have a million extensions
    shape = tuple(int(n) for n in header.get_data_shape())
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    _check_shape(shape, options)
    if header.get_data_dtype().kind not in "fiu":
        raise ContractBroken(f"NIfTI of {header.get_data_dtype()}; only plain numbers are read")
    offset = int(header.get_data_offset())
    if not 0 <= offset <= HEADER_BYTES:
        raise ContractBroken(f"NIfTI whose voxels begin at byte {offset}; at most {HEADER_BYTES} bytes may stand before them")
    return kind, offset + math.prod(shape) * header.get_data_dtype().itemsize


def _read_nifti(data: bytes, options: Options) -> Grid:
    import nibabel

    with refusing("volume (NIfTI, DICOM or .npy)"):
        kind, promised = _promised(data, options)
        if len(data) < promised:
            raise ContractBroken(f"truncated NIfTI: its header promises {promised} bytes, {len(data)} are there")
        image = nibabel.as_closest_canonical(kind.from_bytes(data))  # axes right, anterior, superior
        voxels = np.asarray(image.dataobj, dtype=np.float32).reshape(image.shape[:3])
        return voxels.transpose(2, 1, 0), [float(step) for step in image.header.get_zooms()[:3]][::-1]


def _unzipped(data: bytes, options: Options) -> list[bytes]:
    """The files of a zip, in memory: names are not used, so none can point anywhere."""
    if data.count(ENTRY) > MOST_SLICES:  # the library would list them all
        raise ContractBroken(f"zip of more than {MOST_SLICES} files; a series has at most so many slices")
    with refusing("zip of DICOM slices"), zipfile.ZipFile(BytesIO(data)) as packed:
        files = [info for info in packed.infolist() if not info.is_dir()]
        if any(info.compress_type not in PACKED for info in files):
            raise ContractBroken("zip packed by another method than deflate: others cannot be unpacked within bounds")
        promised, most = sum(info.file_size for info in files), 4 * options.max_voxels + SLICE_BYTES * max(1, len(files))
        if not 1 <= len(files) <= MOST_SLICES or promised > most:
            raise ContractBroken(
                f"zip of {len(files)} files, {promised} bytes; a series has 1 to {MOST_SLICES}"
                f" slices and max_voxels = {options.max_voxels}"
            )
        return [packed.open(info).read(info.file_size) for info in files]


def _read_series(files: list[bytes], options: Options) -> Grid:
    import pydicom

    if any(DEFLATED in file for file in files):
        raise ContractBroken("deflated DICOM, of which no one knows the size before it is inflated: save it plainly")
    with refusing("DICOM series"), warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)  # a JPEG in it may be larger than the slice
        slices = [pydicom.dcmread(BytesIO(file)) for file in files]
        if len({str(s.get("SeriesInstanceUID")) for s in slices}) > 1:
            raise ContractBroken("DICOM files of several series; a sample is one")
        rows, columns = int(slices[0].Rows), int(slices[0].Columns)
        depth = sum(int(s.get("NumberOfFrames", 1)) for s in slices)
        _check_shape((depth, rows, columns), options)
        if any((int(s.Rows), int(s.Columns), int(s.get("SamplesPerPixel", 1))) != (rows, columns, 1) for s in slices):
            raise ContractBroken("DICOM slices of several sizes, or in colour; a volume is grey and even")
        if len(slices) == 1:
            whole = _rescaled(slices[0]).reshape(depth, rows, columns)
            between = float(slices[0].get("SpacingBetweenSlices") or slices[0].get("SliceThickness") or 1)
            return whole, (between, *map(float, slices[0].get("PixelSpacing", (1, 1))))
        places = [_place(s) for s in slices]
        order = np.argsort(places)
        steps = np.diff(np.array(places)[order])
        if steps.min() <= 0 or np.ptp(steps) > UNEVEN * steps.max():
            raise ContractBroken(f"DICOM series with slices {steps.min():.3g} to {steps.max():.3g} mm apart: some are missing")
        voxels = np.stack([_rescaled(slices[at]) for at in order])
        return voxels, (float(steps.mean()), *map(float, slices[0].PixelSpacing))


def _place(one: Any) -> float:
    """Where a slice lies along its series' normal, mm."""
    row, column = np.array(one.ImageOrientationPatient, dtype=float).reshape(2, 3)
    return float(np.cross(row, column) @ np.array(one.ImagePositionPatient, dtype=float))


def _rescaled(one: Any) -> npt.NDArray[np.float32]:
    """A slice's voxels in its own unit, e.g. Hounsfield's of CT."""
    slope, intercept = float(one.get("RescaleSlope", 1)), float(one.get("RescaleIntercept", 0))
    return np.asarray(one.pixel_array * slope + intercept, dtype=np.float32)


def _cube(voxels: npt.NDArray[np.generic], spacing: Sequence[float], options: Options) -> npt.NDArray[np.float32]:
    """Average over the cells of a cube, lengths in mm."""
    if not all(math.isfinite(step) and step > 0 for step in spacing):
        raise ContractBroken(f"volume whose voxels are {tuple(spacing)} mm apart; expected lengths above 0")
    grid = finite32(voxels, "volume", ("slice", "row", "column"))
    if options.low is not None or options.high is not None:
        grid = np.clip(grid, options.low, options.high)
    lowest = grid.min()
    found = grid - lowest  # what lies outside counts as 0
    for length, step in zip(grid.shape, spacing, strict=True):
        used = options.extent_mm / step if options.extent_mm else length
        found = np.asarray(np.tensordot(found, _shares(length, used, options.side), axes=(0, 1)))  # the next axis comes first
    return np.ascontiguousarray(found + lowest, dtype=np.float32)


def _shares(length: int, used: float, side: int) -> npt.NDArray[np.float32]:
    """Weights float32 [side, length]: what share of each cell of the cube's edge each voxel of a line fills.

    Args:
        length: voxels of the line.
        used: of it, around its middle, in voxels; more than `length` reaches beyond it.
        side: cells.
    """
    edges = length / 2 + used * (np.arange(side + 1) / side - 0.5)
    places = np.arange(length)
    inside = np.minimum(edges[1:, None], places + 1) - np.maximum(edges[:-1, None], places)
    return np.asarray(np.clip(inside, 0, None) * side / used, dtype=np.float32)


def measure(array: npt.NDArray[np.float32], options: Options) -> dict[str, float]:
    """Mean and deviation of the cube's voxels, in the file's unit."""
    wide = array.astype(np.float64)
    return {"mean": float(wide.mean()), "deviation": float(wide.std())}


def near_hash(array: npt.NDArray[np.float32]) -> int | None:
    """Signs of differences between neighbours in a 4 x 4 x 5 version; None for an even volume."""
    if float(np.ptp(array)) == 0:
        return None
    return coarse_hash(array.astype(np.float64))


def duration_s(array: npt.NDArray[np.float32], options: Options) -> float | None:
    """A volume is taken as one moment."""
    return None
