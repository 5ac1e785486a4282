"""Make a version again from raw data and code alone, and compare: `make reproduce VERSION=v1.4.0`.

In a clean clone of central at the version's tag, with an empty cache and so no run-cache, DVC pulls only what no stage
makes, and `dvc repro` runs the tag's pipeline with the tag's code. Same bytes in dvc.lock = the same bytes in every out.

    reproduce    the task
    pipeline     `dvc repro`, shown as it goes, in a child that dies with its asker
    compare      which out differs, and what was counted
    attest       the outcome, as a tag beside the version's
"""

import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

from tasks.erase.marks import SAID, marks
from tasks.errors import EnvironmentDiffers, NoData, Refused, TasksError
from tasks.promote import registry
from tasks.promote.claim import pull
from tasks.promote.registry import MODEL
from tasks.reproduce.compare import Work, differences, recorded, work_differences
from tasks.run import graph, lock
from tasks.run.child import Child
from tasks.run.git import git
from tasks.run.settings import Settings
from tasks.run.workspace import claimed, workspace
from tasks.stage import differences as package_differences

FROM_NOTHING = ("--force", "--no-run-cache")


@dataclass(frozen=True)
class Outcome:
    """What came of it.

    Attributes:
        differing: a text per difference between the two dvc.lock files, in the order of the pipeline.
        work: what each stage counted now.
        recorded: what each stage counted when the version was made; empty when its commit does not say.
        stages: how many ran.
        seconds: how long they took.
    """

    differing: tuple[str, ...]
    work: Work
    recorded: Work
    stages: int
    seconds: float

    @property
    def work_differing(self) -> tuple[str, ...]:
        """A text per stage that did other work than recorded."""
        return tuple(work_differences(self.recorded, self.work)) if self.recorded else ()

    def as_json(self) -> dict[str, Any]:
        """What is told to others: `differing`, `work_differing`, `stages`, `seconds`, and the `platform` it was made on."""
        return {
            "differing": list(self.differing),
            "work_differing": list(self.work_differing),
            "stages": self.stages,
            "seconds": round(self.seconds, 1),
            "platform": platform_facts(),
        }


def reproduce(s: Settings, version: str) -> Outcome:
    """Build a version's pipeline from nothing and compare.

    Args:
        s: where central and the DVC remote are.
        version: e.g. `v1.4.0`.

    Raises:
        UnknownName: there is no such version.
        Refused: samples that it was made of were erased.
        EnvironmentDiffers: the version was made with other packages than those installed here.
        NoData: the DVC remote lacks what no stage makes.
        TasksError: a stage failed.
    """
    tag = registry.find(s.central, version)
    return remake(s, tag.commit, tag.name)


def remake(s: Settings, commit: str, name: str) -> Outcome:
    """Build the pipeline of a closed commit from nothing, without memo, run-cache or DVC cache, and compare.

    Args:
        s: where central and the DVC remote are.
        commit: what closed a run.
        name: what it is called, for people.

    Raises:
        EnvironmentDiffers, NoData, TasksError: as `reproduce` does.
    """
    _check_whole(s, commit, name)
    with empty_cache(s) as cache, workspace(s, commit, "reproduce", cache) as work:
        check_packages(s, name, work)
        wanted, wanted_bytes = lock.read(work), (work / lock.LOCK).read_bytes()
        order = [stage.name for stage in graph.stages(work)]
        print(f"{name} is {commit[:12]}: {len(order)} stages, from nothing", flush=True)
        pull_sources(work)
        (work / lock.LOCK).unlink()  # what is wanted is not there to be copied
        done = run_pipeline(work)
        got = lock.read(work)
        lock.write(work, got, order)  # DVC writes entries as stages end; the order in the file is that of dvc.yaml
        found = list(differences(wanted, got, order))
        if not found and (work / lock.LOCK).read_bytes() != wanted_bytes:
            found = ["dvc.lock: the same hashes in other bytes: was the version's dvc.lock edited by hand?"]
        note = git("log", "-1", "--format=%B", commit, cwd=work)
    return Outcome(tuple(found), done["work"], recorded(note), done["stages"], done["seconds"])


def _check_whole(s: Settings, commit: str, name: str) -> None:
    if any(mark.commit == commit for mark in marks(s.central)):
        raise Refused(f"{name} is {SAID}; the model itself is kept")


def platform_facts() -> str:
    """What the bytes may depend on beside code, data and packages."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
    processor = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown processor")
    python = platform.python_version()
    return f"{platform.system()} {platform.machine()}, {processor}, Python {python}, torch {installed('torch')}"


@contextmanager
def empty_cache(s: Settings) -> Iterator[Path]:
    """A DVC cache of its own, thrown away afterwards."""
    parent = s.home / "work"
    parent.mkdir(parents=True, exist_ok=True)
    with claimed(parent, "cache-") as folder:
        yield folder


def check_packages(s: Settings, name: str, work: Path) -> None:
    """Compare the installed packages with the requirements.lock of what is made again.

    Raises:
        EnvironmentDiffers: they differ; the message says how to get an environment that does not.
    """
    wrong = list(package_differences((work / "requirements.lock").read_text().splitlines()))
    if wrong:
        more = f"; and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        folder = f"../{name.replace('@', '-')}"
        raise EnvironmentDiffers(
            f"{name} was made with other packages than those installed here ({'; '.join(wrong[:3])}{more})."
            f" Give it an environment of its own: `git fetch {s.central} tag {name}`,"
            f" `git worktree add {folder} {name}`, then in {folder} `make install` and"
            f" `NIGHTLOOM_HOME={s.home} make reproduce VERSION={name.removeprefix(f'{MODEL}@')}`"
        )


def pull_sources(work: Path) -> None:
    """Bring what no stage makes: the content of the .dvc files in git.

    Raises:
        NoData: the DVC remote lacks some of it.
    """
    tracked = [Path(name) for name in git("ls-files", "*.dvc", cwd=work).splitlines()]
    if not tracked:
        raise NoData("the version has no .dvc file in git: there is no raw data to start from")
    print(f"pulling {', '.join(str(path.with_suffix('')) for path in tracked)}", flush=True)
    pull(work, *tracked)


def run_pipeline(work: Path, words: Sequence[str] = FROM_NOTHING, shown: bool = True) -> dict[str, Any]:
    """Run `dvc repro` in a child that dies with this process; return what it answers (see `tasks.reproduce.pipeline`).

    Args:
        work: the workspace.
        words: what `dvc repro` is asked.
        shown: print what stages say as they go; otherwise only when one fails, the last lines.

    Raises:
        TasksError: a stage failed.
    """
    child = Child("tasks.reproduce.pipeline", {"folder": str(work), "words": list(words), "shown": shown})
    try:
        ended = child.wait()
    finally:
        child.kill()
    if ended.code != 0:
        raise TasksError(f"{ended.last}; the lines above say why")
    return dict(ended.answer)
