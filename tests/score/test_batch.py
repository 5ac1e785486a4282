"""A landed batch is predicted as the bundle itself would, whatever lies in it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tasks.bundle import Bundle
from tasks.errors import ContractBroken
from tasks.ingest.erased import Erased
from tasks.score import batch as scoring
from tasks.score.look import DURATION
from tasks.score.model import Gone
from tasks.score.reference import Reference
from tests.score import small
from tests.score.small import drawn, land, model, scored

PRIOR = {"label": [0.5, 0.3, 0.2]}


def own(bundle, samples):
    """What the bundle says of the same raw samples."""
    return bundle.predict_raw({m: [sample.get(m) for sample in samples.values()] for m in bundle.modalities})


def test_what_is_predicted_is_what_the_bundle_says(tmp_path: Path, bundle: Bundle) -> None:
    samples = drawn(9)
    samples["s001"] |= {"photo": None, "note": None}
    samples["s002"] |= {"meter": None, "person": None}
    table, left_out, facts = scored(land(tmp_path / "zone/batch-1", samples), model(bundle))
    said = own(bundle, samples)
    assert list(table["sample_id"]) == list(samples)
    for place, name in enumerate(("cat", "dog", "elk")):
        np.testing.assert_allclose(table[f"label__{name}"], said["label"][:, place], atol=1e-6)
    assert list(table["label"]) == [("cat", "dog", "elk")[best] for best in said["label"].argmax(axis=1)]
    np.testing.assert_allclose(table["score of label"], said["label"].max(axis=1), atol=1e-6)
    np.testing.assert_allclose(table["size"], said["size"][:, 0], atol=1e-4)
    sets = ["|".join(n for n, p in zip(("cough", "fever"), row, strict=True) if p >= 0.5) or "|" for row in said["signs"]]
    assert list(table["signs"]) == sets
    assert list(table["missing"])[:4] == ["", "note|photo", "meter|person", ""]
    assert list(table["group"])[:3] == ["g0", "g0", "g1"]
    assert list(table["timestamp"])[:2] == [1000.0, 1001.0]
    assert set(table["version"]) == {"v1.0.0"}
    assert left_out.empty
    assert (facts["rows"], facts["scored"], facts["quarantined"], facts["drift"]) == (9, 9, 0, None)


def test_shares_add_up_to_what_is_said_beyond_the_prior(tmp_path: Path, bundle: Bundle) -> None:
    samples = drawn(6)
    samples["s001"] |= {"photo": None}
    table, _, _ = scored(land(tmp_path / "zone/batch-1", samples), model(bundle))
    shares = table[[f"share of {m} in label" for m in bundle.modalities]]
    prior = np.array([PRIOR["label"][("cat", "dog", "elk").index(name)] for name in table["label"]])
    np.testing.assert_allclose(shares.sum(axis=1), table["score of label"] - prior, atol=1e-9)
    assert shares.loc[1, "share of photo in label"] == pytest.approx(0, abs=1e-12)
    sizes = table[[f"share of {m} in size" for m in bundle.modalities]].sum(axis=1)
    np.testing.assert_allclose(sizes, table["size"] - 50, atol=1e-6)


@pytest.mark.parametrize("most", [{"MOST_ROWS": 2}, {"MOST_BYTES": 1}])
def test_stretches_change_nothing(tmp_path: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch, most: dict) -> None:
    samples = drawn(7)
    samples["s003"] |= {"photo": None}
    landed = land(tmp_path / "zone/batch-1", samples)
    whole, _, facts = scored(landed, model(bundle))
    for name, value in most.items():
        monkeypatch.setattr(scoring, name, value)
    table, _, again = scored(landed, model(bundle))
    pd.testing.assert_frame_equal(table, whole, atol=1e-6)
    assert again == facts


def test_what_stands_under_a_target_is_not_looked_at(tmp_path: Path, bundle: Bundle) -> None:
    samples = drawn(4)
    table, _, _ = scored(land(tmp_path / "zone/without", samples), model(bundle))
    cells = {"label": ["dog", "", "no such class", "dog"], "size": "heavy"}
    again, _, _ = scored(land(tmp_path / "zone/with", samples, **cells), model(bundle))
    pd.testing.assert_frame_equal(again.drop(columns="batch"), table.drop(columns="batch"))


def test_rows_that_cannot_be_used_are_left_out_with_their_reason(tmp_path: Path, bundle: Bundle) -> None:
    samples = drawn(7)
    samples["s001"] |= {"photo": samples["s001"]["photo"][:40]}
    samples["s002"] = {}
    samples["s003"] |= {"meter": b"1\nnan\n"}
    files = [f"{name}.png" for name in samples]
    files[2] = ""
    files[4], files[5] = "../s000.png", "nowhere.png"
    landed = land(tmp_path / "zone/batch-1", samples, photo_file_name=files, group="")
    table, left_out, facts = scored(landed, model(bundle))
    assert list(table["sample_id"]) == ["s000", "s006"]
    reasons = dict(zip(left_out["sample_id"], left_out["reason"], strict=True))
    assert reasons["s001"].startswith("photo: not a readable image")
    assert reasons["s002"] == "has no modality: each of them is empty"
    assert reasons["s003"].startswith("meter: series with NaN")
    assert "`..`" in reasons["s004"]
    assert reasons["s005"] == "photo_file_name: 'nowhere.png' is not in the batch"
    assert dict(zip(left_out["sample_id"], left_out["modality"], strict=True))["s001"] == "photo"
    assert (facts["rows"], facts["scored"], facts["quarantined"]) == (7, 2, 5)
    assert [count for _, count in facts["reasons"]] == [1] * 5


def test_the_withdrawn_are_not_named_and_the_erased_are_not_read(tmp_path: Path, bundle: Bundle) -> None:
    gone = Gone(Erased().plus(["s001"]), frozenset({"s002"}))
    table, left_out, facts = scored(land(tmp_path / "zone/batch-1", drawn(4)), model(bundle), gone)
    assert list(table["sample_id"]) == ["s000", "s003"]
    assert left_out[["sample_id", "row", "reason"]].to_numpy().tolist() == [
        ["", 2, "this sample was erased; it is not taken again"]
    ]
    assert facts["withdrawn"] == 1


def test_a_batch_without_a_column_is_refused(tmp_path: Path, bundle: Bundle) -> None:
    header = [name for name in small.HEADER if name != "age"]
    samples = {name: {**body, "person": None} for name, body in drawn(3).items()}
    with pytest.raises(ContractBroken, match=r"batch-1/metadata.csv lacks the column age \(of modality person\)"):
        scored(land(tmp_path / "zone/batch-1", samples, header), model(bundle))


def test_a_batch_of_another_number_of_channels_is_refused_whole(tmp_path: Path, bundle: Bundle) -> None:
    samples = {name: {**body, "meter": b"1,2\n3,4\n5,6"} for name, body in drawn(24).items()}
    with pytest.raises(ContractBroken, match=r"none of 24 meter can be read, e.g. meter: .*channels = 1"):
        scored(land(tmp_path / "zone/batch-1", samples), model(bundle))
    few = dict(list(samples.items())[:10])
    assert scored(land(tmp_path / "zone/batch-2", few), model(bundle))[2]["quarantined"] == 10  # too few to blame the source


def reference(bundle: Bundle, folder: Path) -> Reference:
    """What a version remembers of 120 samples that were as those of `drawn`."""
    samples = drawn(120, seed=1)
    kinds = small.params().modalities
    columns = {"group": [f"g{n // 2}" for n in range(len(samples))]}
    for name, modality in kinds.items():
        module = small.kind_module(modality.kind)
        arrays = [module.decode(body[name], modality.options) for body in samples.values()]
        columns |= {f"{name} {m}": [module.measure(a, modality.options)[m] for a in arrays] for m in module.MEASURES}
        columns[f"{name} {DURATION}"] = [module.duration_s(a, modality.options) for a in arrays]
    said = scored(land(folder / "zone/training", samples), model(bundle))[0]
    inputs = pd.DataFrame(columns).astype({name: float for name in columns if name != "group"})
    return Reference(inputs, said[["group", *bundle.targets]], frozenset({"s001"}))


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory, bundle: Bundle) -> Reference:
    return reference(bundle, tmp_path_factory.mktemp("known"))


def told(facts: dict) -> set[str]:
    return {one["column"] for one in facts["drift"] if one["drifted"]}


def test_a_batch_like_the_training_data_is_not_told(tmp_path: Path, bundle: Bundle, known: Reference) -> None:
    table, _, facts = scored(land(tmp_path / "zone/batch-1", drawn(60)), model(bundle, reference=known))
    assert told(facts) == set()
    assert {one["column"] for one in facts["drift"]} >= {"photo brightness", "meter deviation", "note chars", "label", "size"}
    assert list(table["seen"])[:3] == [False, True, False]


def test_a_drifted_camera_is_told_and_predicted_all_the_same(tmp_path: Path, bundle: Bundle, known: Reference) -> None:
    rng = np.random.default_rng(5)
    samples = {name: {**body, "photo": small.photo(rng, lighter=90)} for name, body in drawn(60).items()}
    _, _, facts = scored(land(tmp_path / "zone/batch-1", samples), model(bundle, reference=known))
    assert "photo brightness" in told(facts)
    assert facts["scored"] == 60


def test_a_dead_sensor_is_told(tmp_path: Path, bundle: Bundle, known: Reference) -> None:
    samples = {name: {**body, "meter": b"0\n" * 20} for name, body in drawn(60).items()}
    _, _, facts = scored(land(tmp_path / "zone/batch-1", samples), model(bundle, reference=known))
    assert {"meter mean", "meter deviation"} <= told(facts)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"times": 1000.0}, r"meter (deviation|mean|lowest|highest) is \d+ times that of the training data"),
        ({"steps": 40}, r"meter (duration_s|steps) is 2 times that of the training data, .*another unit or rate"),
    ],
)
def test_another_unit_or_rate_stops_the_batch(
    tmp_path: Path, bundle: Bundle, known: Reference, changed: dict, says: str
) -> None:
    rng = np.random.default_rng(5)
    samples = {name: {**body, "meter": small.meter(rng, **changed)} for name, body in drawn(60).items()}
    with pytest.raises(ContractBroken, match=says):
        scored(land(tmp_path / "zone/batch-1", samples), model(bundle, reference=known))
