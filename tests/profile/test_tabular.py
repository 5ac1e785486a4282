"""Rows of a table: numbers, categories, times, ways on the Earth, gaps."""

import json
import math
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.errors import ContractBroken, WrongValue
from tasks.profile import decoded, measured, tabular
from tasks.profile.tabular import Options, decode, duration_s, identity, measure, near_hash

OPTIONS = Options(numbers=("age", "dose"), categories=("ward",))
TIME, WAY = Options(times=("when",)), Options(tracks=("way",))
DEGREE_M = math.radians(1) * 6_371_008.8  # of a great circle


def row(**cells) -> bytes:
    return json.dumps({"age": "40", "dose": "1.5", "ward": "north", **cells}).encode()


def test_a_row_becomes_numbers_and_identities():
    array = decode(row(), OPTIONS)
    assert array.dtype == np.float64
    np.testing.assert_array_equal(array, [40, 1.5, identity("north")])
    assert duration_s(array, OPTIONS) is None
    assert near_hash(array) is None


@settings(max_examples=50, deadline=None)
@given(st.floats(-1e30, 1e30))
def test_a_number_survives_a_round_trip(number):
    assert decode(row(dose=repr(number)), OPTIONS)[1] == number


@settings(max_examples=30, deadline=None)
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
        (b'{"age": "1"}', r"row without column 'dose'; it has \['age'\]"),
        (b'{"\\ud800": "1"}', r"row without column 'age'; it has \['\\ud800'\]"),
        (row(ward="\ud800"), "not a readable row"),
        (row(age=["1"] * 100), "column 'age' holds list"),
        (row(age=40), "column 'age' holds int 40; expected text or null"),
        (row(age=None, dose=None, ward=None), "row without a filled cell in age, dose, ward"),
        (b"[" * 100_000, "not a readable row"),
        (b" " * 1_000_001, "row of 1000001 bytes"),
    ],
)
def test_what_is_no_such_row_is_refused(data, reason):
    with pytest.raises(ContractBroken, match=reason):
        decode(data, OPTIONS)


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=-7)), timezone(timedelta(hours=5, minutes=30))])
@settings(max_examples=30, deadline=None)
@given(st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)))
def test_a_time_is_that_of_the_standard_library(zone, moment):
    zoned = moment.replace(tzinfo=zone)
    (seconds,) = decode(json.dumps({"when": zoned.isoformat()}).encode(), TIME)
    assert seconds == pytest.approx(zoned.timestamp(), abs=2e-6)
    (plain,) = decode(json.dumps({"when": moment.isoformat(" ")}).encode(), TIME)
    assert plain == pytest.approx(moment.replace(tzinfo=UTC).timestamp(), abs=2e-6)


@pytest.mark.parametrize(
    ("cell", "seconds"), [("86400.5", 86400.5), ("1970-01-02", 86400), ("1970-01-02T00:30Z", 88200), (" -1 ", -1)]
)
def test_a_time_may_be_a_number_or_short(cell, seconds):
    assert decode(json.dumps({"when": cell}).encode(), TIME).tolist() == [seconds]


@pytest.mark.parametrize("cell", ["yesterday", "now", "2026-02-30", "2026-11-05T25:00", "05/11/2026", "nan", "1e400", "12:30"])
def test_what_is_no_time_is_refused(cell):
    with pytest.raises(ContractBroken, match=r"column 'when' holds .* which is no time; expected ISO 8601"):
        decode(json.dumps({"when": cell}).encode(), TIME)


@pytest.mark.parametrize(
    ("cell", "values"),
    [
        ("POINT (13.4 52.5)", [52.5, 13.4, 0, 0, 0]),
        ("LINESTRING (13.4 52.5)", [52.5, 13.4, 0, 0, 0]),
        ("LINESTRING (0 0, 1 0)", [0, 0, DEGREE_M, 0, DEGREE_M]),
        ("linestring(20 1,20 0,20 3)", [1, 20, 0, 2 * DEGREE_M, 4 * DEGREE_M]),
        ("LINESTRING (179.5 0, -179.5 0)", [0, 179.5, DEGREE_M, 0, DEGREE_M]),  # the short way round
        (
            "LINESTRING (10 59.9995, 10.001 59.9995)",
            [59.9995, 10, DEGREE_M / 2000, 0, DEGREE_M / 2000],
        ),  # half as far at 60 degrees
    ],
)
def test_a_track_is_where_it_begins_and_leads_and_how_long_it_is(cell, values):
    np.testing.assert_allclose(decode(json.dumps({"way": cell}).encode(), WAY), values, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize(
    "cell",
    [
        *("13.4 52.5", "POINT (52.5)", "POINT (13.4 91)", "POINT (181 0)", "LINESTRING ()", "LINESTRING (1 2, 3)"),
        *("POINT (1 2 3 4)", "LINESTRING (0 nan, 1 1)", "LINESTRING (1_0 1, 1 1)", "LINESTRING (0 0, 1 1"),
        "POLYGON ((0 0, 1 1, 2 2))",
    ],
)
def test_what_is_no_track_is_refused(cell):
    with pytest.raises(ContractBroken, match=r"column 'way' holds .* which is no track; expected LINESTRING"):
        decode(json.dumps({"way": cell}).encode(), WAY)


def test_values_stand_in_the_order_of_their_types_and_gaps_are_none():
    options = Options(numbers=("age",), categories=("ward",), times=("when",), tracks=("way",))
    cells = {"age": "40", "ward": "north", "when": "60", "way": "POINT (2 1)"}
    np.testing.assert_array_equal(decode(json.dumps(cells).encode(), options), [40, 60, 1, 2, 0, 0, 0, identity("north")])
    gaps = decode(json.dumps({**cells, "when": None, "way": ""}).encode(), options)
    np.testing.assert_array_equal(np.isnan(gaps), [False, *[True] * 6, False])


@pytest.mark.parametrize("columns", [{}, {"numbers": ("a",), "times": ("a",)}])
def test_columns_are_named_once(columns):
    with pytest.raises(WrongValue, match="must name at least one column, each once"):
        Options(**columns)


ALL = Options(numbers=("age", "dose"), categories=("ward",), times=("when",), tracks=("way",))
CELLS = {
    "age": [
        "1",
        " 2 ",
        "+4",
        ".5",
        "6.",
        "1e22",
        "9007199254740993",
        "5e-324",
        "",
        None,
        "forty",
        "nan",
        "1_0",
        "1e400",
        "٣",
        40,
    ],
    "dose": ["0.1", None, "\ud800", "2.2250738585072011e-308", "-0"],
    "when": ["60", "2026-11-05T22:00:00Z", "2026-11-05", "2026-11-05T22:00:00+05:30", None, "x"],
    "way": ["POINT (1 2)", "LINESTRING (0 0, 1 0.5)", None, "POINT (1)"],
    "ward": ["north", " north ", "", None, "ü"],
}


@settings(max_examples=150, deadline=None)
@given(st.lists(st.fixed_dictionaries({name: st.sampled_from(cells) for name, cells in CELLS.items()}), min_size=1, max_size=4))
def test_many_rows_are_what_each_is_alone(cells):
    items = [json.dumps(row).encode() for row in cells]
    refused: dict[int, str] = {}
    found = list(decoded(tabular, items, ALL, refused))
    whole = [data for place, data in enumerate(items) if place not in refused]
    assert [array.tobytes() for array in found] == [decode(data, ALL).tobytes() for data in whole]
    assert measured(tabular, found, ALL)["filled_share"] == [measure(array, ALL)["filled_share"] for array in found]
    for place, reason in refused.items():
        with pytest.raises(ContractBroken) as told:
            decode(items[place], ALL)
        assert str(told.value) == reason


@settings(max_examples=200, deadline=None)
@given(st.from_regex(r"[+-]?[0-9]{1,25}(\.[0-9]{0,25})?(e[+-]?[0-9]{1,2})?", fullmatch=True))
def test_a_number_is_the_one_that_python_reads(text):
    if abs(float(text)) <= 1e30:
        assert decode(row(dose=text), OPTIONS)[1] == float(text)
