"""The run's commit: what landed, the code, the parameters and the pins, under a ref that is created once."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import chdir
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

from tasks import params as parameters
from tasks.errors import Refused, TasksError, WrongValue
from tasks.promote import registry
from tasks.run import graph, pins, reference
from tasks.run.git import create_ref, git, resolve
from tasks.run.landed import News, bring_in
from tasks.run.settings import Settings
from tasks.run.workspace import workspace

NIGHTLY = "refs/heads/nightly"
# What a run inherits from the last closed one; everything else comes from the revision.
STATE = (
    "data/1_raw.json",
    "data/1_raw.dvc",
    "data/reference.json",
    "data/batches.json",
    "data/erased.json",
    "data/registry.json",
    "data/champion.dvc",
    "data/anchor.dvc",
    "data/start.dvc",
    "data/champion_manifest.dvc",
    "data/anchor_manifest.dvc",
    "dvc.lock",
)
CODE = ("tasks", "dvc.yaml", "params.yaml", "requirements.lock")


@dataclass(frozen=True)
class Form:
    """What a person may say when triggering; the defaults are a nightly run."""

    revision: str = "main"
    overrides: Sequence[str] = ()  # `train.epochs=20`
    release: Sequence[str] = ()  # names of rejected batches to bring in after all
    move_reference: bool = False
    shadow: bool = False  # fit encoders on the newest batches: to replace the champion they must be better
    dry_run: bool = False


def run_ref(run: str) -> str:
    """The ref of a run: Airflow's run id in characters that git and folders take; two ids never share one."""
    safe = re.sub(r"[^A-Za-z0-9_-]", "-", run)[:100]
    return f"refs/heads/runs/{safe if safe == run else f'{safe}-{hashlib.sha256(run.encode()).hexdigest()[:8]}'}"


def open_run(s: Settings, run: str, form: Form, deployed: Mapping[str, list[str]]) -> dict[str, Any]:
    """Open a run, or return the one that was opened under this id before.

    Args:
        s: where central, remote and landing are.
        run: Airflow's run id.
        form: what the trigger form says.
        deployed: the graph that Airflow shows, stage -> stages it waits for.

    Returns:
        `run`, `commit`, `stages` (names), `batches` (new ones), `problems` (batches that were refused, why), `dry_run`,
        `shadow`, `reference` (where it moved and why, or ""), `partitions` (per modality how many are to be computed); or
        `nothing`: why there is nothing to do.

    Raises:
        TasksError: an unknown revision, override or batch; a graph that was not deployed; only unusable batches landed.
    """
    with workspace(s, "HEAD", "open") as folder, chdir(folder):
        opened = resolve(folder, run_ref(run).removeprefix("refs/heads/"))
        if opened:
            return _answer(folder, opened)
        last = resolve(folder, "nightly")
        revision = _check_out(folder, form.revision, last, s.revisions)
        override(folder, [*form.overrides, *([reference.BETTER] if form.shadow else [])])
        params = parameters.load(folder / "params.yaml")
        cut = bool(last) and reference.stands(s, folder, str(last))
        if form.shadow and (idle := _no_shadow(s, folder, last, cut)):
            return {"nothing": idle}
        news = News() if form.shadow else bring_in(s, folder, params, form.release)
        moved = reference.move(folder, params, news.batches, form.move_reference, form.shadow)
        if form.shadow and not moved:
            return {"nothing": "the encoders are fitted on the newest batches already"}
        if last and not form.move_reference and _as_before(s, folder, last):
            return _nothing(news.problems, news.waiting)
        pins.write(s, folder)
        reference.check_start(params)
        pins.start(s, folder, params, anew=bool(moved) or pins.started(folder, last) != params.pretrain.start)
        pins.pin_nothing(folder)
        stages = graph.stages(folder)
        if not stages:
            raise Refused(f"revision {form.revision!r} has no stage in dvc.yaml")
        graph.check_same_graph(deployed, stages)
        graph.check_params(folder)
        _require_batches(folder, news)
        note = {
            "run": run,
            "stages": [stage.name for stage in stages],
            "batches": news.batches,
            "problems": news.problems,
            "dry_run": form.dry_run,
            "shadow": form.shadow,
            "reference": moved,
        }
        commit = _commit(folder, run, note, [*([last] if last else []), revision])
        if not create_ref(folder, s.central, commit, run_ref(run)):  # the same task, delivered twice
            git("fetch", "--quiet", "origin", cwd=folder)
            commit = str(resolve(folder, run_ref(run).removeprefix("refs/heads/")))
        return _answer(folder, commit)


def _check_out(folder: Path, name: str, last: str | None, allowed: Sequence[str]) -> str:
    """Put the revision's code and the last closed run's state into the workspace."""
    revision = resolve(folder, name)
    if revision is None:
        known = git("for-each-ref", "--format=%(refname:lstrip=3)", "refs/remotes/origin", cwd=folder).split()
        known = [branch for branch in known if not branch.startswith("runs/") and branch != "HEAD"]
        raise WrongValue(f"revision {name!r} is no branch, tag or commit of central; branches: {', '.join(known)}")
    _check_allowed(folder, name, revision, allowed)
    git("checkout", "--quiet", "--detach", revision, cwd=folder)
    if last:
        inherit(folder, last)
    return revision


def inherit(folder: Path, last: str) -> None:
    """Put the state of a closed run into a checkout: what landed, the reference, the pins, what was locked."""
    present = set(git("ls-tree", "-r", "--name-only", last, cwd=folder).splitlines())
    if state := [path for path in STATE if path in present]:
        git("checkout", "--quiet", last, "--", *state, cwd=folder)


def _check_allowed(folder: Path, name: str, revision: str, allowed: Sequence[str]) -> None:
    """Hold a commit against the branches and tags whose history may be run: its code will run on every worker.

    Raises:
        Refused: it is in the history of none of them.
    """
    places = ("refs/remotes/origin", "refs/tags")
    listed = git("for-each-ref", f"--contains={revision}", "--format=%(refname)", *places, cwd=folder).splitlines()
    names = [ref.removeprefix("refs/remotes/origin/").removeprefix("refs/tags/") for ref in listed]
    if not any(fnmatchcase(ref, glob) for ref in names for glob in allowed):
        raise Refused(
            f"revision {name!r} ({revision[:10]}) may not be run here: only what is in the history of {', '.join(allowed)}"
            " may (NIGHTLOOM_REVISIONS). Merge it there first"
        )


def override(folder: Path, overrides: Sequence[str]) -> None:
    """Write checked overrides such as `train.epochs=20` into params.yaml of a checkout, comments kept.

    Raises:
        TasksError: one has no such form, or no such name, or a value that it may not have.
    """
    from dvc.utils.serialize import modify_yaml

    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise WrongValue(f"override {text!r} must look like train.epochs=20")
        *path, last = key.strip().split(".")
        with modify_yaml(str(folder / "params.yaml")) as content:
            place = content
            for word in path:
                place = place.setdefault(word, {})
                if not isinstance(place, dict):
                    raise WrongValue(f"override {text!r}: {word} is a value, not a group of keys")
            place[last] = _parse(text, value)
        parameters.load(folder / "params.yaml")  # says which override is wrong


def _parse(text: str, value: str) -> Any:
    try:
        return yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise WrongValue(f"override {text!r}: the value is not YAML") from error


def _require_batches(folder: Path, news: News) -> None:
    """A first night needs a batch; when none could be used, what landed instead is named."""
    index = json.loads((folder / "data/1_raw.json").read_text())["batches"]
    if any("samples" in batch["partitions"] for batch in index):
        return
    if index:
        raise Refused("only events have landed yet: the first night needs a batch of samples (a folder with a metadata.csv)")
    if found := [*news.problems, *news.waiting]:
        raise Refused(f"nothing usable landed: {'; '.join(found)}")
    raise Refused("no batch has landed yet: put one into the landing folder (README: your own data)")


def _no_shadow(s: Settings, folder: Path, last: str | None, cut: bool) -> str:
    """Why a shadow run has nothing to do, or "": never after one that was cut off before it could reign."""
    if last is None or registry.champion(s.central) is None:
        return "there is no champion yet that a shadow could beat"
    if not cut and not reference.nights(folder, last):
        return "the reference was judged by the last run, and no night came since"
    return ""


def _as_before(s: Settings, folder: Path, last: str) -> bool:
    """Whether this run would be the last one again, and that one left nothing undone."""
    if _tree(folder) != git("rev-parse", f"{last}^{{tree}}", cwd=folder):
        return False
    judged = git("log", "--first-parent", "-1", "--invert-grep", f"--grep=^{reference.LOST}", "--format=%s", last, cwd=folder)
    if judged.startswith("erase:"):  # what the stages made of the erased samples is gone
        return False
    if not judged.startswith("promote:"):
        return True
    # Cut off between `close` and `promote`? Then judge again: every stage is unchanged, so it costs little.
    bundles = {reign.trailers.get("Bundle") for reign in registry.history(s.central)}
    return pins.bundle_entry(folder, last)["md5"] in bundles


def _tree(folder: Path) -> str:
    git("add", "--all", cwd=folder)
    return git("write-tree", cwd=folder)


def _nothing(problems: Sequence[str], waiting: Sequence[str]) -> dict[str, Any]:
    if problems:
        raise TasksError("nothing usable landed: " + "; ".join(problems))
    return {"nothing": "; ".join(["no batch landed, code and parameters are those of the last run", *waiting])}


def _commit(folder: Path, run: str, note: Mapping[str, Any], parents: Sequence[str]) -> str:
    message = f"Open {run}\n\n{json.dumps(note, sort_keys=True)}\n"
    options = [word for parent in dict.fromkeys(parents) for word in ("-p", parent)]
    return git("commit-tree", _tree(folder), *options, stdin=message, cwd=folder)


def _answer(folder: Path, commit: str) -> dict[str, Any]:
    note = git("log", "-1", "--format=%b", commit, cwd=folder)
    return {"commit": commit, **json.loads(note), "partitions": _to_compute(folder, commit)}


def _to_compute(folder: Path, commit: str) -> dict[str, int]:
    """Per modality how many raw partitions this run will have to compute: the new ones, or all when the code changed."""
    last = git("log", "-1", "--format=%P", commit, cwd=folder).split()[0]
    known = set() if git("diff", "--name-only", last, commit, "--", *CODE, cwd=folder) else _partitions(folder, last)
    counts: dict[str, int] = {}
    for modality, _path in _partitions(folder, commit) - known:
        counts[modality] = counts.get(modality, 0) + 1
    return counts


def _partitions(folder: Path, commit: str) -> set[tuple[str, str]]:
    index = json.loads(git("show", f"{commit}:data/1_raw.json", cwd=folder))
    return {(name, p["path"]) for batch in index["batches"] for name, ps in batch["partitions"].items() for p in ps}
