"""A small checkout and the home in which each of its nights starts, so that nights are independent."""

import csv
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from tasks.embedded import airflow, environment
from tasks.embedded.deploy import deploy
from tasks.embedded.group import Group
from tasks.run.git import git
from tasks.run.settings import Settings

ROOT = Path(__file__).resolve().parent.parent.parent
SAMPLES = 500  # of the first night of the default sample
# Small, but all of it: every stage has work to do.
PARAMS: Mapping[str, object] = {
    "modalities": {"image": {"kind": "image"}, "text": {"kind": "text"}},
    "fusions": ["concat", "mean"],
    "pretrain": {"epochs": 2},
    "train": {"epochs": 3, "finetune": []},
    "evaluate": {"bootstrap": 200, "examples": 2},
    "robustness": {"samples": 20},
}
# Time-outs that fit nights of two minutes; those of the embedded mode fit real ones.
HURRY = {
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    "SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "12",
    "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "5",
    "SCHEDULER__TASK_QUEUED_TIMEOUT": "30",
    "SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "10",
}


@dataclass(frozen=True)
class House:
    """Where nights happen: always the same paths, made anew for each."""

    folder: Path
    port: int

    @property
    def checkout(self) -> Path:
        """The code that runs, its parameters made small, and the batch that has landed."""
        return self.folder / "checkout"

    @property
    def settings(self) -> Settings:
        """The night's own home."""
        home = self.folder / "home"
        return Settings(home, str(home / "central.git"), str(home / "remote"), home / "cache", f"sqlite:///{home}/mlflow.db")

    def environment(self, **changed: str) -> dict[str, str]:
        """What Airflow's processes see."""
        found = environment.environment(self.settings, self.checkout, self.port)
        return {**found, "NIGHTLOOM_MLFLOW": self.settings.mlflow, **{f"AIRFLOW__{k}": v for k, v in changed.items()}}

    def fresh(self) -> None:
        """Put the home back to where it was before the first night."""
        shutil.rmtree(self.settings.home, ignore_errors=True)
        shutil.copytree(self.folder / "before", self.settings.home, symlinks=True)

    def lock(self) -> str:
        """What the night came to: dvc.lock of `nightly`; empty when no run was closed."""
        central = Path(self.settings.central)
        closed = git("for-each-ref", "refs/heads/nightly", cwd=central)
        return git("show", "nightly:dvc.lock", cwd=central) if closed else ""

    def versions(self) -> list[str]:
        """The registered versions."""
        return git("tag", "--list", "fused-model@*", cwd=Path(self.settings.central)).split()


def build(folder: Path, port: int) -> House:
    """Make the checkout of this repository's HEAD, land a batch, and prepare a home; or take what is there."""
    house = House(folder, port)
    if (folder / "before").is_dir():
        return house
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    git("clone", "--quiet", str(ROOT), str(house.checkout))
    params = yaml.safe_load((house.checkout / "params.yaml").read_text())
    (house.checkout / "params.yaml").write_text(yaml.safe_dump({**params, **PARAMS}, sort_keys=False))
    git("commit", "--quiet", "--all", "--message", "Small nights", cwd=house.checkout)
    _land(house.checkout / "data/0_landing")
    s = house.settings
    deploy(house.checkout, s)
    with Group(house.environment(), cwd=s.home / "deployed") as group:
        airflow.migrate(group, s)
    # The batch is no news to the landing zone's watcher: no run but the one that a night triggers.
    seen = "import pathlib; from tasks.run.watch import unseen; print(unseen(pathlib.Path.cwd()))"
    subprocess.run([sys.executable, "-c", seen], env=house.environment(), cwd=s.home / "deployed", check=True)
    s.home.rename(folder / "before")
    return house


def _land(landing: Path) -> None:
    recipe = [sys.executable, "-m", "data.recipes.digits.generate", "--night", "1", "--to", landing]
    subprocess.run(recipe, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    table = landing / "night-1" / "metadata.csv"
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))[:SAMPLES]
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, [name for name in rows[0] if name != "audio_file_name"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(row for row in rows if row["image_file_name"] or row["text"])
