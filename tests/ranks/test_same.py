"""Two or three processes learn what one learns: the same gradients, the same losses, whatever the network and the batch."""

import contextlib
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tasks import params as parameters
from tasks.checkpoint import Checkpoint
from tasks.extract import network_module
from tasks.params import FUSIONS, Pretrain
from tasks.paths import CHECKPOINTS
from tasks.pretrain import fit as encoders
from tasks.pretrain.objectives import OBJECTIVES
from tasks.pretrain.objectives.batch import Head
from tasks.profile import kind_module
from tasks.ranks import ALONE, Ranks
from tasks.schema import build
from tasks.steady import steady
from tasks.tables import labelled
from tasks.targets import read_target
from tasks.train import fit as heads
from tasks.train.inputs import read_inputs, read_outputs
from tasks.train.task import Task
from tests.deaths import alone
from tests.extract.raw import CLASSES, OPTIONS, items
from tests.planted import plant
from tests.ranks.team import team

MODALITIES = ("audio", "image", "text")
# An image's encoder has statistics of a batch and dropout over a transposed one, a time series' over a flattened one.
ENCODERS = [*(("image", objective) for objective in OBJECTIVES), ("timeseries", "supervised")]
CASES = [*FUSIONS, *ENCODERS]
SOME = ["attention", ("image", "contrastive"), ("image", "supervised")]
EPOCHS = 3


class Recorder(torch.optim.AdamW):
    """Steps on the spot, and keeps the gradients of every step."""

    kept: list[list[np.ndarray]]

    def step(self, closure=None):
        self.kept.append([p.grad.numpy().copy() for group in self.param_groups for p in group["params"] if p.grad is not None])


@pytest.fixture(scope="module", autouse=True)
def planted(tmp_path_factory):
    """Two targets, each with empty cells, and samples without a modality or two."""
    with contextlib.chdir(tmp_path_factory.mktemp("ranks")):
        plant(samples=90, modalities=MODALITIES, numbers=True, missing=0.3)
        with steady(1):
            head(ALONE, "mean", epochs=1)  # what torch imports on its first step is imported once, before all forks
        yield


def head(ranks: Ranks, fusion: str, **knobs):
    """A fusion, fitted to the planted samples in batches of which the last has a single row."""
    params = parameters.load()
    train, val = (read_inputs(MODALITIES, split) for split in ("train", "val"))
    known = np.any([labelled(train.labels(target))[train.there] for target in params.targets], axis=0)
    knobs = {"batch": (int(known.sum()) - 1) // 2, "modality_dropout": 0.3, "dropout": 0.3, "epochs": EPOCHS, **knobs}
    task = Task(read_outputs(), params.targets, replace(params.train, **knobs), 0, "cpu", ranks)
    return heads.fit(fusion, "fusion", fusion, train, val, task)


def encoder(ranks: Ranks, kind: str, objective: str, **knobs):
    """An encoder, fitted to 9 samples in batches of 2 and 3, some unlabelled; without labels, 4 more are watched."""
    raw, labels = items(kind, 13)
    options = build(kind_module(kind).Options, OPTIONS[kind], kind)
    arrays = [kind_module(kind).decode(data, options) for data in raw]
    numbers = np.array([-100 if at % 4 == 3 else CLASSES.index(label) for at, label in enumerate(labels)])
    asked = {"label": Head(read_target("label", {}), 2)}
    body = Pretrain(**{"objective": objective, "epochs": EPOCHS, "batch": 2, "width": 8, "dropout": 0.3, **knobs})
    watched = None if objective == "supervised" else np.arange(13) >= 9
    module = SimpleNamespace(**vars(network_module(kind)))
    module.Encoder = lambda *words: network_module(kind).Encoder(*words).to(torch.get_default_dtype())
    return encoders.fit(module, options, arrays, {"label": numbers}, asked, body, 0, "it", "cpu", watched, ranks=ranks)


def fitted(ranks: Ranks, case, **knobs):
    """A fusion's or an encoder's network, and its losses by epoch."""
    if isinstance(case, str):
        done = head(ranks, case, **knobs)
        return done.network, [value for row in done.card.curve for value in row.values()]
    done = encoder(ranks, *case, **knobs)
    return done.network, done.curve


def of_one(do):
    """What a process answers that is alone."""

    def one():
        torch.set_num_threads(1)
        return do(ALONE)

    return alone(one)


def gradients(ranks: Ranks) -> dict[str, list[list[np.ndarray]]]:
    """Of every step of the first epoch, and what a network has counted meanwhile; in float64: sums in another order agree."""
    torch.set_default_dtype(torch.double)
    made, of = encoders._rows, heads.Rows.of

    def doubled(tensors):
        return {key: v.double() if v.is_floating_point() else v for key, v in tensors.items()}

    def rows(*words):
        found = of(*words)
        return replace(found, tokens=doubled(found.tokens), time=doubled(found.time))

    encoders._rows = lambda *words: replace(found := made(*words), inputs=doubled(found.inputs))
    torch.optim.AdamW, heads.Rows.of = Recorder, rows
    found = {}
    for case in SOME if ranks.count > 2 else CASES:
        Recorder.kept = found[case] = []
        network = fitted(ranks, case, epochs=1)[0]
        Recorder.kept.append([buffer.numpy() for buffer in network.buffers()])
    return found


@pytest.fixture(scope="module")
def stepped(planted):
    return {1: [of_one(gradients)], 2: team(2, gradients), 3: team(3, gradients)}


@pytest.mark.parametrize(("case", "count"), [*((case, 2) for case in CASES), *((case, 3) for case in SOME)], ids=str)
def test_every_gradient_is_that_of_one_process(stepped, case, count):
    one = stepped[1][0][case]
    assert len(one) >= 4  # three steps, and what was counted
    for found in stepped[count]:
        for step, wanted in zip(found[case], one, strict=True):
            for a, b in zip(step, wanted, strict=True):
                assert np.linalg.norm(a - b) <= 1e-9 * np.linalg.norm(b)


def curves(ranks: Ranks):
    """Losses by epoch and the weights that come out, in float32 as always."""
    found = {}
    for case in ("attention", "mean", *ENCODERS):
        network, losses = fitted(ranks, case)
        found[case] = losses, [value.numpy() for value in network.state_dict().values()]
    return found


@pytest.mark.usefixtures("planted")
def test_losses_on_what_is_fitted_and_judged_are_those_of_one_process():
    one, (first, second) = of_one(curves), team(2, curves)
    for case, (wanted, weights) in one.items():
        np.testing.assert_allclose(first[case][0], wanted, atol=1e-4)
        assert any((a != b).any() for a, b in zip(first[case][1], weights, strict=True))  # they did share the work
        assert second[case][0] == first[case][0]
        assert all((a == b).all() for a, b in zip(second[case][1], first[case][1], strict=True))


def cut_off_once(ranks: Ranks):
    """The weights of a training that was undisturbed, and of one that was cut off; only rank 0 has its folder."""
    Path(str(ranks.number)).mkdir()
    os.chdir(str(ranks.number))
    for name in ("data", "params.yaml"):
        Path(name).symlink_to(Path("..", name).resolve())
    whole = head(ranks, "attention")
    if ranks.first:
        CHECKPOINTS.mkdir(parents=True)
    save = Checkpoint.save

    def cut(self, facts, kept):
        save(self, facts, kept)
        if facts["epoch"] == 2:
            raise KeyboardInterrupt

    Checkpoint.save = cut
    with contextlib.suppress(KeyboardInterrupt):
        head(ranks, "attention")
    Checkpoint.save = save
    resumed = head(ranks, "attention")
    assert ranks.first == CHECKPOINTS.exists()
    return [{key: v.numpy() for key, v in done.network.state_dict().items()} for done in (whole, resumed)]


@pytest.mark.usefixtures("planted")
def test_a_training_that_was_cut_off_ends_in_the_same_weights_on_every_machine(capfd):
    for whole, resumed in team(2, cut_off_once):
        for key, value in whole.items():
            np.testing.assert_array_equal(resumed[key], value)
    assert capfd.readouterr().out.count(f"attention: resumes at epoch 3 of {EPOCHS}") == 1
