"""Erase samples: `make erase SAMPLES="id …"` shows what would go, `… YES=1` does it.

A sample is taken out of the state that the next night starts from, and every object that holds it is deleted from DVC's
remote and this machine's cache: raw partitions, profiles, features, manifests, predictions, scores; then names of the
memo, pages, logs and MLflow's artifacts, and what killed pushes left half-done, whatever it holds. Weights stay. A version
that held it is marked: it cannot be made again. Killed anywhere, it is finished by running it again: raw partitions, by which
everything else is found, go last.

    find      whether an object tells of a sample
    stores    DVC's cache and remote
    history   what the commits of central name
    plan      what goes
    rewrite   the state of `nightly` without the samples
    marks     tags of versions that cannot be made again
    pages     pages, logs, MLflow
    predictions   what versions said of them
"""

from collections.abc import Sequence
from contextlib import chdir
from dataclasses import replace
from pathlib import Path
from typing import Any

from tasks.erase.find import fingerprint
from tasks.erase.marks import mark
from tasks.erase.pages import drop_artifacts
from tasks.erase.plan import Plan, make
from tasks.erase.predictions import drop as drop_predictions
from tasks.erase.rewrite import rewrite
from tasks.erase.stores import Stores
from tasks.errors import NoData, WrongValue
from tasks.gc import uploads
from tasks.gc.tries import halves
from tasks.run.atwork import require_none
from tasks.run.git import resolve
from tasks.run.settings import Settings
from tasks.run.workspace import workspace


def erase(s: Settings, samples: Sequence[str], reason: str, yes: bool, idle: bool = False) -> Plan:
    """Find what holds the samples and, with `yes`, erase it.

    Args:
        s: where things are.
        samples: ids.
        reason: for the diary and the marks; required with `yes`.
        yes: do it, rather than only look.
        idle: the caller knows that no run is at work.

    Returns:
        What was found.

    Raises:
        NoData: nothing was ever accepted.
        Refused: a run may be at work, or `nightly` moved meanwhile.
        WrongValue: no sample, or no reason.
    """
    from dvc.repo import Repo

    if not samples or any(not sample.strip() for sample in samples):
        raise WrongValue('which samples? make erase SAMPLES="0001 0002"')
    if yes and not reason.strip():
        raise WrongValue('why? make erase … REASON="consent revoked" YES=1 (the diary and the marks keep it)')
    with workspace(s, "HEAD", "erase") as folder, chdir(folder):
        nightly = resolve(folder, "nightly")
        if nightly is None:
            raise NoData("no night was closed yet, so nothing was accepted: take the samples out of the landing zone")
        if yes and not idle:
            require_none(folder)
        _check_out(folder, nightly)
        with Repo() as repo:
            plan = make(s, folder, Stores(repo), samples)
        if yes:
            _do(s, folder, plan, samples, reason)
    return replace(plan, uploads=uploads.clean(s.remote, yes, older_s=0))


def _check_out(folder: Path, commit: str) -> None:
    from tasks.run.git import git

    git("checkout", "--quiet", "--detach", commit, cwd=folder)


def _do(s: Settings, folder: Path, plan: Plan, samples: Sequence[str], reason: str) -> None:
    """Every step may be done again; whatever comes first is found by what goes last."""
    from dvc.repo import Repo

    gone = {*plan.raw, *plan.derived}
    rewrite(s, folder, samples, gone, reason)
    mark(folder, s.central, plan.versions, [fingerprint(sample) for sample in samples], reason)
    for page in plan.pages:
        page.unlink(missing_ok=True)
    drop_artifacts(s, plan.artifacts)
    with Repo() as repo:
        stores: Any = Stores(repo)
        drop_predictions(stores.shelf, plan.predictions, samples)
        stores.drop_memo(plan.memo)
        for oids in (plan.derived, plan.raw):
            for store in ("cache", "remote"):
                stores.drop(store, oids)
    for half in halves([s.cache, Path(s.remote)], older_s=0):  # of killed pushes and pulls: nobody is at work
        half.unlink(missing_ok=True)
