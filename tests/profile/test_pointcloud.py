"""Clouds: four formats that bring the same points back, and headers that are believed only when the bytes are there."""

import io
import time

import laspy
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn

from tasks.errors import ContractBroken
from tasks.profile.pointcloud import Options, decode, measure, near_hash
from tests.profile.damage import npy

BRIGHT = Options(fields=("intensity",))
NAMES = ("x", "y", "z", "intensity")


def ply(array: np.ndarray, form="binary_little_endian", names=NAMES, count=None, faces=False) -> bytes:
    code = {"binary_little_endian": "<f4", "binary_big_endian": ">f4"}.get(form)
    head = ["ply", f"format {form} 1.0", "comment made by hand", f"element vertex {len(array) if count is None else count}"]
    head += [f"property float {name}" for name in names]
    head += ["element face 1", "property list uchar int vertex_indices"] if faces else []
    body = array.astype(code).tobytes() if code else "\n".join(" ".join(map(repr, map(float, row))) for row in array).encode()
    return "\n".join([*head, "end_header", ""]).encode() + body + (b"\x03\0\0\0\0\1\0\0\0\2\0\0\0" if faces else b"")


def pcd(array: np.ndarray, form="binary", names=NAMES, count=None) -> bytes:
    count = len(array) if count is None else count
    width = len(names)
    head = f"""# .PCD v0.7 - Point Cloud Data file format
VERSION 0.7
FIELDS {" ".join(names)}
SIZE{" 4" * width}
TYPE{" F" * width}
COUNT{" 1" * width}
WIDTH {count}
HEIGHT 1
VIEWPOINT 0 0 0 1 0 0 0
POINTS {count}
DATA {form}
"""
    body = array.astype("<f4").tobytes() if form == "binary" else "\n".join(" ".join(map(str, row)) for row in array).encode()
    return head.encode() + body


def las(array: np.ndarray) -> bytes:
    made = laspy.create(point_format=0, file_version="1.2")
    made.header.scales = [0.001] * 3
    made.x, made.y, made.z, made.intensity = array.T[0], array.T[1], array.T[2], array.T[3].astype(np.uint16)
    file = io.BytesIO()
    made.write(file)
    return file.getvalue()


def in_order(array: np.ndarray) -> np.ndarray:
    return np.array(sorted(map(tuple, array)), dtype=np.float32)


def cloud(points: int = 400, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.normal(size=(points, 3)).round(3), rng.integers(0, 200, (points, 1))], axis=1)


FORMATS = {
    "npy": npy,
    "ply": ply,
    "ply of the other end": lambda array: ply(array, "binary_big_endian"),
    "ply as text": lambda array: ply(array, "ascii"),
    "ply with faces": lambda array: ply(array, faces=True),
    "pcd": pcd,
    "pcd as text": lambda array: pcd(array, "ascii"),
    "las": las,
}


@pytest.mark.parametrize("write", FORMATS.values(), ids=FORMATS)
def test_every_format_brings_the_same_points_back_in_one_order(write):
    array = cloud()
    points = decode(write(array), BRIGHT)
    assert points.dtype == np.float32
    np.testing.assert_allclose(points, in_order(array.astype(np.float32)), atol=1e-6)
    np.testing.assert_array_equal(decode(write(array[::-1]), BRIGHT), points)


@settings(max_examples=40, deadline=None)
@given(stn.arrays(np.float32, st.tuples(st.integers(1, 20), st.just(3)), elements=st.floats(-1e6, 1e6, width=32)))
def test_any_points_come_back(array):
    plain = Options()
    for data in (npy(array), ply(array, names=NAMES[:3]), ply(array, "ascii", NAMES[:3]), pcd(array, names=NAMES[:3])):
        np.testing.assert_array_equal(decode(data, plain), in_order(array + 0.0))


def test_columns_are_found_by_name_wherever_they_stand():
    array = cloud()
    turned = ply(array[:, [3, 2, 0, 1]], names=("intensity", "z", "x", "y"))
    np.testing.assert_array_equal(decode(turned, BRIGHT), decode(ply(array), BRIGHT))
    np.testing.assert_array_equal(decode(ply(array), Options()), in_order(array[:, :3].astype(np.float32)))


def test_points_without_a_return_are_left_out_of_a_pcd_and_refused_elsewhere():
    array = cloud()
    array[7, 1] = np.nan
    for form in ("binary", "ascii"):
        assert len(decode(pcd(array, form), BRIGHT)) == len(array) - 1
    with pytest.raises(ContractBroken, match="point cloud without a single point"):
        decode(pcd(np.full((4, 4), np.nan)), BRIGHT)
    for data in (npy(array), ply(array)):
        with pytest.raises(ContractBroken, match="point cloud with NaN or infinity, first at point 7, column 1"):
            decode(data, BRIGHT)
    array[7, 1] = 1e300
    with pytest.raises(ContractBroken, match="NaN or infinity, first at point 7, column 1"):
        decode(npy(array), BRIGHT)


@pytest.mark.parametrize(
    "write", [ply, lambda a, count: ply(a, "ascii", count=count), pcd, lambda a, count: pcd(a, "ascii", count=count)]
)
@pytest.mark.parametrize("count", [401, 400_000, 2**62])
def test_a_header_that_lies_costs_nothing(write, count):
    start = time.monotonic()
    with pytest.raises(ContractBroken, match=r"truncated point cloud: the header promises|at most max_points"):
        decode(write(cloud(), count=count), BRIGHT)
    assert time.monotonic() - start < 0.5


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not a readable point cloud"),
        (b"ply", "header has no line 'end_header'"),
        (ply(cloud(), names=("x", "y", "w", "intensity")), "point cloud without z; its columns: x, y, w, intensity"),
        (pcd(cloud(), names=("x", "y", "w", "intensity")), "point cloud without z"),
        (pcd(cloud(), "binary_compressed"), "PCD with binary_compressed data"),
        (npy(np.zeros((5, 3))), r"point cloud of shape \(5, 3\); expected \[n, 4\]: x, y, z, intensity"),
        (npy(np.zeros((0, 4))), "without a single point"),
        (npy(np.zeros((1001, 4))), "point cloud of 1001 points; at most max_points = 1000"),
        (las(cloud(1001)), "point cloud of 1001 points; at most max_points = 1000"),
        (las(cloud(900))[:-10], "truncated point cloud: the header promises 900 points, 899 are there|not a readable LAS"),
        (las(cloud(900))[:100], "not a readable LAS point cloud"),
        (ply(cloud()).replace(b"property float z", b"property list uchar int z"), "PLY whose vertices have lists"),
        (npy(np.array([[None] * 4]), allow_pickle=True), "npy file of object; only plain numbers"),
    ],
)
def test_what_is_no_such_cloud_is_refused(data, reason):
    with pytest.raises(ContractBroken, match=reason):
        decode(data, Options(fields=("intensity",), max_points=1000))


def test_a_las_that_promises_billions_of_records_costs_nothing():
    data = bytearray(las(cloud()))
    data[100:104] = b"\xff" * 4
    start = time.monotonic()
    with pytest.raises(ContractBroken, match="LAS whose header promises 4294967295 records"):
        decode(bytes(data), BRIGHT)
    assert time.monotonic() - start < 0.5


def test_measures():
    array = np.array([[0, 0, 1, 5], [2, 1, 4, 5]], dtype=np.float32)
    assert measure(array, BRIGHT) == {"points": 2.0, "length": 2.0, "width": 1.0, "height": 3.0}


def test_a_hash_tells_clouds_apart_and_knows_a_moved_copy():
    one, other = (decode(npy(cloud(2000, seed)), BRIGHT) for seed in (1, 2))
    flat = one * np.array([1, 1, 0, 1], dtype=np.float32)
    assert near_hash(one) == near_hash(np.float32(2) * one)
    assert ((near_hash(one) ^ near_hash(other)) & (2**64 - 1)).bit_count() > 10
    assert near_hash(flat) is None
    assert near_hash(one[:100]) is None
