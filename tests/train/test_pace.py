"""A modality that is ahead is held back, each can be given a loss of its own: by hand, and where one starves another."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from scipy.special import expit, softmax
from scipy.stats import norm
from torch.nn.functional import cross_entropy

from tasks.files import folder_digest
from tasks.paths import CANDIDATES, CHECKPOINTS
from tasks.targets import read_target
from tasks.train.__main__ import train
from tasks.train.fusions import FUSIONS
from tasks.train.network import Network
from tasks.train.pace import Pace, held_back, slowed, sureness
from tests.deaths import cut_off_after
from tests.planted import plant
from tests.train.unequal import unequal

NAMES = ("audio", "image", "text")
TARGETS = {"kind": read_target("kind", {}), "signs": read_target("signs", {"type": "multilabel"})}
TARGETS |= {"size": read_target("size", {"type": "regression", "weight": 2})}
SIZES = {"kind": 3, "signs": 2, "size": 1}


def test_how_sure_of_the_truth_is_its_probability_and_of_a_value_its_density():
    rng = np.random.default_rng(0)
    raw, truth = rng.normal(size=(6, 3)), np.array([0, 1, 2, 2, 1, 0])
    found = sureness(torch.tensor(raw), torch.tensor(truth), TARGETS["kind"])
    np.testing.assert_allclose(found, softmax(raw, 1)[np.arange(6), truth])
    signs = rng.integers(0, 2, (6, 3))
    found = sureness(torch.tensor(raw), torch.tensor(signs), TARGETS["signs"])
    np.testing.assert_allclose(found, np.abs(1 - signs - expit(raw)).mean(1))
    values = rng.normal(size=6)
    found = sureness(torch.tensor(raw[:, :1]), torch.tensor(values), TARGETS["size"])
    np.testing.assert_allclose(found, norm.pdf(values - raw[:, 0]) / norm.pdf(0))


def test_only_what_is_ahead_of_the_others_is_held_back_and_the_missing_have_no_say():
    held = held_back({"audio": (6.0, 10.0), "image": (1.0, 5.0), "text": (4.0, 10.0)}, 0.5)
    assert held == {"audio": pytest.approx(np.tanh(0.5 * 0.6 / 0.3)), "image": 0, "text": 0}
    assert held_back({"audio": (6.0, 10.0), "image": (0.0, 0.0)}, 0.5) == {"audio": 0, "image": 0}


def network(fusion="mean", names=NAMES):
    made = Network(fusion, dict.fromkeys(names, 5), SIZES, width=8, heads=2, dropout=0.0)
    made.initialise(0)
    return made


def batch(filler=0.0):
    """Six samples; the third has no audio, the fourth nothing but text, and some labels are empty."""
    generator = torch.Generator().manual_seed(3)
    mask = {m: torch.ones(6, 2, dtype=torch.bool) for m in NAMES}
    mask["audio"][2:4], mask["image"][3], mask["text"][0, 1] = False, False, False
    tokens = {m: torch.randn(6, 2, 5, generator=generator) for m in NAMES}
    tokens = {m: torch.where(mask[m].unsqueeze(-1), tokens[m], filler) for m in NAMES}
    labels = {
        "kind": torch.tensor([0, 1, 2, -100, 1, 0]),
        "signs": torch.tensor([[0, 1], [1, 1], [-100, -100], [0, 0], [1, 0], [0, 1]]),
        "size": torch.tensor([0.1, float("nan"), -1.0, 0.5, 2.0, 0.0]),
    }
    return tokens, mask, labels


def criterion(raw, labels):
    return cross_entropy(raw["kind"], labels["kind"], ignore_index=-100, reduction="sum")


def measured(pace, made, filler=0.0, order=1, loss=criterion):
    tokens, mask, labels = (dict(list(part.items())[::order]) for part in batch(filler))
    time = {m: torch.zeros(x.shape) for m, x in mask.items()}
    return pace.measure(lambda shown: made(tokens, shown, time), loss, mask, labels)


@pytest.mark.parametrize("fusion", sorted(FUSIONS))
def test_what_is_missing_changes_nothing_nor_does_the_order(fusion):
    pace, found = Pace(TARGETS, 0.5, {"audio": 0.5, "text": 1.0}), []
    for filler, order in ((0.0, 1), (float("nan"), 1), (0.0, -1)):
        made = network(fusion, NAMES[::order])
        extra, held = measured(pace, made, filler, order)
        extra.backward()
        found.append([extra.detach(), held, {n: p.grad for n, p in made.named_parameters() if p.grad is not None}])
    assert torch.isfinite(found[0][0])
    assert sum(held > 0 for held in found[0][1].values()) in {1, 2}
    torch.testing.assert_close(found[1], found[0], rtol=0, atol=0)
    torch.testing.assert_close(found[2], found[0], rtol=0, atol=0)


def test_a_modalitys_own_loss_is_that_of_the_samples_that_have_it_with_the_others_hidden():
    made = network()
    extra, held = measured(Pace(TARGETS, 0.0, {"audio": 0.5}), made)
    tokens, _, labels = batch()
    one = network(names=("audio",))
    one.load_state_dict({k: v for k, v in made.state_dict().items() if k in one.state_dict()})
    rows = [0, 1, 4, 5]  # with audio and a label
    shown = torch.ones(4, 2, dtype=torch.bool)
    raw = one({"audio": tokens["audio"][rows]}, {"audio": shown}, {"audio": torch.zeros(4, 2)})["kind"]
    torch.testing.assert_close(extra, 0.5 * cross_entropy(raw, labels["kind"][rows], reduction="sum"))
    assert held == {}


def test_nothing_is_looked_at_where_it_is_off_or_there_is_one_modality():
    def never(_):
        raise AssertionError

    _, mask, labels = batch()
    for pace, shown in (
        (Pace(TARGETS, 0.0, {"audio": 0.0}), mask),
        (Pace(TARGETS, 0.5, {"audio": 1}), {"audio": mask["audio"]}),
    ):
        extra, held = pace.measure(never, criterion, shown, labels)
        assert extra == 0
        assert not any(held.values())


def test_with_plain_descent_it_is_the_gradient_that_is_multiplied_and_noise_as_wide_is_added():
    found = {}
    for held in ({}, {"audio": 0.75, "image": 0.0}):
        made = network("concat")
        before = {n: p.detach().clone() for n, p in made.named_parameters()}
        tokens, mask, _ = batch()
        made(tokens, mask, {m: torch.zeros(x.shape) for m, x in mask.items()})["kind"].square().sum().backward()
        with slowed(made, held, torch.Generator().manual_seed(5)):
            torch.optim.SGD(made.parameters(), lr=0.1).step()
        found[len(held)] = {n: p.detach() - before[n] for n, p in made.named_parameters()}
    generator = torch.Generator().manual_seed(5)
    for name, whole in found[0].items():
        noise = torch.randn(whole.shape, generator=generator) * whole.std(correction=0) if "of_audio" in name else 0
        torch.testing.assert_close(found[2][name], whole * 0.25 + noise if "of_audio" in name else whole)
    assert found[0]["fusion.maps.of_audio.weight"].any()


@pytest.fixture
def night(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def planted(names=NAMES, **knobs):
        plant(modalities=names, numbers=True, epochs=6)
        params = yaml.safe_load(Path("params.yaml").read_text())
        params["train"] |= {"slowing": 0.5, "alone": {"text": 0.5}} | knobs
        Path("params.yaml").write_text(yaml.safe_dump(params))

    return planted


def test_a_fit_is_the_same_bytes_in_any_order_of_modalities_and_others_with_other_knobs(night):
    digests = []
    for names, knobs in ((NAMES, {}), (NAMES[::-1], {}), (NAMES, {"slowing": 0.0}), (NAMES, {"alone": {}})):
        night(names, **knobs)
        train("mean")
        digests.append(folder_digest(CANDIDATES / "mean"))
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_a_training_that_was_cut_off_ends_in_the_same_bytes_and_its_checkpoint_is_of_these_knobs(night, capsys):
    night()
    train("mean")
    wanted = folder_digest(CANDIDATES / "mean")
    shutil.rmtree(CANDIDATES)
    CHECKPOINTS.mkdir(parents=True)
    with cut_off_after(3):
        train("mean")
    night(slowing=0.25)
    train("mean")
    assert "is of another training; starts afresh" in capsys.readouterr().out
    shutil.rmtree(CHECKPOINTS)
    CHECKPOINTS.mkdir()
    night()
    with cut_off_after(3):
        train("mean")
    train("mean")
    assert "resumes at epoch 4 of 6" in capsys.readouterr().out
    assert folder_digest(CANDIDATES / "mean") == wanted


def test_what_starves_is_learned():
    assert unequal({"slowing": 0.5}, seed=0) > unequal({}, seed=0) + 0.02
