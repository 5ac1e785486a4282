"""The pins of a run, by content: the reigning bundle, the best-ever one, what taught both, and what new encoders start from."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from tasks.errors import ContractBroken, Refused, UnknownName
from tasks.files import write_json
from tasks.index import Batch
from tasks.params import Params, Split
from tasks.paths import BUNDLE, INDEX, MANIFEST
from tasks.promote import registry
from tasks.run import intact
from tasks.run.git import git
from tasks.run.settings import Settings
from tasks.schema import build

PINS = ("champion", "anchor", "start", "champion_manifest", "anchor_manifest")


def write(s: Settings, folder: Path) -> None:
    """Write data/registry.json, and data/champion.dvc and data/anchor.dvc where there are such, from the registry's tags.

    Beside each its night's manifest, data/champion_manifest.dvc, unless samples that it names were erased.
    """
    from tasks.erase.marks import marks

    erased = {mark.commit for mark in marks(s.central)}
    reigns = {"champion": registry.champion(s.central), "anchor": registry.anchor(s.central)}
    pinned: dict[str, dict[str, Any]] = {name: {"version": None, "batches": []} for name in reigns}
    for name, reign in reigns.items():
        (folder / f"data/{name}_manifest.dvc").unlink(missing_ok=True)
        if reign is not None:
            pinned[name] = {"version": reign.version, "batches": _accepted(folder, reign.commit)}
            _pin(folder, name, bundle_entry(folder, reign.commit))
            if reign.commit not in erased and (manifest := _entry(folder, reign.commit, MANIFEST)):
                _pin(folder, f"{name}_manifest", manifest)
    pinned["champion"]["number"] = reigns["champion"].number if reigns["champion"] else 0
    write_json(folder / "data/registry.json", pinned)


def _accepted(folder: Path, commit: str) -> list[str]:
    """The keys of the batches that had been accepted in a commit: what landed later has chosen no model of then."""
    index = json.loads(git("show", f"{commit}:{INDEX}", cwd=folder))
    return [Batch(entry["name"], entry["digest"], {}).key for entry in index["batches"]]


def start(s: Settings, folder: Path, params: Params, anew: bool) -> None:
    """Write data/start.dvc: the bundle that `pretrain.start` names.

    Args:
        s: where central is.
        folder: the run's workspace.
        params: the run's; `pretrain.start` is the name of a version, or `champion`; empty: none.
        anew: whether encoders are fitted anew; otherwise what was pinned stays, whoever reigns by now.

    Raises:
        UnknownName: no such version, or no champion yet.
        Refused: its train rows are not this run's.
    """
    name = params.pretrain.start
    pin = folder / "data/start.dvc"
    if pin.is_file() and not anew:
        _check_pinned(s, folder, pin, params)
        return
    pin.unlink(missing_ok=True)
    if not name:
        return
    commits = {reign.version: reign.commit for reign in registry.history(s.central)}
    if reigning := registry.champion(s.central):
        commits["champion"] = reigning.commit
    if name not in commits:
        raise UnknownName("version in params.yaml: pretrain.start =", name, commits or {"(none was promoted yet)"})
    _check_split(folder, name, commits[name], params)
    _pin(folder, "start", bundle_entry(folder, commits[name]))


def started(folder: Path, commit: str | None) -> str:
    """What encoders were to start from in a commit: `pretrain.start`."""
    said = yaml.safe_load(git("show", f"{commit}:params.yaml", cwd=folder)) if commit else {}
    return str((said.get("pretrain") or {}).get("start", ""))


def back(folder: Path, before: str, now: str) -> None:
    """Let encoders start from what they did in a commit, unless something else was asked for since."""
    pin = "data/start.dvc"
    if started(folder, before) == started(folder, now) and git("ls-tree", "--name-only", before, "--", pin, cwd=folder):
        git("checkout", "--quiet", before, "--", pin, cwd=folder)


def _check_pinned(s: Settings, folder: Path, pin: Path, params: Params) -> None:
    """Encoders are fitted from it again when `seed` or `split` change, which are params of theirs."""
    from dvc.utils.serialize import parse_yaml

    if params.pretrain.start:
        md5 = parse_yaml(pin.read_text(), str(pin))["outs"][0]["md5"]
        for reign in registry.history(s.central):
            if bundle_entry(folder, reign.commit)["md5"] == md5:
                _check_split(folder, reign.version, reign.commit, params)


def _check_split(folder: Path, name: str, commit: str, params: Params) -> None:
    """Encoders that were fitted under another split may have seen what is test now."""
    from dvc.utils.serialize import parse_yaml

    said = parse_yaml(git("show", f"{commit}:params.yaml", cwd=folder), "params.yaml")
    theirs, ours = (
        replace(split, window_batches=None, window_s=None, train_share=1.0)  # these leave rows out, and move none
        for split in (build(Split, said.get("split") or {}, "split"), params.split)
    )
    if (said.get("seed", 0), theirs) != (params.seed, ours):
        raise Refused(
            f"pretrain.start: {name} was fitted with another seed or split of params.yaml, so its encoders may have seen"
            " samples that are val or test here: keep seed and split as they were, or leave pretrain.start empty"
        )


def bundle_entry(folder: Path, commit: str) -> Mapping[str, Any]:
    """What dvc.lock of a commit says of the bundle: md5, size, nfiles, hash.

    Raises:
        ContractBroken: no run was closed there.
    """
    found = _entry(folder, commit, BUNDLE)
    if found is None:
        raise ContractBroken(f"dvc.lock of {commit} names no {BUNDLE}: no run was closed there")
    return found


def _entry(folder: Path, commit: str, path: Path) -> Mapping[str, Any] | None:
    from dvc.utils.serialize import parse_yaml

    lock = parse_yaml(git("show", f"{commit}:dvc.lock", cwd=folder), "dvc.lock")
    outs = [out for stage in lock["stages"].values() for out in stage.get("outs", ())]
    return next((out for out in outs if out["path"] == str(path)), None)


def _pin(folder: Path, name: str, entry: Mapping[str, Any]) -> None:
    """The same objects under another path: nothing is copied, nothing uploaded."""
    from dvc.utils.serialize import dump_yaml

    dump_yaml(str(folder / "data" / f"{name}.dvc"), {"outs": [{**entry, "path": name}]})


def pin_nothing(folder: Path) -> None:
    """Empty folders for what is not pinned: no champion yet, no manifest of its night any more, or nothing to start from."""
    from dvc.repo import Repo

    lacking = [f"data/{name}" for name in PINS if not (folder / "data" / f"{name}.dvc").is_file()]
    if not lacking:
        return
    for path in lacking:
        (folder / path).mkdir(parents=True)
    with Repo() as repo:
        repo.add(lacking)
        intact.push(repo, lacking)
