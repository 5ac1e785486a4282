"""Objectives without labels: their parts against plain oracles, no leak, and features that show what labels cannot."""

import json
from collections import Counter

import numpy as np
import pytest
import torch

from tasks.errors import ContractBroken
from tasks.extract import image, load_encoder
from tasks.files import folder_digest
from tasks.params import KINDS, Pretrain
from tasks.paths import CHECKPOINTS
from tasks.pretrain.__main__ import pretrain
from tasks.pretrain.fit import PATIENCE
from tasks.pretrain.objectives import OBJECTIVES
from tasks.pretrain.objectives.batch import Head, hidden
from tasks.pretrain.objectives.contrastive import nt_xent
from tasks.pretrain.objectives.masked import PREDICTED, cells, counts
from tasks.pretrain.objectives.supervised import Supervised
from tasks.ranks import ALONE
from tasks.steady import steady
from tasks.tables import UNLABELLED
from tasks.targets import read_target
from tests.deaths import cut_off_after
from tests.extract.raw import rows, write_params
from tests.pretrain.bars import interaction
from tests.pretrain.test_pretrain import FOLDER, fitted

WITHOUT_LABELS = sorted(set(OBJECTIVES) - {"supervised"})


def unlabelled(made: list[dict]) -> list[dict]:
    """The same rows, every fourth without its label."""
    return [{**row, "label": None} if number % 4 == 3 else row for number, row in enumerate(made)]


@pytest.mark.parametrize("objective", WITHOUT_LABELS)
@pytest.mark.parametrize("kind", KINDS)
def test_something_is_learned_from_train_rows_alone_and_not_from_labels(kind, objective):
    write_params(kind, objective=objective)
    made, other = unlabelled(rows(kind)), rows(kind, seed=1)
    before = fitted(made)
    curve = json.loads((FOLDER / "encoder.json").read_text())["curve"]
    assert curve[-1] < curve[0]
    swapped = [{**row, "label": {"high": "low", "low": "high"}.get(row["label"])} for row in made]
    altered = [row if row["split"] == "train" else new for row, new in zip(swapped, other, strict=True)]
    assert fitted(altered) == before
    assert fitted([row for row in made if row["split"] == "train"]) == before
    made[3]["data"] = other[3]["data"]  # a train row without a label
    assert fitted(made) != before


def test_rows_without_a_label_teach_nothing_where_labels_are_what_is_learned():
    write_params("text")
    made = unlabelled(rows("text"))
    before = fitted(made)
    assert fitted([row for row in made if row["label"]]) == before


@pytest.mark.parametrize("objective", WITHOUT_LABELS)
def test_a_loss_that_explodes_ends_the_stage(objective):
    write_params("tabular", objective=objective, learning_rate=10**30)
    with pytest.raises(ContractBroken, match=r"the loss of epoch \d is .*lower pretrain.learning_rate"):
        fitted(rows("tabular"))


def test_too_few_samples_are_refused():
    write_params("text", objective="masked")
    made = rows("text")
    for row in made[1:]:
        row["data"] = None
    with pytest.raises(ContractBroken, match="modality thing: 1 training samples of the reference can be decoded"):
        fitted(made)


def many() -> list[dict]:
    """Enough rows that some are watched."""
    return [{**row, "split": "train"} for row in rows("tabular", 300)]


def test_the_epoch_that_is_best_on_watched_samples_is_kept_and_patience_ends(capsys):
    write_params("tabular", objective="contrastive", epochs=200)
    fitted(many())
    card = json.loads((FOLDER / "encoder.json").read_text())
    assert PATIENCE < len(card["curve"]) < 200
    assert "on watched samples at best" in capsys.readouterr().out


def test_a_training_that_is_cut_off_ends_in_the_same_bytes(capsys):
    write_params("tabular", objective="masked", epochs=6)
    wanted = fitted(many())
    CHECKPOINTS.mkdir(parents=True)
    with cut_off_after(3):
        pretrain("thing")
    pretrain("thing")
    assert "thing: resumes at epoch 4 of 6" in capsys.readouterr().out
    assert folder_digest(FOLDER) == wanted


def test_what_is_hidden_are_blocks_and_as_much_as_was_asked_for():
    whole = {
        "pixels": torch.ones(400, 3, 32, 32),
        "row": torch.ones(400, 20),
        "pieces": torch.full((400, 4, 128), 7),
        "mask": torch.ones(400, 4, dtype=torch.bool),
        "time": torch.ones(400, 4),
    }
    seen = hidden(whole, 0.3, -1, torch.Generator().manual_seed(0))
    for key, nothing in {"pixels": 0, "row": 0, "pieces": -1}.items():
        off = seen[key] == nothing
        assert off.float().mean() == pytest.approx(0.3, abs=0.02)
        assert torch.equal(seen[key][~off], whole[key][~off])
    assert torch.equal(seen["mask"], whole["mask"])
    assert torch.equal(seen["time"], whole["time"])
    assert whole["pixels"].all()  # it works on copies
    blocks = seen["pixels"].unfold(2, 4, 4).unfold(3, 4, 4)  # [b, 3, 8, 8, 4, 4]
    assert torch.equal(blocks.amin((-2, -1)), blocks.amax((-2, -1)))
    assert torch.equal(seen["pixels"][:, 0], seen["pixels"][:, 2])  # colours go together
    assert not torch.equal(seen["row"][0], seen["row"][1])


def test_cells_are_means_and_few():
    values = torch.randn(5, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    np.testing.assert_allclose(cells(values), values.flatten(1))
    large = torch.randn(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    np.testing.assert_allclose(cells(large), large.reshape(2, 32, 2, 32, 2).mean((2, 4)).flatten(1), atol=1e-6)
    assert cells(torch.ones(2, 7, 3, 61, 59)).shape[1] <= PREDICTED
    np.testing.assert_allclose(cells(torch.ones(2, 7, 3, 61, 59)), 1, atol=1e-6)


def test_counts_are_shares_of_what_is_there():
    numbers = torch.tensor([[[1, 3], [3, 0]], [[0, 0], [0, 0]], [[2, 2], [2, 2]]])
    found = Counter({1: 1, 3: 2})
    wanted = [[found[n] / 3 for n in (1, 2, 3)], [0, 0, 0], [0, 1, 0]]
    np.testing.assert_allclose(counts(numbers, 0, 3), wanted, atol=1e-6)


def test_nt_xent_against_its_formula():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(8, 5))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    near = np.exp(vectors @ vectors.T / 0.3)
    pairs = [(i, (i + 4) % 8) for i in range(8)]
    wanted = np.mean([-np.log(near[i, j] / sum(near[i, k] for k in range(8) if k != i)) for i, j in pairs])
    with ALONE.part(8) as part:
        assert nt_xent(torch.from_numpy(vectors), 0.3, part).item() == pytest.approx(wanted)


def test_features_without_labels_show_an_interaction_that_supervised_ones_do_not():
    with steady(1):
        found = {objective: interaction(objective) for objective in OBJECTIVES}
    assert found["supervised"] < 0.7
    assert found["masked"] > 0.75
    assert found["contrastive"] > 0.9


def test_encoders_of_every_objective_load():
    for objective in OBJECTIVES:
        write_params("text", objective=objective)
        fitted(rows("text"))
        assert load_encoder(FOLDER).encode([b"tall tower"]).tokens.any()


@pytest.mark.parametrize("name", ["type", "keys", "train"])
def test_a_target_may_be_called_as_a_module_calls_its_own(name):
    head = Head(read_target(name, {}), 2)
    objective = Supervised(image, {}, {name: head}, Pretrain(width=4))
    seen = {"mask": torch.ones(3, 1, dtype=torch.bool)}
    with ALONE.part(3) as part:
        loss = objective(lambda seen: torch.ones(3, 1, 4), seen, {name: torch.tensor([0, 1, UNLABELLED])}, part)
    assert torch.isfinite(loss)
