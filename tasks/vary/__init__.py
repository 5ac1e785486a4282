"""One table of what a params.yaml key does to the score, everything that it touches refitted: `python -m tasks.vary`.

`split.fold 0 1 2 3 4` is k-fold cross-validation, `split.train_share 0.125 0.25 0.5 1` a learning curve. In a throw-away clone
of central, DVC runs the pipeline as far as `evaluate` once per value. What the value does not touch comes from what the
commit locked, and what was made for a value before from DVC's run-cache on this machine. Nothing is pushed.

    vary         the values, one after another
    table        a line per value, as text and as CSV
    pooled       all folds' predictions together
    picture      the score against the value
"""

import shutil
from collections.abc import Callable, Sequence
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tasks import params as parameters
from tasks.errors import NoData, Refused, TasksError, WrongValue
from tasks.index import read_index
from tasks.params import Params
from tasks.paths import INDEX
from tasks.reproduce import pull_sources, run_pipeline
from tasks.reproduce.pipeline import clock
from tasks.run import graph, intact, pins
from tasks.run.git import git, resolve
from tasks.run.open import inherit, override
from tasks.run.settings import Settings
from tasks.run.workspace import workspace
from tasks.vary.pooled import is_whole, pooled
from tasks.vary.table import Row, read_row

LAST = "evaluate"  # the stage up to which the pipeline runs
LAND = "put a batch into the landing folder and `make run` (README: your own data)"


@dataclass(frozen=True)
class Asked:
    """What is to be varied.

    Attributes:
        param: a key of params.yaml, e.g. `split.fold`.
        values: as they are written there.
        commit: a branch, tag or commit of central; empty: `nightly`.
        overrides: what holds for every value, e.g. `train.epochs=20`.
    """

    param: str
    values: tuple[str, ...]
    commit: str = ""
    overrides: tuple[str, ...] = ()


def vary(s: Settings, asked: Asked, say: Callable[[str], None]) -> list[Row]:
    """Run the pipeline once per value.

    Args:
        s: where central, the DVC remote and the cache are.
        asked: what is to be varied.
        say: told a line per value, when it is done.

    Raises:
        NoData: nothing has landed, or the DVC remote lacks raw data.
        TasksError: a name or a value is wrong, and nothing was run; or a stage failed.
    """
    if Path(s.central).is_absolute() and not Path(s.central).exists():  # a URL is no such path
        raise NoData(f"no night has run here, there is no {s.central}: {LAND}")
    with workspace(s, "HEAD", "vary") as work:
        state = _check_out(work, asked.commit)
        wanted = _checked(s, work, asked, state)
        pull_sources(work)
        rows = [_row(work, asked, value, params, say) for value, params in wanted.items()]
    if not is_whole(asked.param, list(wanted.values())):
        return rows
    if together := pooled(rows, next(iter(wanted.values()))):
        return [*rows, together]
    say("no pooled line: some samples' split is given as test, so that several folds judge them")
    return rows


def _check_out(work: Path, name: str) -> str:
    """Put the commit into the workspace, with what had landed by `nightly` when it holds nothing itself, as a commit.

    Returns:
        The commit whose data it is.
    """
    nightly = resolve(work, "nightly")
    commit = resolve(work, name or "nightly") or (None if name else resolve(work, "HEAD"))
    if commit is None:
        raise WrongValue(f"--commit {name!r} is no branch, tag or commit of central: `git log nightly`, `gto history`")
    state = commit
    git("checkout", "--quiet", "--detach", commit, cwd=work)
    if nightly and not _landed(work):
        state = nightly
        inherit(work, nightly)
    if not _landed(work):
        raise NoData(f"no batch of samples has landed in {name or 'central'}: {LAND}")
    git("add", "--all", cwd=work)
    git("commit", "--quiet", "--allow-empty", "--message", "vary", cwd=work)
    return state


def _landed(work: Path) -> bool:
    try:
        return any(batch.of_samples for batch in read_index(work / INDEX))
    except NoData:
        return False


def _checked(s: Settings, work: Path, asked: Asked, state: str) -> dict[str, Params]:
    """What params.yaml says with each value; the workspace is left as it was."""
    found: dict[str, Params] = {}
    for value in asked.values:
        override(work, [*asked.overrides, f"{asked.param}={value}"])
        found[value] = parameters.load(work / "params.yaml")
        _check_start(s, work, state, found[value])
        git("checkout", "--quiet", "--", "params.yaml", cwd=work)
    if asked.param.partition(".")[0] not in (heeded := _heeded(work)):
        raise Refused(
            f"{asked.param} changes nothing up to {LAST}: only what stands in {', '.join(sorted(heeded))} of params.yaml does"
        )
    same = [value for place, value in enumerate(found) if found[value] in list(found.values())[:place]]
    if same or len(found) < len(asked.values):
        raise WrongValue(f"{asked.param}: the same value twice: {', '.join(same or asked.values)}")
    return found


def _check_start(s: Settings, work: Path, state: str, params: Params) -> None:
    """Encoders that begin from a version's must not have seen what is judged here.

    Raises:
        Refused: they may have, or another version is named than the one that is pinned.
    """
    name = params.pretrain.start
    if not name:
        return
    if name != pins.started(work, state):
        raise Refused(f"pretrain.start: {name} is not what encoders began from in {state[:10]}: let a run pin it first")
    pins.start(s, work, params, anew=False)


def _heeded(work: Path) -> set[str]:
    """The sections of params.yaml on which stages up to the last one depend."""
    entries: dict[str, Any] = yaml.safe_load((work / "dvc.yaml").read_text())["stages"]
    waits = {stage.name: stage.upstream for stage in graph.stages(work)}
    names = {name.partition("@")[0] for name in graph.with_upstream(waits, LAST)}
    bodies = [entries[name].get("do", entries[name]) for name in names]
    made_of = [str(entries[name].get("foreach", "")) for name in names]  # `${train.finetune}`
    keys = [param for body in bodies for param in body.get("params", ())] + [key[2:-1] for key in made_of if key[:1] == "$"]
    return {key.partition(".")[0] for key in keys}


def _row(work: Path, asked: Asked, value: str, params: Params, say: Callable[[str], None]) -> Row:
    """Start from the commit again, with one value."""
    git("reset", "--quiet", "--hard", cwd=work)
    if params != parameters.load(work / "params.yaml"):  # else DVC would take another spelling for a change
        override(work, [*asked.overrides, f"{asked.param}={value}"])
    stages = graph.stages(work)
    _bring(work, stages)
    try:
        done = run_pipeline(work, [LAST], shown=False)
    except TasksError as error:
        raise TasksError(f"{asked.param} = {value}: {error}") from error
    row = read_row(work, value, params)
    for out in (out for stage in stages for out in stage.outs):
        _drop(work / out)
    ran = f"{done['stages']} stages ran, {clock(done['seconds'])}"
    say(f"{asked.param} = {value}: {row.selected} {row.score.value:.3f} ({ran})")
    for reason in row.unmet:
        say(f"  a night would stop here: {reason}")
    return row


def _drop(out: Path) -> None:
    if out.is_dir():
        shutil.rmtree(out)
    else:
        out.unlink(missing_ok=True)


def _bring(work: Path, stages: Sequence[graph.Stage]) -> None:
    """Bring the outs of the stages that are as the commit locked them."""
    from dvc.repo import Repo

    waits = {stage.name: stage.upstream for stage in stages}
    outs = {stage.name: stage.outs for stage in stages}
    needed = graph.with_upstream(waits, LAST)
    with chdir(work), Repo() as repo:
        with repo.lock:
            mine = [stage for stage in repo.index.stages if getattr(stage, "name", "") in needed]
            changed = {stage.name for stage in mine if stage.changed(allow_missing=True)}
        kept = [name for name in sorted(needed) if not graph.with_upstream(waits, name) & changed]
        try:
            intact.bring(repo, [out for name in kept for out in outs[name]])
        except NoData as error:  # an old commit's may be gone: `make gc`
            print(f"{error}: made again", flush=True)
