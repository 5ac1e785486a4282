"""Rows of a table: numbers, categories, gaps."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import ContractBroken
from tasks.profile.tabular import Options, decode, duration_s, identity, measure, near_hash

OPTIONS = Options(numbers=("age", "dose"), categories=("ward",))


def row(**cells) -> bytes:
    return json.dumps({"age": "40", "dose": "1.5", "ward": "north", **cells}).encode()


def test_a_row_becomes_numbers_and_identities():
    array = decode(row(), OPTIONS)
    assert array.dtype == np.float64
    np.testing.assert_array_equal(array, [40, 1.5, identity("north")])
    assert duration_s(array, OPTIONS) is None
    assert near_hash(array) is None


@given(st.floats(-1e30, 1e30))
def test_a_number_survives_a_round_trip(number):
    assert decode(row(dose=repr(number)), OPTIONS)[1] == number


@given(st.text(min_size=1), st.text(min_size=1))
def test_identities_are_exact_and_differ(one, other):
    assert int(float(identity(one))) == identity(one)
    assert (identity(one) == identity(other)) == (one == other)


@pytest.mark.parametrize("empty", [None, "", "  "])
def test_an_empty_cell_is_a_gap(empty):
    array = decode(row(age=empty, ward=empty), OPTIONS)
    np.testing.assert_array_equal(np.isnan(array), [True, False, True])
    assert measure(array, OPTIONS) == {"filled_share": pytest.approx(1 / 3)}


@pytest.mark.parametrize("cell", ["forty", "nan", "inf", "1e400", "1_0", "4,5", "=1+1"])
def test_what_is_no_number_is_refused_by_column_and_cell(cell):
    with pytest.raises(ContractBroken, match=r"column 'age' holds '.*', which is no finite number"):
        decode(row(age=cell), OPTIONS)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not a readable row"),
        (b"[1]", "must be a JSON object"),
        (b'{"age": "1"}', "row without column 'dose'; it has age"),
        (row(age=40), "column 'age' holds int 40; expected text or null"),
        (row(age=None, dose=None, ward=None), "row without a filled cell in age, dose, ward"),
        (b"[" * 100_000, "not a readable row"),
        (b" " * 1_000_001, "row of 1000001 bytes"),
    ],
)
def test_what_is_no_such_row_is_refused(data, reason):
    with pytest.raises(ContractBroken, match=reason):
        decode(data, OPTIONS)
