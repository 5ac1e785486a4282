"""Clips become a token per used frame."""

import numpy as np
import pytest
import torch

from tasks.extract import video
from tasks.profile.video import Options

OPTIONS = Options(side_px=8, rate_hz=2.0, max_s=3.0)


def clips(count: int = 4) -> list[np.ndarray]:
    return [np.random.default_rng(n).normal(50, 9, (2 + n, 8, 8, 1)).astype(np.float32) for n in range(count)]


def prepared(facts: dict, arrays: list[np.ndarray]) -> dict[str, torch.Tensor]:
    rows = [video.prepare(array, OPTIONS, facts) for array in arrays]
    return {key: torch.from_numpy(np.stack([row[key] for row in rows])) for key in rows[0]}


def test_tokens_have_the_time_of_their_frames_and_short_clips_fewer():
    inputs = prepared(video.fit_facts(clips(), OPTIONS), clips())
    assert inputs["mask"].sum(1).tolist() == [2, 3, 4, 5]
    assert inputs["time"][0].tolist() == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]
    for row, array in zip(inputs["frames"].numpy(), clips(), strict=True):
        assert np.corrcoef(row[: len(array), 0].ravel(), array[..., 0].ravel())[0, 1] == pytest.approx(1)


def test_what_stands_behind_a_clip_and_in_other_clips_changes_nothing():
    torch.manual_seed(0)
    facts = video.fit_facts(clips(), OPTIONS)
    encoder = video.Encoder(OPTIONS, facts, 8, 0.0)  # in training, too
    inputs = prepared(facts, clips())
    tokens = encoder(inputs)
    behind = ~inputs["mask"][:, :, None, None, None]
    filled = {**inputs, "frames": torch.where(behind, 7.0, inputs["frames"])}
    there = inputs["mask"]
    torch.testing.assert_close(encoder(filled)[there], tokens[there])
    torch.testing.assert_close(encoder({key: value[2:3] for key, value in inputs.items()}), tokens[2:3])


def test_the_order_of_frames_is_seen():
    torch.manual_seed(0)
    facts = video.fit_facts(clips(), OPTIONS)
    encoder = video.Encoder(OPTIONS, facts, 8, 0.0).eval()
    array = clips()[3]
    one, turned = (encoder(prepared(facts, [a]))[:, :5].mean(1) for a in (array, array[::-1].copy()))
    assert not torch.allclose(one, turned, atol=1e-5)
