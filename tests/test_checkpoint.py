"""A training that is cut off goes on after its last whole epoch and ends in the same bytes; a bad checkpoint is no help."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from torch import nn

from tasks.checkpoint import Checkpoint, Training, digest
from tasks.files import folder_digest
from tasks.paths import CANDIDATES, CHECKPOINTS, ENCODERS
from tasks.pretrain.__main__ import pretrain
from tasks.train.__main__ import train
from tests.deaths import cut_off_after
from tests.extract.raw import rows, write_params, write_raw
from tests.planted import plant

ROOT = Path(__file__).resolve().parent.parent
CASES = {
    "text": ("pretrain", "thing", ENCODERS / "thing"),
    "timeseries": ("pretrain", "thing", ENCODERS / "thing"),
    "attention": ("train", "attention", CANDIDATES / "attention"),
    "product": ("train", "product", CANDIDATES / "product"),
    "plain": ("train", "plain", CANDIDATES / "plain"),
}


def prepared(case: str) -> None:
    """A small project in the working directory whose training has enough epochs to be cut off in."""
    if CASES[case][0] == "pretrain":
        write_params(case, epochs=40)
        write_raw(rows(case, 60))
    else:
        plant(epochs=30)
        params = yaml.safe_load(Path("params.yaml").read_text())
        params["train"]["patience"] = 12
        Path("params.yaml").write_text(yaml.safe_dump(params))


def run(stage: str, argument: str, times: int, seed: int = 0) -> str:
    command = [sys.executable, "-m", "tests.cut_off", stage, argument, str(times), str(seed)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment, timeout=300).stdout


@pytest.mark.parametrize("case", CASES)
def test_a_training_killed_again_and_again_ends_in_the_same_bytes(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    stage, argument, out = CASES[case]
    prepared(case)
    undisturbed = run(stage, argument, times=0)
    wanted = folder_digest(out)
    shutil.rmtree(out)

    CHECKPOINTS.mkdir(parents=True)
    printed = run(stage, argument, times=5, seed=sorted(CASES).index(case))

    assert folder_digest(out) == wanted
    assert int(re.search(r"cut off (\d) times", printed)[1]) >= 3
    assert len(re.findall(r"resumes at epoch \d+ of \d+", printed)) >= 3
    work = re.compile(r"^work .*", re.M)
    assert work.findall(printed)[-1] == work.findall(undisturbed)[-1]


@pytest.fixture
def cut(tmp_path, monkeypatch, capsys):
    """A training of `mean` that was cut off once: the digest that it must end in, and its checkpoint."""
    monkeypatch.chdir(tmp_path)
    plant(epochs=6)
    train("mean")
    wanted = folder_digest(CANDIDATES / "mean")
    shutil.rmtree(CANDIDATES)
    CHECKPOINTS.mkdir(parents=True)
    with cut_off_after(3):
        train("mean")
    capsys.readouterr()
    return wanted, CHECKPOINTS / "mean.safetensors"


def test_what_is_whole_is_taken_up(cut, capsys):
    wanted, _ = cut
    train("mean")
    assert folder_digest(CANDIDATES / "mean") == wanted
    assert "mean: resumes at epoch 4 of 6\n" in capsys.readouterr().out


DAMAGE = {
    "empty": lambda content: b"",
    "short": lambda content: content[:5],
    "cut": lambda content: content[: len(content) // 2],
    "noise": lambda content: b"\xff" * len(content),
    "flipped": lambda content: content[:-900] + bytes([content[-900] ^ 1]) + content[-899:],
    "other numbers": lambda content: content.replace(b'\\\\\\"epoch\\\\\\": 3', b'\\\\\\"epoch\\\\\\": 4'),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_damaged_is_told_and_training_starts_afresh(cut, damage, capsys):
    wanted, path = cut
    whole = path.read_bytes()
    path.write_bytes(DAMAGE[damage](whole))
    assert path.read_bytes() != whole
    train("mean")
    assert folder_digest(CANDIDATES / "mean") == wanted
    printed = capsys.readouterr().out
    assert f"mean: the checkpoint {path} is damaged" in printed
    assert "; starts afresh\n" in printed
    assert "resumes" not in printed


@pytest.mark.parametrize("change", [{"width": 8}, {"learning_rate": 0.003}, {"batch": 32}, {"precision": "bf16"}])
def test_another_trainings_checkpoint_is_told_and_left_alone(cut, change, capsys):
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["train"] |= change
    Path("params.yaml").write_text(yaml.safe_dump(params))
    train("mean")
    assert "is of another training; starts afresh" in capsys.readouterr().out
    found = folder_digest(CANDIDATES / "mean")
    shutil.rmtree(CHECKPOINTS)
    train("mean")
    assert folder_digest(CANDIDATES / "mean") == found


def test_other_data_of_the_same_shape_is_another_training(cut, capsys):
    plant(epochs=6, seed=1)
    Path("params.yaml").write_text(Path("params.yaml").read_text().replace("seed: 1", "seed: 0"))
    train("mean")
    assert "is of another training; starts afresh" in capsys.readouterr().out


def test_another_candidates_checkpoint_is_not_taken(cut, capsys):
    _, path = cut
    path.rename(path.with_name("alone-audio.safetensors"))
    train("plain")
    assert "alone-audio: the checkpoint" in capsys.readouterr().out


def test_candidates_that_were_done_are_not_fitted_again(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    plant(epochs=4)
    CHECKPOINTS.mkdir(parents=True)
    train("plain")
    wanted = folder_digest(CANDIDATES / "plain")
    (CHECKPOINTS / "alone-text.safetensors").unlink()
    taken = []
    stepped = torch.optim.AdamW.step
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda self, *a: taken.append(1) or stepped(self, *a))
    train("plain")
    assert folder_digest(CANDIDATES / "plain") == wanted
    card = json.loads((CANDIDATES / "plain/alone-text/candidate.json").read_text())
    assert len(taken) == card["steps"]


def test_without_the_folder_nothing_is_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_params("text", epochs=1)
    write_raw(rows("text", 40))
    pretrain("thing")
    assert not Path(".memo").exists()


def test_all_that_moves_is_restored(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    CHECKPOINTS.mkdir(parents=True)

    def training() -> Training:
        model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 1))
        optimiser = torch.optim.AdamW(model.parameters(), lr=0.01)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.01, total_steps=20)
        return Training(model, optimiser, torch.Generator().manual_seed(3), schedule)

    def step(one: Training) -> None:
        loss = one.model(torch.rand(8, 3, generator=one.order)).square().mean()
        one.optimiser.zero_grad()
        loss.backward()
        one.optimiser.step()
        one.schedule.step()

    torch.manual_seed(0)
    first = training()
    for _ in range(4):
        step(first)
    Checkpoint("x", first, lambda: "same").save({"epoch": 1, "best": 0.1 + 0.2}, {"w": torch.tensor([1.5])})
    for _ in range(4):
        step(first)

    torch.manual_seed(99)
    second = training()
    facts, kept = Checkpoint("x", second, lambda: "same").resume(2)
    assert facts == {"epoch": 1, "best": 0.1 + 0.2}
    assert kept["w"].tolist() == [1.5]
    for _ in range(4):
        step(second)
    for name, tensor in first.model.state_dict().items():
        assert torch.equal(tensor, second.model.state_dict()[name]), name
    assert first.schedule.get_last_lr() == second.schedule.get_last_lr()


def test_a_digest_tells_names_shapes_types_and_values_apart():
    zeros = torch.zeros(4)
    found = {
        digest(*parts)
        for parts in (
            [zeros],
            [zeros.view(2, 2)],
            [zeros.int()],
            [zeros, zeros],
            [{"a": zeros}],
            [{"b": zeros}],
            [torch.ones(4)],
            [[0, 0]],
            ["x"],
        )
    }
    assert len(found) == 9
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
