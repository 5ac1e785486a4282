import numpy as np
import pandas as pd
import pytest

from tasks import splits
from tasks.errors import ContractBroken
from tasks.files import file_digest
from tasks.index import Batch, Partition
from tasks.params import Split, check
from tasks.tables import write_parquet
from tasks.targets import Output


def table(n=400, group=lambda i: f"g{i // 4}", split=lambda i: "", timestamp=lambda i: np.nan, label=lambda i: "ab"[i % 2]):
    rows = range(n)
    return pd.DataFrame(
        {
            "sample_id": [f"s{i:04d}" for i in rows],
            "group": [group(i) for i in rows],
            "split": [split(i) for i in rows],
            "timestamp": [timestamp(i) for i in rows],
            "label": [label(i) for i in rows],
            "refused": [""] * n,
            "has_image": [True] * n,
        }
    )


def params(**split):
    return check({"modalities": {"image": {"kind": "image"}}, "targets": {"label": {}}, "split": split})


def batch(tmp_path, monkeypatch, samples):
    """A reference of one batch that holds these samples."""
    import pyarrow as pa

    monkeypatch.chdir(tmp_path)
    path = tmp_path / "data/1_raw/samples/night.parquet"
    write_parquet(path, pa.Table.from_pandas(samples, preserve_index=False))
    return [
        Batch("night", "0" * 64, {"samples": (Partition("samples/night.parquet", len(samples), file_digest(path, "md5")),)})
    ]


def test_shares_are_met_and_no_group_is_cut():
    samples = table(8000)
    parts = splits.assign(samples, Split(), 0)
    assert parts.groupby(samples["group"]).nunique().max() == 1
    shares = parts.value_counts(normalize=True)
    assert shares["test"] == pytest.approx(0.2, abs=0.03)
    assert shares["val"] + shares["calibration"] == pytest.approx(0.15, abs=0.03)
    assert shares["calibration"] / (shares["val"] + shares["calibration"]) == pytest.approx(0.25, abs=0.1)


def test_calibration_is_set_aside_of_val_alone_by_group_where_there_are_enough():
    samples = table(8000)
    with_it, without = splits.assign(samples, Split(), 0), splits.assign(samples, Split(calibration=0.0), 0)
    assert (without[with_it == "calibration"] == "val").all()
    assert without[with_it != "calibration"].equals(with_it[with_it != "calibration"])
    given = table(8000, split=lambda i: ("train", "val", "val", "test")[i // 4 % 4])
    parts = splits.assign(given, Split(), 0)
    assert set(given["split"][parts == "calibration"]) == {"val"}
    assert parts.groupby(given["group"]).nunique().max() == 1
    few = table(splits.ENOUGH * 4 - 4, split=lambda i: "val" if i // 4 else "train")  # of four samples each
    assert set(splits.assign(few, Split(), 0)) == {"train", "val"}


def test_a_sample_keeps_its_split_whoever_comes_or_goes():
    samples = table()
    parts = splits.assign(samples, Split(), 3)
    some = samples[samples.index % 7 != 0].sample(frac=1, random_state=0)
    assert splits.assign(some, Split(), 3).sort_index().equals(parts.loc[some.index].sort_index())
    assert not splits.assign(samples, Split(), 4).equals(parts)


def test_given_splits_are_kept_and_val_is_carved_out_of_train_by_group():
    samples = table(split=lambda i: "test" if i % 40 >= 28 else "train")
    parts = splits.assign(samples, Split(), 0)
    assert (parts[samples["split"] == "test"] == "test").all()
    train = parts[samples["split"] == "train"]
    assert set(train) == {"train", "val"}
    assert (train == "val").mean() == pytest.approx(0.15, abs=0.07)
    assert parts.groupby(samples["group"]).nunique().max() == 1


def test_nothing_is_carved_where_val_is_given():
    samples = table(split=lambda i: ("train", "train", "val", "test")[i // 4 % 4])
    assert splits.assign(samples, Split(), 0).equals(samples["split"])


def test_a_row_without_group_is_its_own():
    samples = table(group=lambda i: "")
    assert splits.groups(samples).tolist() == samples["sample_id"].tolist()
    parts = splits.assign(samples, Split(), 0)
    named = splits.assign(samples.assign(group=samples["sample_id"]), Split(), 0)
    assert parts.equals(named)


def test_every_group_is_test_in_exactly_one_fold():
    samples = table()
    tests = [splits.assign(samples, Split(fold=i, folds=5), 0) == "test" for i in range(5)]
    assert (sum(part.astype(int) for part in tests) == 1).all()
    assert all(part.any() for part in tests)


def test_time_splits_in_order_with_an_embargo():
    samples = table(1000, group=lambda i: "", timestamp=lambda i: float(i)).sample(frac=1, random_state=1)
    parts = splits.assign(samples, Split(embargo_s=10), 0)
    times = samples["timestamp"]
    train, val, test = (times[parts.isin(of)] for of in (["train"], ["val", "calibration"], ["test"]))
    assert val.min() - train.max() > 10
    assert test.min() - val.max() > 10
    assert len(test) == pytest.approx(200, abs=2)
    assert (parts == "").sum() == pytest.approx(20, abs=2)


def test_equal_times_stay_together_and_a_row_without_one_is_in_no_part():
    samples = table(100, group=lambda i: "", timestamp=lambda i: np.nan if i == 5 else float(i // 10))
    parts = splits.assign(samples, Split(), 0)
    assert parts[5] == ""
    assert parts.drop(5).groupby(samples["timestamp"].drop(5)).nunique().max() == 1


def test_val_is_carved_out_of_given_train_by_time_too():
    samples = table(100, group=lambda i: "", timestamp=float, split=lambda i: "test" if i >= 80 else "train")
    parts = splits.assign(samples, Split(), 0)
    assert samples["timestamp"][parts == "train"].max() < samples["timestamp"][parts == "val"].min() < 80


def test_one_group_is_enough_to_split_by_group_and_not_by_time():
    samples = table(100, group=lambda i: "x" if i == 0 else "", timestamp=float)
    assert not splits.by_time(samples, Split())
    assert splits.assign(samples, Split(), 0).nunique() == 3


def test_too_few_groups_are_counted_and_k_fold_is_offered():
    samples = table(20, group=lambda i: f"g{i % 5}")
    found = splits.requirements(samples, splits.assign(samples, Split(), 0), params())
    unmet = {r.name: (r.measured, r.needed) for r in found if r.measured < r.needed}
    assert unmet["groups to split"] == (5, 8)
    assert all("k-fold: split.fold=0 of split.folds=5" in r.advice for r in found if r.name == "groups to split")


def test_a_class_needs_three_groups_or_two_with_k_fold():
    samples = table(400, label=lambda i: "rare" if i < 8 else "ab"[i % 2])  # two groups of `rare`
    for fold, met in ((None, False), (0, True)):
        wanted = params(**({} if fold is None else {"fold": fold}))
        found = splits.requirements(samples, splits.assign(samples, wanted.split, 0), wanted)
        (rare,) = (r for r in found if r.name == "groups of label=rare")
        assert (rare.measured >= rare.needed) is met


def test_encoders_see_the_same_rows_whatever_becomes_of_the_others(tmp_path, monkeypatch):
    wanted = params()
    for split in (
        lambda i: "",
        lambda i: ("train", "train", "val", "test")[i // 4 % 4],
        lambda i: ("train", "test")[i // 4 % 2],
    ):
        samples = table(split=split)
        before = splits.training_rows(batch(tmp_path, monkeypatch, samples), wanted)
        train = splits.assign(samples, wanted.split, wanted.seed) == "train"
        assert set(before["sample_id"]) <= set(samples.loc[train, "sample_id"])
        altered = samples.copy()
        altered.loc[~train, ["label", "has_image", "timestamp"]] = ["altered", False, 1.0]
        for others in (samples[train], altered):
            after = splits.training_rows(batch(tmp_path, monkeypatch, others), wanted)
            pd.testing.assert_frame_equal(before, after)


def test_a_reference_of_one_class_is_refused(tmp_path, monkeypatch):
    batches = batch(tmp_path, monkeypatch, table(label=lambda i: "a"))
    with pytest.raises(ContractBroken, match=r"hold 1 class\(es\) of 'label' \(a\), at least 2 are needed"):
        splits.training_rows(batches, params())


def test_refused_and_unlabelled_rows_teach_nothing(tmp_path, monkeypatch):
    samples = table()
    samples.loc[::3, "refused"] = "broken"
    samples.loc[1::3, "label"] = None
    rows = splits.training_rows(batch(tmp_path, monkeypatch, samples), params())
    assert set(rows["sample_id"]) <= set(samples["sample_id"][2::3])
    assert splits.outputs(rows, params()) == {"label": Output("classification", ("a", "b"))}


def without_labels(samples, **split):
    """The ids of what encoders are fitted on where no labels are needed."""
    knobs = {"modalities": {"image": {"kind": "image"}}, "targets": {"label": {}}, "split": split}
    return splits.encoder_part(samples, check({**knobs, "pretrain": {"objective": "masked"}}))["sample_id"]


@pytest.mark.parametrize("split", [lambda i: "", lambda i: ("train", "train", "val", "test")[i // 4 % 4]])
def test_unlabelled_rows_are_seen_where_they_would_be_train(split):
    samples = table(split=split)
    wanted = set(without_labels(samples))  # nothing is unlabelled
    assert wanted == set(splits.training_part(samples, params())["sample_id"])
    samples.loc[samples.index // 4 % 3 == 0, "label"] = None  # whole groups
    assert set(without_labels(samples)) == wanted
    assert set(splits.encoder_part(samples, params())["sample_id"]) < wanted


def test_an_unlabelled_row_of_a_group_that_is_judged_is_not_seen():
    samples = table(split=lambda i: ("train", "test")[i // 4 % 2])
    samples.loc[samples.index % 4 == 0, ["label", "split"]] = [None, "train"]  # of each group, those of test too
    held_out = samples.loc[samples["split"] == "test", "group"]
    seen = samples[samples["sample_id"].isin(without_labels(samples))]
    assert not seen["group"].isin(held_out).any()
    assert seen["label"].isna().any()
    samples["refused"] = np.where(samples["label"].isna(), "broken", "")
    assert not set(without_labels(samples)) & set(samples.loc[samples["label"].isna(), "sample_id"])


def test_in_time_unlabelled_rows_are_seen_up_to_the_last_labelled_train_row():
    samples = table(100, group=lambda i: "", timestamp=float)
    samples.loc[::3, "label"] = None
    seen = samples.set_index("sample_id").loc[without_labels(samples, val=0.2, test=0.3)]
    known = splits.training_part(samples, params(val=0.2, test=0.3))
    last = known["timestamp"].max()
    assert list(seen["timestamp"]) == [*known["timestamp"], *(t for t in range(0, 100, 3) if t <= last)]


def random_table(seed):
    """Groups of one to five, some rows without one, some given splits and timestamps, some labels missing, ids twice."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(60, 300))
    ends = np.repeat(np.arange(n), rng.integers(1, 6, n))[:n]
    alone = rng.random(n) < 0.2 * (seed % 3)
    given = np.array(["", "train", "val", "test"])[rng.integers(0, 4, n) * (seed % 2)]
    of_group = np.array([given[end] for end in ends])
    timed, ungrouped = seed % 4 == 2, seed % 8 == 2
    samples = table(
        n,
        group=lambda i: "" if ungrouped or alone[i] else f"g{ends[i]}",
        split=lambda i: "" if ungrouped else of_group[i],
        timestamp=lambda i: float(rng.integers(0, 500)) if timed else np.nan,
    )
    samples.loc[rng.random(n) < 0.2, "label"] = None
    samples["sample_id"] = samples["sample_id"].where(rng.random(n) >= 0.05, samples["sample_id"].shift(1, fill_value="s0000"))
    return samples


@pytest.mark.parametrize("seed", range(16))
def test_a_smaller_share_is_within_a_larger_one_and_what_is_judged_stays(seed):
    samples = random_table(seed)
    known = samples[samples["label"].notna()]
    whole = splits.assign(known, Split(), seed)
    before, taught = set(), set()
    for share in (0.1, 0.3, 0.6, 0.9, 1.0):
        split = Split(train_share=share)
        parts = splits.thinned(known, splits.assign(known, split, seed), split, seed)
        assert parts[whole != "train"].equals(whole[whole != "train"])
        assert set(parts[whole == "train"]) <= {"train", ""}
        train = set(parts.index[parts == "train"])
        assert before <= train
        assert parts[whole == "train"].groupby(splits.groups(known)[whole == "train"]).nunique().le(1).all()
        for objective in ("supervised", "masked"):
            wanted = check(
                {
                    "modalities": {"image": {"kind": "image"}},
                    "targets": {"label": {}},
                    "split": {"train_share": share},
                    "pretrain": {"objective": objective},
                    "seed": seed,
                }
            )
            fitted = splits.encoder_part(samples, wanted)
            assert splits.used(fitted, split, seed).all()
            full = splits.encoder_part(samples, splits.unthinned(wanted))
            assert fitted.index.equals(full.index[splits.used(full, split, seed)])
            assert set(fitted.index[fitted["label"].notna()]) <= train
        assert taught <= set(fitted.index)
        before, taught = train, set(fitted.index)
    assert before == set(whole.index[whole == "train"])


@pytest.mark.parametrize("share", [0.125, 0.5])
def test_a_share_is_of_the_groups_given_or_not_and_independent_of_what_else_is_drawn(share):
    split = Split(train_share=share)
    for given in ("", "train"):
        samples = table(8000, split=lambda i, given=given: given)
        whole = splits.assign(samples, split, 0)
        names = splits.groups(samples)[whole == "train"]
        left = names[splits.thinned(samples, whole, split, 0)[names.index] == "train"]
        assert left.nunique() / names.nunique() == pytest.approx(share, abs=0.05)
    some = samples[samples.index % 3 > 0]
    assert splits.used(some, split, 0).equals(splits.used(samples, split, 0)[some.index])


def test_a_table_split_by_time_is_thinned_over_its_whole_span():
    samples, split = table(4000, group=lambda i: "", timestamp=float), Split(train_share=0.25)
    whole = splits.assign(samples, split, 0)
    left = samples["timestamp"][splits.thinned(samples, whole, split, 0) == "train"]
    every = samples["timestamp"][whole == "train"]
    assert len(left) / len(every) == pytest.approx(0.25, abs=0.03)
    assert left.mean() == pytest.approx(every.mean(), rel=0.05)


def test_a_class_that_is_left_out_is_still_answered(tmp_path, monkeypatch):
    samples = table(400, split=lambda i: "train", label=lambda i: "rare" if i // 4 == 7 else "ab"[i % 2])
    wanted = params(val=0.0, train_share=0.5)
    assert not splits.used(samples, wanted.split, 0)[28]  # the group of the rare one is left out
    landed = batch(tmp_path, monkeypatch, samples)
    rows = splits.training_rows(landed, wanted)
    assert "rare" not in set(rows["label"])
    assert splits.answered(landed, rows, wanted) == {"label": Output("classification", ("a", "b", "rare"))}
    with pytest.raises(ContractBroken, match="the reference's 0 train rows hold 0 class"):
        splits.training_rows(landed, params(val=0.0, train_share=1e-9))
