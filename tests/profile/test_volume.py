"""Volumes: three formats, millimetres that count, and headers that are believed only when the bytes are there."""

import gzip
import io
import struct
import time
import zipfile

import nibabel
import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, generate_uid

from tasks.errors import ContractBroken, WrongValue
from tasks.profile.volume import Options, decode, duration_s, measure, near_hash
from tests.profile.damage import GZIP, changed, deflated, npy

SERIES = generate_uid(entropy_srcs=["series"])


def solid(shape=(10, 12, 14), seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(100, 20, shape).round().astype(np.float32)


def nifti(array: np.ndarray, spacing=(1.0, 1.0, 1.0), kind=nibabel.Nifti1Image, flip=False) -> bytes:
    """An array [depth, height, width] as NIfTI, whose own axes are width, height, depth; `flip`: left is right there."""
    affine = np.diag([*spacing[::-1], 1.0])
    stored = array.transpose(2, 1, 0)
    if flip:
        affine[0, 0], stored = -affine[0, 0], stored[::-1]
    return kind(stored, affine).to_bytes()


def dicom(array, place: float = 0.0, spacing=(1.0, 1.0), frames=False, syntax=ExplicitVRLittleEndian, **more) -> bytes:
    """A slice [height, width] (or `frames`) as a DICOM file, stored as value + 1024."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = CTImageStorage, syntax
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[str(place)])
    made = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    made.SeriesInstanceUID = SERIES
    made.Rows, made.Columns = array.shape[-2:]
    if frames:
        made.NumberOfFrames, made.SpacingBetweenSlices = len(array), 1.0
    made.ImageOrientationPatient, made.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, place]
    made.PixelSpacing = list(spacing)
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated = made.BitsStored = 16
    made.HighBit, made.PixelRepresentation = 15, 0
    made.RescaleSlope, made.RescaleIntercept = 2, -1024
    made.PixelData = ((array + 1024) / 2).astype("<u2").tobytes()
    for name, value in more.items():
        setattr(made, name, value)
    file = io.BytesIO()
    pydicom.dcmwrite(file, made, enforce_file_format=True)
    return file.getvalue()


def series(array: np.ndarray, step: float = 1.0, spacing=(1.0, 1.0), order=None, **more) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        for at, number in enumerate(order if order is not None else range(len(array))):
            packed.writestr(f"../{at}.dcm", dicom(array[number], number * step, spacing, **more))
    return file.getvalue()


def deflated_dicom(mib: int) -> bytes:
    """Zeros where the slice should be, behind the header of a file whose whole content is deflated."""
    data = dicom(solid()[0], syntax=DeflatedExplicitVRLittleEndian)
    return data[: 144 + struct.unpack_from("<I", data, 140)[0]] + deflated(b"\x08\0", mib)


EVEN = (solid() / 2).round() * 2  # what DICOM's steps of 2 can hold
FORMATS = {
    "npy": npy,
    "npy of whole numbers": lambda array: npy(array.astype(np.int16)),
    "nifti": nifti,
    "nifti 2": lambda array: nifti(array, kind=nibabel.Nifti2Image),
    "nifti turned": lambda array: nifti(array, flip=True),
    "nifti in gzip": lambda array: gzip.compress(nifti(array)),
    "dicom series": series,
    "dicom series in another order": lambda array: series(array, order=[3, 1, *range(4, len(array)), 0, 2]),
    "dicom of several frames": lambda array: dicom(array, frames=True),
}


@pytest.mark.parametrize("write", FORMATS.values(), ids=FORMATS)
def test_every_format_brings_the_same_cube(write):
    cube = decode(write(EVEN), Options(side=8))
    assert cube.shape == (8, 8, 8)
    assert cube.dtype == np.float32
    np.testing.assert_allclose(cube, decode(npy(EVEN), Options(side=8)), rtol=1e-6)


def test_a_cell_is_the_average_of_what_it_covers():
    array = solid((16, 24, 32))
    blocks = array.reshape(8, 2, 8, 3, 8, 4).mean(axis=(1, 3, 5))
    np.testing.assert_allclose(decode(npy(array), Options(side=8)), blocks, rtol=1e-5)


def test_millimetres_count_and_what_is_outside_is_the_lowest():
    array = solid((8, 8, 8))
    flat = Options(side=8, extent_mm=8.0)
    np.testing.assert_allclose(decode(nifti(array), flat), array, rtol=1e-6)
    twice = np.repeat(array, 2, axis=0)  # slices half as thick, twice as many
    for data in (nifti(twice, (0.5, 1.0, 1.0)), series((twice / 2).round() * 2, step=0.5)):
        np.testing.assert_allclose(decode(data, flat), array, atol=1.0)
    wide = decode(nifti(array), Options(side=16, extent_mm=16.0))
    np.testing.assert_allclose(wide[4:12, 4:12, 4:12], array, rtol=1e-6)
    assert (wide[:4] == array.min()).all()
    own = Options(side=8, extent_mm=8.0, spacing_mm=(0.5, 1.0, 1.0))
    np.testing.assert_allclose(decode(npy(twice), own), array, rtol=1e-6)


def test_values_are_cut_to_the_window():
    cube = decode(npy(solid()), Options(side=8, low=90, high=110))
    assert cube.min() >= 90
    assert cube.max() <= 110


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not a readable volume"),
        (b"nothing of the kind" * 50, "not a readable volume|truncated NIfTI|volume of shape"),
        (npy(np.zeros((5, 5))), r"volume of shape \(5, 5\); expected \[depth, height, width\]"),
        (npy(np.zeros((0, 5, 5))), "volume of shape"),
        (npy(np.zeros((20, 20, 20))), "volume of 8000 voxels; at most max_voxels = 5000"),
        (npy(np.full((2, 2, 2), np.nan)), "volume with NaN or infinity, first at slice 0, row 0, column 0"),
        (nifti(solid((20, 20, 20))), "volume of 8000 voxels; at most max_voxels = 5000"),
        (nifti(solid())[:-50], r"truncated NIfTI: its header promises \d+ bytes"),
        (gzip.compress(nifti(solid()))[:-50], "truncated gzip|not a readable gzip"),
        (nibabel.Nifti1Image(np.zeros((4, 4, 4, 3)), np.eye(4)).to_bytes(), r"volume of shape \(4, 4, 4, 3\)"),
        (series(solid(), order=[0, 1, 2, 4]), "DICOM series with slices 1 to 2 mm apart: some are missing"),
        (series(solid(), order=[0, 1, 1]), "DICOM series with slices 0 to 1 mm apart"),
        (series(solid((20, 20, 20))), "volume of 8000 voxels; at most max_voxels = 5000"),
        (dicom(solid()[0])[:-50], "not a readable DICOM series"),
        (series(solid(), SamplesPerPixel=3), "not a readable DICOM series|in colour"),
        (b"PK\x03\x04 and no more", "not a readable zip"),
    ],
)
def test_what_is_no_such_volume_is_refused(data, reason):
    with pytest.raises(ContractBroken, match=reason):
        decode(data, Options(side=8, max_voxels=5000))


def test_slices_of_two_series_are_not_mixed():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr("a", dicom(solid()[0]))
        packed.writestr("b", dicom(solid()[1], 1.0, SeriesInstanceUID=generate_uid(entropy_srcs=["other"])))
    with pytest.raises(ContractBroken, match="DICOM files of several series"):
        decode(file.getvalue(), Options(side=8))


@pytest.mark.parametrize("shape", [(30_000, 30_000, 30_000), (11, 12, 14)])
def test_a_header_that_lies_costs_nothing(shape):
    data = bytearray(nifti(solid()))
    data[42:48] = np.array(shape[::-1], dtype="<i2").tobytes()
    start = time.monotonic()
    with pytest.raises(ContractBroken, match=r"truncated NIfTI|at most max_voxels"):
        decode(bytes(data), Options())
    assert time.monotonic() - start < 0.5


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (GZIP + deflated(nifti(solid((4, 4, 4))), 200), "gzip of more than"),
        (GZIP + deflated(b"", 200), "gzip|NIfTI|volume of shape"),
        (changed(series(solid((2, 4, 4))), b"PK\x01\x02", "<I", 2**32 - 2, skip=20), r"zip of 2 files, \d{10} bytes"),
        (deflated_dicom(200), "deflated DICOM"),
    ],
)
def test_bombs_are_refused_before_they_burst(data, reason):
    assert len(data) < 250_000
    start = time.monotonic()
    with pytest.raises(ContractBroken, match=reason):
        decode(data, Options())
    assert time.monotonic() - start < 0.5


def test_measures_and_duration():
    cube = np.array([0.0, 2.0] * 4, dtype=np.float32).reshape(2, 2, 2)
    assert measure(cube, Options()) == {"mean": 1.0, "deviation": 1.0}
    assert duration_s(cube, Options()) is None


def test_a_hash_tells_volumes_apart_and_knows_a_brighter_copy():
    one, other = (decode(npy(solid(seed=seed)), Options(side=16)) for seed in (1, 2))
    assert near_hash(one) == near_hash(one * 2 + 1)
    assert ((near_hash(one) ^ near_hash(other)) & (2**64 - 1)).bit_count() > 10
    assert near_hash(np.zeros((16, 16, 16), dtype=np.float32)) is None


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"spacing_mm": (1.0, 1.0)}, "spacing_mm must be three lengths"),
        ({"spacing_mm": (1.0, 0.0, 1.0)}, "spacing_mm must be three lengths"),
        ({"extent_mm": 0.0}, "extent_mm must be above 0"),
        ({"low": 2.0, "high": 1.0}, "low must be below high"),
        ({"side": 4}, "side must be at least 8"),
    ],
)
def test_options_out_of_range_are_refused(options, reason):
    with pytest.raises(WrongValue, match=reason):
        Options(**options)
