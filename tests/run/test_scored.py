"""The DAG `score`'s work on a project with a registry, a remote and a landing zone of each kind: once per batch and version."""

import shutil
from contextlib import chdir
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import yaml

from tasks import params as parameters
from tasks.errors import NoData, UnknownName
from tasks.files import read_json, write_json
from tasks.index import read_index
from tasks.ingest.erased import ERASED, Erased, write_erased
from tasks.profile.__main__ import profile
from tasks.run.git import git
from tasks.run.landed import bring_in
from tasks.run.scored import score
from tasks.run.settings import Settings
from tasks.tables import answer_columns, write_parquet
from tests.run.conftest import create
from tests.score import small

STAGES = """
stages:
  profile:
    foreach: ${modalities}
    do:
      cmd: "true"
      outs: ["data/2_profiles/${key}"]
  validate: {cmd: "true", outs: [data/3_manifest]}
  select: {cmd: "true", outs: [data/5_models/bundle]}
  evaluate: {cmd: "true", outs: [data/6_reports/evaluate]}
"""
OUTS = ("2_profiles/meter", "2_profiles/note", "2_profiles/person", "2_profiles/photo", "3_manifest", "5_models/bundle")
TEST = 40  # of the training samples, the last ones


class House:
    """A project whose first version reigns."""

    def __init__(self, folder: Path) -> None:
        made = create(folder)
        self.runs = 0
        self.checkout, self.zone = made.checkout, folder / "to_score"
        self.s: Settings = replace(made.settings, score_landing=str(self.zone))
        self.zone.mkdir()
        self.predictions = folder / "home/remote/predictions"
        raw = {"modalities": small.MODALITIES, "targets": small.TARGETS, "evaluate": {"bootstrap": 200}}
        raw |= {"ingest": {"landing": str(folder / "home/landing")}, "gate": {"margin": 0.05}}
        (self.checkout / "params.yaml").write_text(yaml.safe_dump(raw))
        (self.checkout / "dvc.yaml").write_text(STAGES)
        ignored = self.checkout / ".gitignore"
        ignored.write_text(f"{ignored.read_text()}/data/5_models\n/data/.*\n")
        self.samples = {f"t{name[1:]}": body for name, body in small.drawn(120, seed=1).items()}
        labels = [("cat", "dog", "elk")[n % 3] for n in range(120)]
        small.land(folder / "home/landing/night-1", self.samples, label=labels, size="50", signs="|")
        self.bundle = small.bundle(self.checkout / "data/5_models/bundle")
        shutil.rmtree(self.checkout / "data/5_models/data")  # what it was drawn from
        (self.checkout / "data/5_models/candidate").rename(folder / "candidate")
        with chdir(self.checkout):
            self.bring()
            for name in small.MODALITIES:
                profile(name)
            self._judge(list(self.samples))
        self.version("v1.0.0", 1)

    def bring(self) -> None:
        """Ingest what has landed to train on, in the checkout."""
        bring_in(self.s, self.checkout, parameters.load(self.checkout / "params.yaml"), ())

    def _judge(self, ids: list[str]) -> None:
        """Manifest and test predictions, as the stages leave them."""
        (batch,) = read_index()
        group = [f"g{n // 2}" for n in range(len(ids))]
        split = ["train"] * (len(ids) - TEST) + ["test"] * TEST
        columns = {"sample_id": ids, "batch": [batch.key] * len(ids), "group": group, "split": split}
        write_parquet(Path("data/3_manifest/samples.parquet"), pa.table({**columns, "unlabelled": [False] * len(ids)}))
        said = self.own({name: self.samples[name] for name in ids[-TEST:]})
        answers = {"sample_id": ids[-TEST:], "group": group[-TEST:]}
        for target, values in said.items():
            answers |= answer_columns(target, values)
        write_parquet(Path("data/6_reports/evaluate/predictions.parquet"), pa.table(answers))
        interval = {"value": 0.9, "low": 0.85, "high": 0.95}
        scores = {"target": "label", "metric": "accuracy", "selected": "concat"}
        write_json(Path("data/6_reports/evaluate/scores.json"), {**scores, "candidates": {"concat": {"accuracy": interval}}})

    def own(self, samples: dict[str, small.Raw]) -> dict[str, np.ndarray]:
        """What the bundle says by itself."""
        return self.bundle.predict_raw({m: [body.get(m) for body in samples.values()] for m in self.bundle.modalities})

    def commit(self) -> None:
        """Let `nightly` and `main` hold what lies in the checkout."""
        git("add", "--all", cwd=self.checkout)
        git("commit", "--quiet", "--allow-empty", "-m", "night", cwd=self.checkout)
        git("push", "--quiet", self.s.central, "HEAD:refs/heads/main", "HEAD:refs/heads/nightly", cwd=self.checkout)

    def version(self, name: str, number: int) -> None:
        """Register what lies in the checkout as a version that reigns."""
        from dvc.repo import Repo

        with chdir(self.checkout), Repo() as repo:
            for stage in repo.index.stages:
                repo.commit(stage.addressing, force=True) if hasattr(stage, "name") else None
            repo.push(targets=[f"data/{out}" for out in (*OUTS, "6_reports/evaluate")])
        self.commit()
        for tag in (f"fused-model@{name}", f"fused-model#champion#{number}"):
            git("tag", "-a", "-m", tag, tag, cwd=self.checkout)
            git("push", "--quiet", self.s.central, f"refs/tags/{tag}", cwd=self.checkout)

    def score(self, version: str = "", run: str = "") -> dict[str, Any]:
        self.runs += 1
        return score(self.s, run or f"run-{self.runs}", version, self.checkout)

    def table(self, version: str) -> pd.DataFrame:
        return pd.read_parquet(self.predictions / version)

    def events(self, name: str, *rows: str) -> None:
        """Land events, and close a night that accepts them."""
        folder = self.checkout.parent / "home/landing" / name
        folder.mkdir()
        (folder / "events.csv").write_text("\n".join(["sample_id,event,value", *rows]) + "\n")
        with chdir(self.checkout):
            self.bring()
        self.commit()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("user")))
        return House(tmp_path_factory.mktemp("house"))


@pytest.fixture(autouse=True)
def quiet_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))


SAMPLES = {**small.drawn(60), "t003": small.drawn(1, seed=9)["s000"]}


def test_a_batch_is_predicted_once(house: House) -> None:
    assert house.score() == {"nothing": f"no batch has landed in {house.zone}"}
    small.land(house.zone / "batch-1", SAMPLES)
    (house.zone / "half").mkdir()
    told = house.score()
    (facts,) = told["batches"]
    assert (told["version"], told["problems"], told["live"]) == ("v1.0.0", [], None)
    assert told["waiting"] == ["half has no metadata.csv yet: it is written last"]
    assert told["place"] == str(house.predictions)
    assert (facts["scored"], facts["quarantined"], facts["key"][:8]) == (61, 0, "batch-1-")
    assert [one["column"] for one in facts["drift"] if one["drifted"]] == []
    table = house.table("v1.0.0")
    best = house.own(SAMPLES)["label"].argmax(axis=1)
    assert list(table["label"]) == [("cat", "dog", "elk")[n] for n in best]
    assert list(table.loc[table["seen"], "sample_id"]) == ["t003"]  # it is one of the training samples
    before = sorted(house.predictions.rglob("*"))
    assert "reasons" not in facts
    again = house.score(run=f"run-{house.runs}")  # its second try: what the first one found is told all the same
    assert (again["batches"], again["problems"]) == (told["batches"], [])
    assert house.score()["batches"] == []
    assert sorted(house.predictions.rglob("*")) == before
    assert not [path for path in before if path.name.startswith(".")]


def test_a_copy_is_told_and_a_batch_that_changed_is_another(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(house.zone / "batch-1", house.zone / "copy")
    assert house.score()["batches"] == []
    assert "copy holds what batch-1 holds: remove it" in capsys.readouterr().out
    assert house.score()["batches"] == []
    assert "copy holds" not in capsys.readouterr().out  # its files are not read again
    small.land(house.zone / "copy", dict(list(SAMPLES.items())[:5]))
    assert [facts["scored"] for facts in house.score()["batches"]] == [5]
    assert len(house.table("v1.0.0")) == 66


def test_late_labels_become_a_live_score(house: House) -> None:
    labels = {name: ("cat", "dog", "elk")[n % 3] for n, name in enumerate(SAMPLES)}
    house.events("late", *(f"{name},label,{cell}" for name, cell in labels.items()), "nobody,label,cat", "s000,size,40")
    told = house.score()
    table = house.table("v1.0.0").drop_duplicates("sample_id")
    ours = table[~table["seen"].astype(bool)]
    point = told["live"]["targets"]["label"]["all"]
    assert (point["samples"], point["groups"]) == (60, 30)
    assert point["value"] == pytest.approx(
        np.mean([labels[name] == cell for name, cell in ours[["sample_id", "label"]].to_numpy()])
    )
    assert told["live"]["targets"]["size"]["all"]["value"] is not None
    assert told["live"]["promised"] == {"value": 0.9, "low": 0.85, "high": 0.95}
    assert "late labels; when it was promoted, 0.850 at least was measured" in told["live"]["fallen"]  # it was only drawn
    assert told["retrain"] is False
    assert read_json(house.predictions / "live/v1.0.0.json") == told["live"]
    picture = (house.predictions / "live/v1.0.0.png").stat()
    assert told["fell"] == told["live"]["fallen"]
    again = house.score(run=f"run-{house.runs}")
    assert (again["live"], again["fell"]) == (told["live"], told["fell"])
    again = house.score()
    assert (again["live"], again["fell"]) == (told["live"], "")  # a fall is news once
    assert (house.predictions / "live/v1.0.0.png").stat().st_mtime_ns == picture.st_mtime_ns  # nothing new is not drawn again


def test_a_refused_batch_is_named_and_the_others_go_on(house: House) -> None:
    samples = {name: {**body, "meter": b"1,2\n3,4"} for name, body in SAMPLES.items()}
    small.land(house.zone / "batch-2", samples)
    small.land(house.zone / "batch-3", dict(list(SAMPLES.items())[10:13]))
    told = house.score()
    assert [facts["batch"] for facts in told["batches"]] == ["batch-3"]
    (problem,) = told["problems"]
    assert problem.startswith("batch batch-2: ")
    assert "none of 61 meter can be read" in problem
    shutil.rmtree(house.zone / "batch-2")


def test_the_withdrawn_and_the_erased_are_passed_over(house: House) -> None:
    write_erased(house.checkout / ERASED, Erased().plus(["s021"]))
    house.events("consent", "s020,withdrawn,consent revoked")
    small.land(house.zone / "batch-4", {name: SAMPLES[name] for name in ("s020", "s021", "s022")})
    (facts,) = house.score()["batches"]
    assert (facts["scored"], facts["quarantined"], facts["withdrawn"]) == (1, 1, 1)
    left_out = pd.read_parquet(house.predictions / "quarantine/v1.0.0" / f"{facts['key']}.parquet")
    assert list(left_out["sample_id"]) == [""]


def test_another_version_predicts_all_of_it_again(house: House) -> None:
    for name in ("copy", "batch-3", "batch-4"):
        shutil.rmtree(house.zone / name)
    (house.checkout / "data/5_models/bundle/bundle.json").touch()
    house.version("v1.0.1", 2)
    told = house.score()
    assert (told["version"], [facts["batch"] for facts in told["batches"]]) == ("v1.0.1", ["batch-1"])
    assert set(house.table("v1.0.1")["version"]) == {"v1.0.1"}
    assert told["live"]["targets"]["label"]["all"]["samples"] == 58  # without the withdrawn and the erased
    assert house.score("v1.0.0")["batches"] == []
    assert house.score("fused-model@v1.0.0")["version"] == "v1.0.0"
    with pytest.raises(UnknownName, match=r"unknown version 'v9.0.0'; known: v1.0.0, v1.0.1"):
        house.score("v9.0.0")


def test_without_its_training_data_a_version_predicts_and_no_drift_is_told(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    small.land(house.zone / "batch-5", dict(list(SAMPLES.items())[:30]))
    lock = yaml.safe_load((house.checkout / "dvc.lock").read_text())
    md5 = lock["stages"]["validate"]["outs"][0]["md5"]
    for store in (Path(house.s.remote), house.s.cache):
        (store / "files/md5" / md5[:2] / md5[2:]).unlink()
    (facts,) = house.score()["batches"]
    assert facts["drift"] is None
    assert facts["scored"] == 28
    assert (
        "nothing to compare batches with, so no drift is told: the DVC remote lacks data/3_manifest" in capsys.readouterr().out
    )
    ours = house.table("v1.0.1")
    assert ours.loc[ours["batch"] == "batch-5", "seen"].isna().all()


def test_a_zone_that_is_not_there_is_told(house: House) -> None:
    gone = replace(house.s, score_landing=str(house.zone / "nowhere"))
    with pytest.raises(NoData, match="nowhere is not here"):
        score(gone, "run", "", house.checkout)


def test_before_the_first_promotion_there_is_nothing_to_do(tmp_path: Path) -> None:
    made = create(tmp_path)
    assert score(made.settings, "run", "", made.checkout) == {
        "nothing": "there is no champion yet: a night has to promote one first"
    }
