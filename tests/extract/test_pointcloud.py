"""Clouds become tokens of their octants, whatever the order of their points."""

import numpy as np
import pytest
import torch

from tasks.extract import pointcloud
from tasks.profile.pointcloud import Options, decode
from tests.profile.damage import npy
from tests.profile.test_pointcloud import cloud

OPTIONS = Options(fields=("intensity",), used_points=64)


def prepared(array: np.ndarray, facts: dict) -> dict[str, torch.Tensor]:
    row = pointcloud.prepare(decode(npy(array), OPTIONS), OPTIONS, facts)
    return {key: torch.from_numpy(np.asarray(value))[None] for key, value in row.items()}


@pytest.fixture
def facts() -> dict:
    return pointcloud.fit_facts([decode(npy(cloud(50, seed)), OPTIONS) for seed in range(4)], OPTIONS)


@pytest.mark.parametrize("points", [5, 64, 400])
def test_the_order_of_points_changes_no_byte(points, facts):
    torch.manual_seed(0)
    encoder = pointcloud.Encoder(OPTIONS, facts, 8, 0.0).eval()
    array = cloud(points)
    turned = array[np.random.default_rng(1).permutation(points)]
    one, other = (encoder(prepared(a, facts)) for a in (array, turned))
    assert one.shape == (1, 8, 8)
    assert torch.equal(one, other)


def test_what_lies_behind_the_points_of_a_small_cloud_changes_nothing(facts):
    torch.manual_seed(0)
    encoder = pointcloud.Encoder(OPTIONS, facts, 8, 0.0).eval()
    inputs = prepared(cloud(20), facts)
    filled = {**inputs, "points": torch.where(inputs["octant"][..., None] < 0, 7.0, inputs["points"])}
    assert torch.equal(encoder(filled), encoder(inputs))


def test_facts_and_octants_are_those_of_numpy(facts):
    clouds = [decode(npy(cloud(50, seed)), OPTIONS).astype(float) for seed in range(4)]
    around = np.concatenate([c[:, :3] - c[:, :3].mean(axis=0) for c in clouds])
    assert facts["spread"] == pytest.approx(np.sqrt((around**2).sum(axis=1).mean()))
    np.testing.assert_allclose(facts["mean"], np.concatenate(clouds).mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(facts["deviation"], np.concatenate(clouds).std(axis=0), rtol=1e-12)
    array = np.array([[1, 1, 1, 0], [1, 1, 1.5, 0], [-1, -1, -1.25, 0], [-1, -1, -1.25, 0]])
    row = pointcloud.prepare(decode(npy(array), OPTIONS), OPTIONS, facts)
    assert row["mask"].all()
    assert row["octant"][:5].tolist() == [0, 0, 7, 7, -1]
    np.testing.assert_allclose(row["points"][3, :3] * facts["spread"], [1, 1, 1.5], rtol=1e-6)
