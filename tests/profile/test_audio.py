"""Sound: headers that lie, files that end early, values that are none, and the plain way through."""

import io
import struct
import wave

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.errors import ContractBroken, WrongValue
from tasks.profile.audio import Options, decode, duration_s, measure, near_hash

RATE = 8000


def wav(values: np.ndarray, rate=RATE) -> bytes:
    """PCM 16 bit from int16 [n] or [n, channels]."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1 if values.ndim == 1 else values.shape[1])
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(values.astype("<i2").tobytes())
    return file.getvalue()


def written(values: np.ndarray, form="WAV", subtype=None, rate=RATE) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, values, rate, format=form, subtype=subtype)
    return file.getvalue()


def track(values: np.ndarray, container="mp4", codec="aac", rate=16000, pictures=0) -> bytes:
    """Sound of [n, channels] as a video's track, with so many pictures beside it."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        moving = out.add_stream("mpeg4", rate=10) if pictures else None
        stream = out.add_stream(codec, rate=rate, layout={1: "mono", 2: "stereo"}[values.shape[1]])
        if moving is not None:
            moving.width, moving.height, moving.pix_fmt = 32, 32, "yuv420p"
            for _ in range(pictures):
                out.mux(moving.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")))
            out.mux(moving.encode(None))
        frame = av.AudioFrame.from_ndarray(values.T.astype(np.float32).copy(), "fltp", stream.layout.name)
        frame.sample_rate, frame.pts = rate, 0
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return file.getvalue()


def loudest_hz(array: np.ndarray) -> float:
    return np.argmax(np.abs(np.fft.rfft(array))) * RATE / len(array)


def tone(hz: float, seconds=0.5, rate=RATE) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(-(2**15), 2**15 - 1), min_size=1, max_size=200))
def test_pcm_survives_a_round_trip(values):
    array = decode(wav(np.array(values)), Options())
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array * 2**15, values)


@pytest.mark.parametrize(("form", "subtype"), [("WAV", "FLOAT"), ("WAV", "PCM_24"), ("FLAC", "PCM_16"), ("WAVEX", "PCM_16")])
def test_the_way_through_soundfile_gives_the_same_as_the_fast_one(form, subtype):
    values = np.round(tone(440) * 2**15)
    fast = decode(wav(values), Options())
    np.testing.assert_allclose(decode(written(values / 2**15, form, subtype), Options()), fast, atol=1e-4)


def test_channels_are_averaged_and_what_is_late_is_cut():
    both = np.stack([np.full(2 * RATE, 1000), np.full(2 * RATE, 3000)], axis=1)
    array = decode(wav(both), Options(max_s=0.5))
    assert array.shape == (RATE // 2,)
    np.testing.assert_allclose(array * 2**15, 2000, rtol=1e-6)


@pytest.mark.parametrize("rate", [4000, 16000, 44100, 48000, 22051])
def test_a_tone_keeps_its_pitch_when_it_is_resampled(rate):
    array = decode(wav(tone(600, rate=rate) * 2**15, rate), Options())
    assert len(array) == pytest.approx(RATE / 2, abs=2)
    assert loudest_hz(array) == pytest.approx(600, abs=3)


@pytest.mark.parametrize("form", ["OGG", "MP3"])
@pytest.mark.parametrize("rate", [8000, 44100])
def test_what_loses_a_little_brings_the_tone_back(form, rate):
    array = decode(written(tone(440, rate=rate), form, rate=rate), Options())
    assert RATE / 2 - 1 <= len(array) <= RATE * 0.7  # an MP3 is filled up to whole frames
    assert loudest_hz(array) == pytest.approx(440, abs=3)
    assert np.abs(array).max() == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(("container", "codec"), [("mp4", "aac"), ("mov", "pcm_s16le"), ("webm", "libopus"), ("avi", "mp3")])
def test_the_sound_track_of_a_video_is_read(container, codec):
    rate = 48000 if codec == "libopus" else 16000
    both = np.stack([tone(440, 2.0, rate), np.zeros(2 * rate)], axis=1)
    array = decode(track(both, container, codec, rate, pictures=10 if container != "webm" else 0), Options(max_s=1.5))
    assert array.shape == (1.5 * RATE,)
    assert loudest_hz(array) == pytest.approx(440, abs=3)
    assert np.abs(array[RATE // 2 :]).max() == pytest.approx(0.25, abs=0.05)  # channels are averaged


def test_a_video_without_sound_or_of_another_codec_is_refused():
    silent = io.BytesIO()
    with av.open(silent, "w", format="mp4") as out:
        stream = out.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        out.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")))
        out.mux(stream.encode(None))
    with pytest.raises(ContractBroken, match="video without a sound track"):
        decode(silent.getvalue(), Options())
    with pytest.raises(ContractBroken, match=r"sound track of codec mp2\w*; read are aac, alac"):
        decode(track(tone(440, rate=16000)[:, None], "matroska", "mp2"), Options())


def test_a_truncated_wav_is_refused():
    data = wav(tone(440) * 2**15)
    with pytest.raises(ContractBroken, match=r"truncated WAV: chunk b'data' promises 8000 bytes, 4956 are there"):
        decode(data[:5000], Options())


@pytest.mark.parametrize("size", [2**31, 0xFFFFFFFF, 8002])
def test_a_header_that_promises_more_is_refused(size):
    data = wav(tone(440) * 2**15)
    at = data.index(b"data") + 4
    with pytest.raises(ContractBroken, match="truncated WAV: chunk b'data' promises"):
        decode(data[:at] + struct.pack("<I", size) + data[at + 4 :], Options())


@pytest.mark.parametrize(("form", "subtype"), [("WAV", "FLOAT"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("MP3", None)])
def test_other_truncated_files_are_refused(form, subtype):
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, RATE)
    data = written(noise, form, subtype)
    for share in (0.5, 0.9):
        with pytest.raises(ContractBroken, match=r"truncated|not a readable sound"):
            decode(data[: int(len(data) * share)], Options())


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_none_are_refused_with_their_place(bad):
    values = tone(440)
    values[77] = bad
    with pytest.raises(ContractBroken, match="NaN or infinity, first at frame 77"):
        decode(written(values, subtype="FLOAT"), Options())


def test_values_far_beyond_full_scale_are_refused():
    with pytest.raises(ContractBroken, match="beyond"):
        decode(written(np.array([0.0, 1e30]), subtype="FLOAT"), Options())


def test_a_sound_without_a_frame_is_refused():
    with pytest.raises(ContractBroken, match="without a single frame"):
        decode(wav(np.zeros(0)), Options())


def test_a_huge_clip_is_refused_before_it_is_decoded():
    with pytest.raises(ContractBroken, match="sound of 4000 frames and 1 channels; at most max_values = 3000"):
        decode(wav(np.zeros(4000)), Options(max_values=3000))
    with pytest.raises(ContractBroken, match="at most max_values = 3000"):
        decode(written(np.zeros(4000), "FLAC"), Options(max_values=3000))


@pytest.mark.parametrize("rate", [100, 2_000_000])
def test_a_rate_far_away_is_refused(rate):
    with pytest.raises(ContractBroken, match=f"sound at {rate} Hz"):
        decode(wav(np.zeros(10), rate), Options())


@pytest.mark.parametrize("data", [b"", b"RIFF", b"RIFF\x10\0\0\0WAVE", b"hello" * 20, b"RIFF\x04\0\0\0WAVEdata\0\0\0\0"])
def test_what_is_no_sound_is_refused(data):
    with pytest.raises(ContractBroken, match=r"not a readable sound|without a data chunk"):
        decode(data, Options())


def test_measures_and_duration():
    square = np.tile([0.5, 0.5, -0.5, -0.5], 1000).astype(np.float32)
    measured = measure(square, Options())
    assert measured == {"rms": 0.5, "peak": 0.5, "zero_crossings_hz": pytest.approx(1999 * RATE / 4000)}
    assert duration_s(square, Options()) == 0.5


def test_a_louder_copy_has_the_same_hash_and_silence_has_none():
    noise = np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32)
    other = np.random.default_rng(1).normal(0, 0.1, RATE).astype(np.float32)
    assert near_hash(noise) == near_hash(noise * np.float32(0.5))
    assert ((near_hash(noise) ^ near_hash(other)) & (2**64 - 1)).bit_count() > 10
    assert near_hash(np.zeros(RATE, dtype=np.float32)) is None
    assert near_hash(noise[:100]) is None


def test_options_out_of_range_are_refused():
    with pytest.raises(WrongValue, match="hop_s must be above 0"):
        Options(hop_s=0)
