"""Nights without a scheduler: what Airflow's tasks ask their children for, one after another, on machines of one's own."""

import os
import re
import resource
import time
from collections.abc import Mapping, Sequence
from contextlib import chdir
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tasks.embedded.deploy import deploy
from tasks.run import graph
from tasks.run.child import Child
from tasks.run.git import git
from tasks.run.settings import Settings

ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass
class Night:
    """What a night came to: by stage, what the runner answered, and what was counted."""

    opened: dict[str, Any]
    fragments: dict[str, dict[str, Any]] = field(default_factory=dict)
    work: dict[str, Mapping[str, int]] = field(default_factory=dict)
    cpu_s: dict[str, float] = field(default_factory=dict)
    closed: dict[str, Any] = field(default_factory=dict)
    brought: dict[str, int] = field(default_factory=dict)  # raw bytes that the machine had not held before

    def ran(self) -> list[str]:
        """Stages that anything had changed for."""
        return [name for name, fragment in self.fragments.items() if fragment["ran"]]

    def locked(self) -> dict[str, Any]:
        """The stages' entries of dvc.lock."""
        return {name: fragment["lock"] for name, fragment in self.fragments.items()}

    def in_stage_s(self, stages: Sequence[str]) -> float:
        """Seconds of wall time inside these stages."""
        return sum(self.fragments[name]["spent_s"]["repro"] for name in stages)


@dataclass(frozen=True)
class World:
    """What machines share, git and DVC's remote, and the checkout whose commits are run."""

    place: Path
    remote: str

    @property
    def checkout(self) -> Path:
        """A clone of this repository."""
        return self.place / "clone"

    @property
    def landing(self) -> Path:
        """Where batches land."""
        return self.place / "landing"

    def make(self, changes: Mapping[str, Any]) -> None:
        """Clone this repository, change params.yaml, and make central of it."""
        git("clone", "--quiet", str(ROOT), str(self.checkout))
        params = yaml.safe_load((self.checkout / "params.yaml").read_text()) | dict(changes)
        self.commit("params.yaml", yaml.safe_dump(params))

    def commit(self, path: str, content: str) -> None:
        """Change a file of the checkout, commit it, and bring it to central."""
        (self.checkout / path).write_text(content)
        git("commit", "--quiet", "--all", f"--message=change {path}", cwd=self.checkout)
        deploy(self.checkout, Settings(self.place, str(self.place / "central.git"), self.remote, self.place, ""))

    def machine(self, name: str) -> "Machine":
        """A machine with a home and a cache of its own, both empty."""
        return Machine(self, self.place / "machines" / name)


@dataclass(frozen=True)
class Machine:
    """A worker that shares nothing but what the world shares."""

    world: World
    home: Path

    def ask(self, verb: str, **body: Any) -> tuple[Any, Mapping[str, int]]:
        """Have a child do what a task asks for: its answer, and what its stages counted."""
        settings = {
            "HOME": self.home,
            "CENTRAL": self.world.place / "central.git",
            "REMOTE": self.world.remote,
            "LANDING": self.world.landing,
        }
        environment = {**os.environ, **{f"NIGHTLOOM_{name}": str(value) for name, value in settings.items()}}
        with chdir(self.world.checkout):
            ended = Child("tasks.run", {"verb": verb, **body}, environment).wait()
        if ended.code != 0:
            raise SystemExit(f"{verb} {body.get('stage', '')} ended with exit code {ended.code}: {ended.last}")
        return ended.answer, ended.work

    def open(self, run: str) -> dict[str, Any]:
        """Open a run on what landed."""
        deployed = {stage.name: list(stage.upstream) for stage in graph.stages(self.world.checkout)}
        answer, _ = self.ask("open", run=run, form={}, deployed=deployed)
        return dict(answer)

    def stages(self, opened: dict[str, Any], only: str = "", raw: Mapping[str, int] | None = None) -> Night:
        """Run the stages of an opened run one after another; `only` those whose name fits, with what they wait for.

        `raw` are the run's raw partitions (md5 -> bytes): with them it is counted which stage brought how much of these.
        """
        rendered = {stage.name: stage.upstream for stage in graph.stages(self.world.checkout)}
        wanted = graph.with_upstream(rendered, *(name for name in rendered if re.match(only, name)))
        night = Night(opened)
        for name in _in_order(rendered, wanted):
            known = {up: night.fragments[up] for up in rendered[name]}
            began, before = time.monotonic(), children_cpu_s()
            answer, work = self.ask("stage", run=opened["run"], opened=opened, stage=name, fragments=known)
            night.fragments[name], night.work[name] = {**answer, "work": dict(work)}, work
            night.cpu_s[name] = round(children_cpu_s() - before, 2)
            night.brought[name] = self.cached(raw or {}) - sum(night.brought.values())
            ran = "ran" if answer["ran"] else "unchanged"
            print(f"  {name:<20} {ran:<10} {time.monotonic() - began:7.1f} s  {dict(work)}", flush=True)
        return night

    def close(self, night: Night) -> None:
        """Close a run, and promote its model when the verdict says so."""
        body = {"run": night.opened["run"], "opened": night.opened, "admit": None, "measure": None, "failures": {}}
        night.closed, _ = self.ask("close", **body, fragments=night.fragments)
        if night.closed["verdict"]["verdict"] == "promote":
            self.ask("promote", run=night.opened["run"], closed=night.closed)

    def cached(self, md5s: Mapping[str, int]) -> int:
        """Bytes of these objects (md5 -> bytes) that this machine's cache holds."""
        cache = self.home / "cache" / "files" / "md5"
        return sum(size for md5, size in md5s.items() if (cache / md5[:2] / md5[2:]).is_file())


def children_cpu_s() -> float:
    """CPU seconds of the processes that this one waited for, and of those that they waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _in_order(rendered: Mapping[str, Sequence[str]], wanted: set[str]) -> list[str]:
    done: list[str] = []
    while left := [name for name in rendered if name in wanted and name not in done]:
        done.append(next(name for name in left if set(rendered[name]) <= set(done)))
    return done
