"""What the model treats alike: planted clusters, found in any order, scored as sklearn does; too few; every type of target."""

import json

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, mean_absolute_error

from tasks.evaluate.clusters import EACH, LOOKED, MOST, clusters, draw_clusters
from tasks.evaluate.neighbours import wrong
from tasks.evaluate.scores import Judged, Sureness
from tasks.targets import Output
from tests.train.memory import fitted, inputs

SURE = Sureness(200, 0.95, 0)
CHOICE = Output("classification", ("cat", "dog", "elk"))
CLASSES = {"classification": CHOICE, "multilabel": Output("multilabel", ("a", "b", "c")), "regression": Output("regression")}


class Planted:
    """Three clouds of samples far from each other, an answer each; in the last one 4 of 10 labels are wrong."""

    def __init__(self, samples=300, seed=0, kind="classification"):
        rng = np.random.default_rng(seed)
        self.cloud = rng.integers(0, 3, samples)
        self.places = 6 * np.eye(3, 5)[self.cloud] + rng.normal(size=(samples, 5))
        self.names = [f"s{i:05d}" for i in rng.permutation(samples)]
        true = np.where((self.cloud == 2) & (rng.random(samples) < 0.4), 0, self.cloud)
        truth, answers = true, np.eye(3)[self.cloud] * 0.7 + 0.1
        if kind == "regression":
            truth, answers = 10.0 * true, 10.0 * self.cloud[:, None]
        if kind == "multilabel":
            truth = np.eye(3, dtype=np.int64)[true]
        groups = np.array([f"g{i // 2}" for i in range(samples)], object)
        self.judged = Judged(truth, groups, {"mean": answers}, {"mean": 1}, CLASSES[kind])

    def found(self, sure=SURE):
        return clusters(self.judged, "mean", self.names, self.places, sure)


@pytest.mark.parametrize("kind", CLASSES)
def test_the_cloud_whose_labels_are_wrong_is_found_as_the_worst(kind):
    night = Planted(kind=kind)
    found = night.found()
    assert len(found.told["parts"]) == 3
    assert (night.cloud[found.member == 0] == 2).all()
    worst, *others = found.told["parts"]
    said, truth = night.judged.predicted("mean"), night.judged.truth
    here = found.member == 0
    if kind == "regression":
        value, whole = -mean_absolute_error(truth[here], said[here]), -mean_absolute_error(truth, said)
        assert (worst["truth"], worst["says"]) == (pytest.approx(truth[here].mean()), 20.0)
    else:
        value, whole = accuracy_score(truth[here], said[here]), accuracy_score(truth, said)
        assert (worst["truth"], worst["says"]) == (("c", "c") if kind == "multilabel" else ("elk", "elk"))
    assert worst["score"]["value"] == pytest.approx(value)
    assert found.told["whole"] == pytest.approx(whole)
    assert found.told["apart"] == pytest.approx(-value if kind == "regression" else 1 - value)
    assert worst["below"]
    assert not any(part["below"] for part in others)
    assert (worst["samples"], worst["groups"]) == (here.sum(), len(set(night.judged.groups[here])))
    assert found.told["silhouette"] > 0.5
    assert not found.told["unclear"]
    assert "s00" not in json.dumps(found.told)


def test_the_order_of_samples_does_not_matter_and_twice_is_the_same():
    night = Planted()
    night.places = np.random.default_rng(2).normal(size=(300, 5))  # one cloud, so that it depends on where k-means starts
    once, order = night.found(), np.random.default_rng(1).permutation(300)
    judged = night.judged
    turned = Judged(judged.truth[order], judged.groups[order], {"mean": judged.answers["mean"][order]}, {"mean": 1}, CHOICE)
    again = clusters(turned, "mean", [night.names[row] for row in order], night.places[order], SURE)
    np.testing.assert_array_equal(again.member, once.member[order])
    assert again.told == once.told == night.found().told
    assert [part["samples"] for part in once.told["parts"]] == np.bincount(once.member).tolist()


def test_so_many_samples_as_are_looked_at_place_the_others():
    night = Planted(samples=LOOKED + 1500)
    found = night.found()
    assert set(night.cloud[found.member == 0]) == {2}
    assert sum(part["samples"] for part in found.told["parts"]) == LOOKED + 1500


def test_one_cloud_hardly_falls_apart_and_nothing_in_it_is_surely_below():
    claimed = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        truth = rng.integers(0, 2, 200)
        answers = np.eye(2)[np.where(rng.random(200) < 0.8, truth, 1 - truth)]
        groups, output = np.arange(200).astype(str).astype(object), Output("classification", ("no", "yes"))
        night = Judged(truth, groups, {"mean": answers}, {"mean": 1}, output)
        found = clusters(night, "mean", [f"s{i:03d}" for i in range(200)], rng.normal(size=(200, 16)), SURE).told
        assert found["unclear"]
        assert 2 <= len(found["parts"]) <= MOST
        claimed += any(part["below"] for part in found["parts"])
    assert claimed <= 4  # one end of 95 % over all clusters: one night in 40


def test_too_few_samples_and_samples_that_are_all_alike_have_no_clusters():
    assert Planted(samples=2 * EACH).found() is not None
    assert Planted(samples=2 * EACH - 1).found() is None
    night = Planted()
    night.places[:] = 1.5
    assert night.found() is None
    night.places[:150] = -1.5  # two places, and so two clusters
    assert [part["samples"] for part in night.found().told["parts"]] == [150, 150]


def test_a_cluster_of_one_group_has_no_score_and_stands_last():
    night = Planted()
    night.judged.groups[night.cloud == 2] = "one"
    *others, last = night.found().told["parts"]
    assert (last["score"], last["groups"], last["below"], last["says"]) == (None, 1, False, "elk")
    assert all(part["score"] for part in others)


def test_where_a_network_cannot_tell_classes_apart_is_found_in_its_own_space():
    rng = np.random.default_rng(0)
    truth, odd = rng.integers(0, 2, 700), rng.random(700) < 0.5
    audio = rng.normal(size=(700, 8))
    audio[:, 0] += 4 * (2 * truth - 1) * ~odd  # the class shows in one kind of samples alone …
    audio[:, 1] += 8 * odd  # … and another feature says which kind it is
    train, val, test = (
        inputs({"audio": audio[rows].copy()}, truth[rows]) for rows in (slice(0, 300), slice(300, 400), slice(400, 700))
    )
    model = fitted(train, val, 2, 0, fusion="mean", epochs=20, width=8, heads=2)
    answers = {"mean": model.predict(test.features)["label"]}
    names = test.samples["sample_id"].to_pylist()
    judged = Judged(truth[400:], np.array(names, object), answers, {"mean": 1}, Output("classification", ("no", "yes")))
    found = clusters(judged, "mean", names, model.fused(test.features), SURE)
    worst, *_, best = found.told["parts"]
    assert worst["below"]
    assert worst["score"]["high"] < best["score"]["low"]
    assert odd[400:][found.member == 0].mean() > 0.7
    assert odd[400:][found.member == len(found.told["parts"]) - 1].mean() < 0.3


@pytest.mark.parametrize("width", [1, 5])
def test_the_picture_is_the_same_bytes_twice(tmp_path, width):
    night = Planted()
    found, off = night.found(), wrong(night.judged, "mean")
    for name in ("one.png", "two.png"):
        draw_clusters(tmp_path / name, night.places[:, :width], found.member, off, found.told["parts"], "mean")
    content = (tmp_path / "one.png").read_bytes()
    assert content.startswith(b"\x89PNG")
    assert content == (tmp_path / "two.png").read_bytes()
