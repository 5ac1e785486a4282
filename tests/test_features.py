"""Files of features: damage of any kind is found."""

import numpy as np
import pytest

from tasks.errors import ContractBroken
from tasks.features import Features, check_features, write_features


def test_every_flipped_byte_is_found(tmp_path):
    tokens = np.random.default_rng(0).normal(size=(3, 2, 2)).astype(np.float32)
    mask = np.array([[True, True], [True, False], [False, False]])
    path = tmp_path / "night.safetensors"
    write_features(path, Features(tokens, mask, np.zeros((3, 2), np.float32)), "md5", ["s040", "s041", "s042"])
    whole = path.read_bytes()
    check_features(path, "md5", 3, (2, 2))
    for at in range(len(whole)):  # the names of samples among them
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(ContractBroken, match="damaged"):
            check_features(path, "md5", 3, (2, 2))
