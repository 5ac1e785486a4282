"""Two branches, a scanned digit and a dialled one, to be fitted end to end from raw bytes: data, modules, two loops.

ours     what `train.finetune` does: decoded and prepared once, whole tensors in memory, varied batch by batch
usual    the research loop: a Dataset that decodes, prepares and varies each sample whenever it is asked for, a DataLoader,
         eager, fp32
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from data.recipes.digits.dial import call
from data.recipes.digits.handwriting import scan
from tasks.extract import Card, Loaded, network_module
from tasks.features import Features
from tasks.finetune.encoders import Encoders
from tasks.params import Train, keyed_seed
from tasks.profile import kind_module
from tasks.profile.audio import Options as Audio
from tasks.profile.image import Options as Image
from tasks.targets import Output, read_target
from tasks.train.fit import fit
from tasks.train.fusions.pool import slot
from tasks.train.inputs import Inputs
from tasks.train.network import Network
from tasks.train.task import Task

OPTIONS: dict[str, Any] = {"audio": Audio(max_s=0.5), "image": Image(side_px=28)}
OUTPUTS = {"label": Output("classification", tuple("0123456789"))}
TARGETS = {"label": read_target("label", {})}
WIDTH, FUSION = 64, "concat"
HANDS = 1200  # of scikit-learn's 1,797 digits are written for training, the others for the test
Batch = dict[str, Any]


@dataclass(frozen=True)
class Raw:
    """Samples as they land: modality -> n files, and digits int64 [n]."""

    files: Mapping[str, Sequence[bytes]]
    digits: np.ndarray

    def part(self, rows: slice) -> "Raw":
        """Some of them."""
        return Raw({m: files[rows] for m, files in self.files.items()}, self.digits[rows])

    def where(self, rows: np.ndarray) -> "Raw":
        """Those that a mask bool [n] says."""
        kept = np.flatnonzero(rows)
        return Raw({m: [files[row] for row in kept] for m, files in self.files.items()}, self.digits[kept])

    def __len__(self) -> int:
        return len(self.digits)


def drawn(samples: int, seed: int, test: bool = False) -> Raw:
    """Draw samples; those of the test are written by other hands."""
    images, digits = load_digits().images, load_digits().target
    rng = np.random.default_rng([seed, test])
    chosen = rng.integers(HANDS, len(digits), samples) if test else rng.integers(0, HANDS, samples)
    files = {
        "image": [scan(images[i], np.random.default_rng([seed, test, n])) for n, i in enumerate(chosen)],
        "audio": [call(int(digits[i]), np.random.default_rng([seed, test, n, 1])) for n, i in enumerate(chosen)],
    }
    return Raw(files, digits[chosen].astype(np.int64))


def fresh(raw: Raw, seed: int) -> dict[str, Loaded]:
    """Encoders that were never fitted; what preparation needs to know is measured on these samples."""
    found = {}
    for m, options in OPTIONS.items():
        module = network_module(m)
        facts = module.fit_facts([kind_module(m).decode(data, options) for data in raw.files[m]], options)
        torch.manual_seed(keyed_seed(seed, "pretrain", m))
        found[m] = Loaded(Card(m, asdict(options), facts, WIDTH, {}, 0, []), module.Encoder(options, facts, WIDTH, 0.2), module)
    return found


def ready(raw: Raw, encoders: Mapping[str, Loaded]) -> dict[str, dict[str, np.ndarray]]:
    """Modality -> what `prepare` makes of all samples."""
    found = {}
    for m, one in encoders.items():
        kind, options = kind_module(m), OPTIONS[m]
        rows = [one.how.prepare(kind.decode(data, options), options, one.card.facts) for data in raw.files[m]]
        found[m] = {key: np.stack([row[key] for row in rows]) for key in rows[0]}
    return found


def ours(train: Raw, val: Raw, encoders: Mapping[str, Loaded], knobs: Train, seed: int) -> nn.Module:
    """Fit from raw bytes with `tasks.train.fit`; returns the network, its encoders in front."""
    contents = [ready(raw, encoders) for raw in (train, val)]

    def in_front(network: Network, *splits: Any) -> Any:
        network.encoders = Encoders(encoders)
        flat = [
            {f"{m}/{k}": torch.from_numpy(v) for m, part in content.items() for k, v in part.items()} for content in contents
        ]
        return tuple(replace(rows, tokens=tokens) for rows, tokens in zip(splits, flat, strict=True))

    inputs = [Inputs(pa.table({"label": raw.digits}), blank(part)) for raw, part in zip((train, val), contents, strict=True)]
    task = Task(OUTPUTS, TARGETS, knobs, seed, "cpu")
    return fit("joint", "finetune", FUSION, *inputs, task, in_front=in_front).network


def blank(content: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, Features]:
    """Features of which only mask and time are known: the network standardises nothing then."""
    return {
        m: Features(np.zeros((*part["mask"].shape, WIDTH), np.float32), part["mask"], part["time"])
        for m, part in content.items()
    }


class Samples(Dataset[tuple[Batch, int]]):
    """As people write it: a sample is decoded, prepared and varied when it is asked for."""

    def __init__(self, raw: Raw, encoders: Mapping[str, Loaded], vary: bool) -> None:
        self.raw, self.encoders, self.vary = raw, encoders, vary

    def __len__(self) -> int:
        return len(self.raw)

    def __getitem__(self, row: int) -> tuple[Batch, int]:
        found: Batch = {}
        for m, one in self.encoders.items():
            array = kind_module(m).decode(self.raw.files[m][row], OPTIONS[m])
            made = one.how.prepare(array, OPTIONS[m], one.card.facts)
            inputs = {key: torch.from_numpy(values)[None] for key, values in made.items()}
            inputs = one.how.augment(inputs, torch.default_generator) if self.vary else inputs
            found[m] = {key: values[0] for key, values in inputs.items()}
        return found, int(self.raw.digits[row])


class Branches(nn.Module):
    """The same encoders in front of the same network."""

    def __init__(self, encoders: Mapping[str, Loaded], knobs: Train, seed: int) -> None:
        super().__init__()
        widths, sizes = dict.fromkeys(encoders, WIDTH), {"label": OUTPUTS["label"].width}
        self.branches = nn.ModuleDict({slot(m): one.network for m, one in encoders.items()})
        self.network = Network(FUSION, widths, sizes, knobs.width, knobs.heads, knobs.dropout)
        self.network.initialise(keyed_seed(seed, "candidate", "joint"))

    def forward(self, batch: Batch) -> Tensor:
        tokens = {m: self.branches[slot(m)](inputs) for m, inputs in batch.items()}
        mask, time = ({m: inputs[key] for m, inputs in batch.items()} for key in ("mask", "time"))
        found: Tensor = self.network(tokens, mask, time)["label"]
        return found


def usual(train: Raw, val: Raw, encoders: Mapping[str, Loaded], knobs: Train, seed: int) -> nn.Module:
    """Fit from raw bytes; returns the network of the epoch with the best validation loss."""
    torch.manual_seed(seed)
    model = Branches(encoders, knobs, seed)
    optimiser = torch.optim.AdamW(model.parameters(), lr=knobs.learning_rate, weight_decay=knobs.weight_decay)
    loader = DataLoader(Samples(train, encoders, vary=True), knobs.batch, shuffle=True)
    judging = DataLoader(Samples(val, encoders, vary=False), knobs.batch)
    best, kept = np.inf, copy.deepcopy(model.state_dict())
    for _ in range(knobs.epochs):
        model.train()
        for batch, labels in loader:
            loss = functional.cross_entropy(model(batch), labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        model.eval()
        with torch.no_grad():
            total = sum(functional.cross_entropy(model(b), y, reduction="sum").item() for b, y in judging)
        if total < best:
            best, kept = total, copy.deepcopy(model.state_dict())
    model.load_state_dict(kept)
    return model.eval()


LOOPS = {"ours": ours, "usual": usual}


def accuracy(model: nn.Module, raw: Raw, encoders: Mapping[str, Loaded]) -> float:
    """Share of samples that a network of either loop gets right."""
    content = {m: {key: torch.from_numpy(v) for key, v in part.items()} for m, part in ready(raw, encoders).items()}
    with torch.inference_mode():
        if isinstance(model, Branches):
            logits = model(content)
        else:
            mask, time = ({m: part[key] for m, part in content.items()} for key in ("mask", "time"))
            logits = model({f"{m}/{k}": v for m, part in content.items() for k, v in part.items()}, mask, time)["label"]
    return float((logits.argmax(1).numpy() == raw.digits).mean())
