"""Volumes become tokens of their octants."""

import numpy as np
import pytest
import torch

from tasks.extract import volume
from tasks.profile.volume import Options, decode
from tests.profile.damage import npy
from tests.profile.test_volume import solid

OPTIONS = Options(side=16)


@pytest.fixture
def cubes() -> list[np.ndarray]:
    return [decode(npy(solid(seed=seed)), OPTIONS) for seed in range(4)]


def test_voxels_are_standardised_by_the_training_voxels(cubes):
    facts = volume.fit_facts(cubes, OPTIONS)
    voxels = np.stack([volume.prepare(cube, OPTIONS, facts)["voxels"] for cube in cubes])
    assert voxels.shape == (4, 1, 16, 16, 16)
    assert voxels.mean() == pytest.approx(0, abs=1e-6)
    assert voxels.std() == pytest.approx(1, abs=1e-6)


def test_a_token_is_the_average_of_its_octant_and_samples_do_not_see_each_other(cubes):
    torch.manual_seed(0)
    facts = volume.fit_facts(cubes, OPTIONS)
    encoder = volume.Encoder(OPTIONS, facts, 8, 0.0)  # in training, too
    voxels = torch.from_numpy(np.stack([volume.prepare(cube, OPTIONS, facts)["voxels"] for cube in cubes]))
    tokens = encoder({"voxels": voxels})
    cells = encoder.layers(voxels)
    expected = torch.nn.functional.avg_pool3d(cells, 2).flatten(2).transpose(1, 2)
    torch.testing.assert_close(tokens, expected)
    torch.testing.assert_close(encoder({"voxels": voxels[2:3]}), tokens[2:3])
