"""Nightloom's way from night to night, in memory: encoders fitted once, what is new encoded, the head fitted to all."""

from dataclasses import asdict

import numpy as np
import pyarrow as pa

from tasks.extract import Card, Loaded, network_module
from tasks.features import Features, joined
from tasks.params import Pretrain, Train
from tasks.pretrain.fit import fit as fit_encoder
from tasks.pretrain.objectives.batch import Head
from tasks.profile import kind_module
from tasks.train.fit import fit
from tasks.train.inputs import Inputs, chosen
from tasks.train.neural import Neural
from tasks.train.task import Task
from tests.bench.branches import FUSION, OPTIONS, OUTPUTS, TARGETS, WIDTH, Raw

PRETRAIN = Pretrain(epochs=15, width=WIDTH)
VAL = 5  # one sample in so many


class Frozen:
    """What is kept from one night to the next: encoders, and the features and digits of all that has landed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.encoders: dict[str, Loaded] = {}
        self.features: dict[str, list[Features]] = {m: [] for m in OPTIONS}
        self.digits = np.zeros(0, np.int64)
        self.head: Neural

    def night(self, new: Raw) -> None:
        """Take what landed: on the first night encoders are fitted to its training samples, every night the head to all."""
        if not self.encoders:
            self.encoders = {m: self._encoder(m, new.where(np.arange(len(new)) % VAL != 0)) for m in OPTIONS}
        for m, one in self.encoders.items():
            self.features[m].append(one.encode(new.files[m]))
        self.digits = np.concatenate([self.digits, new.digits])
        whole, is_val = {m: joined(parts) for m, parts in self.features.items()}, np.arange(len(self.digits)) % VAL == 0
        splits = [
            Inputs(pa.table({"label": self.digits[rows]}), {m: chosen(body, rows) for m, body in whole.items()})
            for rows in (np.flatnonzero(~is_val), np.flatnonzero(is_val))
        ]
        self.head = fit(FUSION, "fusion", FUSION, *splits, Task(OUTPUTS, TARGETS, Train(), self.seed, "cpu"))

    def _encoder(self, modality: str, raw: Raw) -> Loaded:
        options, kind, module = OPTIONS[modality], kind_module(modality), network_module(modality)
        arrays = [kind.decode(data, options) for data in raw.files[modality]]
        heads = {"label": Head(TARGETS["label"], OUTPUTS["label"].width)}
        found = fit_encoder(module, options, arrays, {"label": raw.digits}, heads, PRETRAIN, self.seed, modality)
        return Loaded(Card(modality, asdict(options), found.facts, WIDTH, {}, 0, []), found.network, module)

    def accuracy(self, raw: Raw) -> float:
        """Share of new samples that are answered right."""
        features = {m: one.encode(raw.files[m]) for m, one in self.encoders.items()}
        return float((self.head.predict(features)["label"].argmax(1) == raw.digits).mean())
