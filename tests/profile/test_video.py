"""Clips: four containers and .npy, the frames that are seen at given moments, and nothing else opened on the way."""

import io
from fractions import Fraction

import av
import numpy as np
import pytest

from tasks.errors import ContractBroken
from tasks.profile.video import Options, decode, duration_s, measure, near_hash
from tests.profile.damage import npy

FIVE = Options(side_px=8, rate_hz=5.0, max_s=2.0)
LEVELS = np.arange(20, 240, 8, dtype=np.uint8)  # a frame each: 28 of them


def clip(container="mp4", codec="mpeg4", levels=LEVELS, size=(32, 48), rate=25, pixels="yuv420p") -> bytes:
    """Frames of one grey each."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        stream = out.add_stream(codec, rate=Fraction(rate))
        stream.height, stream.width = size
        stream.pix_fmt, stream.bit_rate, stream.thread_count = pixels, 2_000_000, 1
        for level in levels:
            grey = np.full((*size, 3), level, dtype=np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        out.mux(stream.encode(None))
    return file.getvalue()


CONTAINERS = {
    "mp4": lambda: clip(),
    "mov": lambda: clip("mov"),
    "webm": lambda: clip("webm", "libvpx-vp9"),
    "matroska": lambda: clip("matroska"),
    "avi": lambda: clip("avi", "mjpeg", pixels="yuvj420p"),
}


@pytest.mark.parametrize("make", CONTAINERS.values(), ids=CONTAINERS)
def test_the_frames_are_those_seen_at_each_moment(make):
    frames = decode(make(), FIVE)
    assert frames.dtype == np.float32
    assert frames.shape == (6, 8, 8, 1)  # 28 frames of 25 a second end at 1.12 s
    np.testing.assert_allclose(frames.mean(axis=(1, 2, 3)), LEVELS[::5], atol=6)
    assert duration_s(frames, FIVE) == 1.2


def test_a_slow_clip_repeats_frames_and_a_long_one_is_cut():
    slow = decode(clip(levels=LEVELS[::9], rate=2), FIVE)  # 4 frames, half a second each
    np.testing.assert_allclose(slow.mean(axis=(1, 2, 3)), LEVELS[::9][[0, 0, 0, 1, 1, 2, 2, 2, 3, 3]], atol=6)
    assert len(decode(clip(levels=np.repeat(LEVELS, 3)), FIVE)) == FIVE.most == 10


def test_colours_and_places_survive():
    picture = np.zeros((32, 48, 3), dtype=np.uint8)
    picture[:16, :, 0], picture[16:, 24:, 2] = 200, 200
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as out:
        stream = out.add_stream("mpeg4", rate=25)
        stream.height, stream.width, stream.pix_fmt, stream.bit_rate = 32, 48, "yuv420p", 2_000_000
        out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode(None))
    frame = decode(file.getvalue(), Options(side_px=8, channels=3))[0]
    np.testing.assert_allclose(frame[1, 3], [200, 0, 0], atol=25)
    np.testing.assert_allclose(frame[6, 6], [0, 0, 200], atol=25)
    np.testing.assert_allclose(frame[6, 1], [0, 0, 0], atol=25)


def test_frames_in_npy_are_averaged_and_keep_their_unit():
    depth = np.random.default_rng(0).uniform(0.5, 30, (28, 16, 24))
    frames = decode(npy(depth), FIVE)
    expected = depth[::5].reshape(6, 8, 2, 8, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(frames[..., 0], expected, rtol=1e-5)
    colour = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    np.testing.assert_array_equal(decode(npy(colour), Options(side_px=8, channels=3, rate_hz=25.0)), colour)


def test_a_clip_at_the_rate_that_is_used_has_the_frames_that_it_has():
    for rate, count in ((3.5, 29), (3.5, 58), (7.3, 41)):
        options = Options(side_px=8, rate_hz=rate, npy_rate_hz=rate, max_s=60)
        frames = np.arange(count, dtype=np.float32)[:, None, None] * np.ones((8, 8), np.float32)
        np.testing.assert_array_equal(decode(npy(frames), options).mean(axis=(1, 2, 3)), np.arange(count))


def test_a_cut_clip_is_used_as_far_as_it_goes_or_refused():
    whole = clip("matroska")
    assert 1 <= len(decode(whole[: len(whole) * 2 // 5], FIVE)) < 6
    with pytest.raises(ContractBroken, match=r"not a readable video|without a single frame"):
        decode(clip()[:-200], FIVE)  # an MP4 has its index at the end


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not a readable video"),
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "not a readable video"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "not a readable video"),
        (clip(size=(64, 64)), "video of 64 x 64 pixels; at most max_px = 3000"),
        (clip("matroska", "ffv1"), "video of codec ffv1; read are av1, h264"),
        (npy(np.zeros((3, 4))), r"frames of shape \(3, 4\); expected \[t, height, width, 1\]"),
        (npy(np.zeros((3, 4, 4, 3))), r"frames of shape \(3, 4, 4, 3\); expected \[t, height, width, 1\]"),
        (npy(np.zeros((3, 64, 64))), "video of 64 x 64 pixels; at most max_px = 3000"),
        (npy(np.zeros((51, 4, 4))), "51 frames; at most max_frames = 50"),
        (npy(np.full((3, 4, 4), np.nan)), "frames with NaN or infinity, first at frame 0, row 0, column 0"),
        (clip(levels=np.tile(LEVELS, 3), rate=100), "video of more than max_frames = 50 frames in 2.0 s"),
    ],
)
def test_what_is_no_such_clip_is_refused(data, reason):
    with pytest.raises(ContractBroken, match=reason):
        decode(data, Options(side_px=8, max_s=2.0, max_px=3000, max_frames=50))


def test_sound_without_pictures_is_refused():
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as out:
        stream = out.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), dtype=np.int16), layout="mono")
        frame.sample_rate = 8000
        out.mux(stream.encode(frame))
    with pytest.raises(ContractBroken, match="video file without moving pictures"):
        decode(file.getvalue(), FIVE)


def test_measures():
    frames = np.array([0.0, 4.0, 2.0], dtype=np.float32).reshape(3, 1, 1, 1)
    assert measure(frames, FIVE) == {"brightness": 2.0, "contrast": pytest.approx(np.std([0, 4, 2])), "motion": 3.0}


def test_a_hash_tells_clips_apart_and_knows_a_brighter_copy():
    one, other = np.random.default_rng(0).normal(size=(2, 6, 8, 8, 1)).astype(np.float32)
    assert near_hash(one) == near_hash(one * 2 + 1)
    assert ((near_hash(one) ^ near_hash(other)) & (2**64 - 1)).bit_count() > 10
    assert near_hash(np.zeros((6, 8, 8, 1), dtype=np.float32)) is None
