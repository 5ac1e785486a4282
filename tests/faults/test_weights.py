"""Hostile weights: never executed, never loaded, whatever they are named and whoever reads them."""

import io
import json
import os
import pickle
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tasks.errors import ContractBroken
from tasks.extract import load_encoder
from tasks.features import read_features
from tasks.profile.timeseries import Options, decode
from tasks.train.card import read_card, read_weights

CANARY = "NIGHTLOOM_CANARY"


class Harm:
    """Unpickled, it leaves a mark."""

    def __reduce__(self) -> Any:
        return os.putenv, (CANARY, "executed")


def marked() -> bool:
    return subprocess.run(["printenv", CANARY], check=False, stdout=subprocess.DEVNULL).returncode == 0  # children see putenv


def header(length: int, text: bytes, data: bytes = b"") -> bytes:
    return struct.pack("<Q", length) + text + data


def tensors(**entries: tuple[str, list[int], list[int]]) -> bytes:
    text = json.dumps({k: {"dtype": d, "shape": s, "data_offsets": o} for k, (d, s, o) in entries.items()}).encode()
    return header(len(text), text, bytes(8))


def torch_file() -> bytes:
    file = io.BytesIO()
    torch.save(Harm(), file)
    return file.getvalue()


def object_array() -> bytes:
    file = io.BytesIO()
    np.save(file, np.array([Harm()], dtype=object), allow_pickle=True)
    return file.getvalue()


HOSTILE: dict[str, bytes] = {
    "a pickle": pickle.dumps(Harm()),
    "a torch file": torch_file(),
    "an array of objects": object_array(),
    "a header of 2^63 bytes": header(2**63, b"{}"),
    "a header beyond the end": header(1 << 20, b"{}"),
    "overlapping tensors": tensors(a=("F32", [1], [0, 4]), b=("F32", [2], [0, 8])),
    "a tensor beyond the end": tensors(a=("F32", [100], [0, 400])),
    "a shape that overflows": tensors(a=("F32", [2**62, 4], [0, 8])),
    "no tensors": header(2, b"{}"),
    "nothing": b"",
}


def encoder(folder: Path, content: bytes) -> object:
    (folder / "encoder.json").write_text(json.dumps({"kind": "image", "width": 4, "options": {}, "facts": {}}))
    (folder / "weights.safetensors").write_bytes(content)
    return load_encoder(folder)


def candidate(folder: Path, content: bytes) -> object:
    (folder / "weights.safetensors").write_bytes(content)
    return read_weights(folder, {"mean": (1,)})


def features(folder: Path, content: bytes) -> object:
    (folder / "f.safetensors").write_bytes(content)
    return read_features(folder / "f.safetensors")


def series(folder: Path, content: bytes) -> object:
    return decode(content, Options())


@pytest.mark.parametrize("reader", [encoder, candidate, features, series])
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_weights_are_refused_by_every_reader(tmp_path: Path, reader: Callable[..., object], name: str) -> None:
    with pytest.raises(ContractBroken, match=r"."):
        reader(tmp_path, HOSTILE[name])
    assert not marked()


def test_the_mark_is_left_by_who_does_execute() -> None:
    """The canary lives: the attack works against a reader that unpickles."""
    try:
        pickle.loads(HOSTILE["a pickle"])  # noqa: S301  this is the point
        assert marked()
    finally:
        os.unsetenv(CANARY)


def test_a_card_of_deep_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "candidate.json").write_text("[" * 100_000)
    with pytest.raises(ContractBroken, match="is not JSON"):
        read_card(tmp_path)
