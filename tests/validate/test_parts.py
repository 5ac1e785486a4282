import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import ContractBroken
from tasks.validate.great import Check, Judge, Table, gxe
from tasks.validate.leaks import NEAR_BITS, copies, crossing, near_train


def flip(value, bits):
    for bit in bits:
        value ^= 1 << bit
    return value


def test_near_hashes_are_found_up_to_three_bits():
    generator = np.random.default_rng(0)
    train = generator.integers(0, 2**64, 500, dtype=np.uint64)
    near = [flip(int(train[i]), generator.choice(64, i % 6, replace=False).tolist()) for i in range(60)]
    hashes = np.concatenate([train, np.array(near, dtype=np.uint64)]).view(np.int64)
    mask = np.arange(len(hashes)) < 500
    found = near_train(hashes, mask)
    distances = [min(int(np.bitwise_count(np.uint64(value) ^ other)) for other in train) for value in near]
    assert found[500:].tolist() == [distance <= NEAR_BITS for distance in distances]  # brute force
    assert not found[:500].any()


def test_equal_hashes_are_found_however_crowded():
    assert near_train(np.zeros(200, dtype=np.int64), np.arange(200) < 100).sum() == 100
    assert near_train(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=bool)).sum() == 0


KEYS = st.lists(st.tuples(st.sampled_from(["", "x", "y", "z"]), st.sampled_from(["train", "val", "test", ""])), max_size=12)


@given(KEYS)
def test_after_the_copies_went_nothing_crosses_and_no_train_row_went(table):
    keys, parts = pd.Series([k for k, _ in table], dtype="str"), pd.Series([p for _, p in table], dtype="str")
    gone = copies(keys, parts, pd.Series(0, index=keys.index))
    assert crossing(keys.drop(gone), parts.drop(gone)) == []
    assert "train" not in set(parts[gone])
    assert set(keys.drop(gone)) == set(keys)  # one copy of everything stays


def test_what_great_expectations_cannot_compute_is_an_error():
    table = pd.DataFrame({"a": [1.0]})
    check = Check("b", "critical", gxe.ExpectColumnValuesToBeUnique, {"column": "b"}, "unique")
    with pytest.raises(ContractBroken, match=r"GX could not compute 'b' on table 't'"):
        Judge().judge(Table("t", table, [check]))


def test_an_empty_suite_passes_nothing():
    with pytest.raises(ContractBroken, match="an empty suite passes everything"):
        Judge().judge(Table("t", pd.DataFrame({"a": [1.0]}), []))


def test_infinity_is_out_of_any_range():
    import sys

    limits = {"column": "a", "min_value": -sys.float_info.max, "max_value": sys.float_info.max}
    check = Check("a", "warning", gxe.ExpectColumnValuesToBeBetween, limits, "finite")
    (entry,), _ = Judge().judge(Table("t", pd.DataFrame({"a": [1.0, np.inf]}), [check]))
    assert not entry["success"]


def test_a_later_batch_never_costs_an_earlier_one_a_sample() -> None:
    keys = pd.Series(["a", "a", "b", "b", "c", "c"])
    parts = pd.Series(["test", "train", "test", "train", "train", "test"])
    seniority = pd.Series([1, 2, 2, 0, 1, 1])
    # a: the earlier test copy stays; b: the reference's; c: in one batch train's
    assert list(copies(keys, parts, seniority)) == [1, 2, 5]
