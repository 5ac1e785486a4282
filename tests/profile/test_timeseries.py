"""Series: three formats, and headers that are believed only when the bytes are there."""

import io
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn

from tasks.errors import ContractBroken
from tasks.profile.timeseries import Options, decode, duration_s, measure, near_hash
from tests.profile.damage import npy

TWO = Options(channels=2, rate_hz=10)


def parquet(**columns) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file)
    return file.getvalue()


def csv(array: np.ndarray, head="") -> bytes:
    return (head + "\n".join(",".join(repr(float(x)) for x in row) for row in array)).encode()


@settings(max_examples=30, deadline=None)
@given(stn.arrays(np.float32, st.tuples(st.integers(1, 20), st.just(2)), elements=st.floats(-1e6, 1e6, width=32)))
def test_every_format_brings_the_same_back(array):
    files = [npy(array), npy(np.asfortranarray(array)), csv(array), csv(array, "a,b\n"), parquet(a=array[:, 0], b=array[:, 1])]
    for data in files:
        series = decode(data, TWO)
        assert series.dtype == np.float32
        np.testing.assert_array_equal(series, array)


def test_one_channel_may_be_a_line_of_numbers():
    np.testing.assert_array_equal(decode(npy(np.arange(4)), Options()), np.arange(4)[:, None])


class Payload:
    """Would create a file if it was ever unpickled."""

    def __reduce__(self):
        return open, ("unpickled", "w")


def test_objects_are_refused_and_never_loaded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = npy(np.array([[Payload(), 1]], dtype=object), allow_pickle=True)
    with pytest.raises(ContractBroken, match="npy file of object; only plain numbers"):
        decode(data, TWO)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("shape", [(2**62, 2), (1_000_000_000, 2), (4, 2)])
def test_a_header_that_lies_costs_nothing(shape):
    data = npy(np.zeros((3, 2), dtype=np.float32))
    header = np.lib.format.header_data_from_array_1_0(np.zeros((3, 2), dtype=np.float32)) | {"shape": shape}
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, header)
    start = time.monotonic()
    with pytest.raises(ContractBroken, match=r"npy header promises \d+ bytes .*, 24 are there"):
        decode(file.getvalue() + data[-24:], TWO)
    assert time.monotonic() - start < 0.5


def test_truncated_files_are_refused():
    array = np.random.default_rng(0).normal(size=(50, 2))
    with pytest.raises(ContractBroken, match="npy header promises 800 bytes"):
        decode(npy(array)[:-10], TWO)
    with pytest.raises(ContractBroken, match=r"not a readable \.npy file"):
        decode(npy(array)[:20], TWO)
    with pytest.raises(ContractBroken, match="not a readable Parquet file"):
        decode(parquet(a=array[:, 0], b=array[:, 1])[:-10], TWO)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
@pytest.mark.parametrize("write", [npy, csv])
def test_values_that_are_none_are_refused_with_their_place(write, bad):
    array = np.zeros((9, 2))
    array[5, 1] = bad
    with pytest.raises(ContractBroken, match="NaN or infinity, first at step 5, channel 1"):
        decode(write(array), TWO)


def test_an_empty_cell_is_refused():
    with pytest.raises(ContractBroken, match="NaN or infinity, first at step 1, channel 0"):
        decode(parquet(a=[1.0, None], b=[1.0, 2.0]), TWO)
    with pytest.raises(ContractBroken, match="not a readable CSV of numbers: could not convert"):
        decode(b"a,b\n1,2\n,4\n", TWO)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (npy(np.zeros((5, 3))), "series of 3 channels; expected channels = 2$"),
        (npy(np.zeros((2, 5))), "series of 5 channels; expected channels = 2; time comes first: transpose it"),
        (npy(np.zeros((5, 2, 2))), r"series of shape \(5, 2, 2\)"),
        (npy(np.zeros(())), r"series of shape \(\)"),
        (npy(np.zeros((0, 2))), "without a single step"),
        (npy(np.zeros((11, 2))), "series of 11 steps; at most max_steps = 10"),
        (csv(np.zeros((11, 2))), "series of 11 steps; at most max_steps = 10"),
        (csv(np.zeros((50, 2))), "CSV of 50 lines; at most max_steps = 10"),
        (parquet(a=[0.0] * 11, b=[0.0] * 11), "series of 11 steps; at most max_steps = 10"),
        (parquet(a=["x"], b=["y"]), "Parquet column 'a' is string"),
        (npy(np.zeros((5, 2), dtype=complex)), "npy file of complex128"),
        (npy(np.zeros((5, 2), dtype="U3")), "only plain numbers"),
        (b"", "CSV without a line"),
        (b"\x00\xff\x80", "not a readable CSV"),
        (b"a,b\n", "not a readable CSV|without a single step"),
    ],
)
def test_what_is_no_such_series_is_refused(data, reason):
    with pytest.raises(ContractBroken, match=reason):
        decode(data, Options(channels=2, max_steps=10))


def test_a_parquet_bomb_is_refused_before_it_is_read():
    data = parquet(a=np.zeros(20_000_000, dtype=np.int8))
    assert len(data) < 200_000
    start = time.monotonic()
    with pytest.raises(ContractBroken, match="series of 20000000 steps"):
        decode(data, Options())
    assert time.monotonic() - start < 0.5


def test_measures_and_duration():
    array = np.array([[0, 2], [4, 6]], dtype=np.float32)
    measured = measure(array, TWO)
    assert measured == {"steps": 2.0, "mean": 3.0, "deviation": pytest.approx(5**0.5), "lowest": 0.0, "highest": 6.0}
    assert duration_s(array, TWO) == 0.2


def test_a_hash_tells_series_apart_and_knows_a_copy():
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(2, 500, 6)).astype(np.float32)
    assert near_hash(one) == near_hash(one * 2 + 1)
    assert ((near_hash(one) ^ near_hash(other)) & (2**64 - 1)).bit_count() > 10
    assert near_hash(np.zeros((500, 6), dtype=np.float32)) is None
    assert near_hash(one[:5]) is None
