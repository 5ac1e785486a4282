"""The state of `nightly` without the samples: partitions, index, reference, ledger, who was erased; one commit."""

import json
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.erase.find import fingerprint
from tasks.errors import NoData, Refused
from tasks.files import file_digest, write_json
from tasks.index import Batch, Partition, read_index, write_index
from tasks.ingest.erased import ERASED, read_erased, write_erased
from tasks.paths import INDEX, RAW, REFERENCE
from tasks.promote.announce import one_line
from tasks.run import intact, lock
from tasks.run.git import compare_and_set, git
from tasks.run.landed import LEDGER
from tasks.run.open import NIGHTLY
from tasks.run.settings import Settings

SUBJECT = "erase:"


def rewrite(s: Settings, folder: Path, samples: Collection[str], gone: Collection[str], reason: str) -> str | None:
    """Take samples out of the state of `nightly` and move it.

    Args:
        s: where central is.
        folder: a workspace at `nightly`, the working directory.
        samples: ids.
        gone: md5s of the objects that hold them.
        reason: for the diary.

    Returns:
        The new commit; None when the state names none of it and knows who was erased.

    Raises:
        Refused: `nightly` moved meanwhile.
    """
    before = read_erased(folder / ERASED)
    batches = _batches(folder / INDEX)
    new = _rewritten(batches, samples, gone)
    if not new and all(before.has(sample) for sample in samples):
        return None
    write_erased(folder / ERASED, before.plus(samples))
    if new:
        _keep(folder, batches, new)
    _unlock(folder, gone)
    _unpin(folder, gone)
    old = git("rev-parse", "HEAD", cwd=folder)
    commit = _commit(folder, old, samples, reason)
    if not compare_and_set(folder, s.central, NIGHTLY, old, commit):
        raise Refused("nightly moved meanwhile: run it again")
    return commit


def _batches(path: Path) -> list[Batch]:
    try:
        return read_index(path)
    except NoData:
        return []


def _rewritten(batches: list[Batch], samples: Collection[str], gone: Collection[str]) -> dict[str, Partition]:
    """Write the partitions anew that hold any of the samples: md5 of the old one -> the new one, of the same path."""
    held = [p for batch in batches for parts in batch.partitions.values() for p in parts if p.md5 in gone]
    if held:
        _pull([str(RAW / partition.path) for partition in held])
    found = {}
    for partition in held:
        path = RAW / partition.path
        table = pq.read_table(path)
        rows = table.filter(pc.invert(pc.is_in(table["sample_id"], value_set=_array(samples))))
        path.unlink()  # it may be a link into the cache
        words = [name for name in table.column_names if name != "data"]
        pq.write_table(rows, path, compression="zstd", use_dictionary=words)
        found[partition.md5] = Partition(partition.path, rows.num_rows, file_digest(path, "md5"))
    return found


def _array(samples: Collection[str]) -> object:
    import pyarrow as pa

    return pa.array(sorted(samples), pa.string())


def _pull(paths: list[str]) -> None:
    from dvc.repo import Repo

    with Repo() as repo:
        repo.pull(targets=paths)


def _keep(folder: Path, batches: list[Batch], new: dict[str, Partition]) -> None:
    """Push the new partitions, then name them in the index, the reference and the ledger."""
    from dvc.repo import Repo

    paths = [str(RAW / partition.path) for partition in new.values()]
    with Repo() as repo:
        repo.add(paths)
        intact.push(repo, paths)
    for path in (INDEX, REFERENCE):
        write_index([_renamed(batch, new) for batch in _batches(folder / path)], folder / path)
    ledger = json.loads((folder / LEDGER).read_text())["batches"]
    changed = {b.name: [p for parts in b.partitions.values() for p in parts if p.md5 in new] for b in batches}
    for entry in ledger:
        if changed.get(entry["name"]):
            entry["erased"] = True
    write_json(folder / LEDGER, {"batches": ledger})


def _renamed(batch: Batch, new: dict[str, Partition]) -> Batch:
    """The batch with its new partitions; one without a row is left out, but for the sample table."""
    parts = {name: [new.get(p.md5, p) for p in old] for name, old in batch.partitions.items()}
    return replace(
        batch, partitions={name: tuple(p for p in found if p.rows or name == "samples") for name, found in parts.items()}
    )


def _unlock(folder: Path, gone: Collection[str]) -> None:
    """Take stages out of dvc.lock whose outs will be gone: they run again."""
    from dvc.repo import Repo

    from tasks.erase.stores import Stores
    from tasks.run import graph

    with Repo() as repo:
        stores, order = Stores(repo), graph.names(repo)
        kept = {}
        for name, entry in lock.read(folder).items():
            md5s = {out["md5"] for out in entry.get("outs", ())}
            inner = {file["md5"] for md5 in md5s if md5.endswith(".dir") for file in stores.load(md5)}
            if (md5s | inner).isdisjoint(gone):
                kept[name] = entry
    if (folder / lock.LOCK).is_file():
        (folder / lock.LOCK).unlink()
        lock.write(folder, kept, order)


def _unpin(folder: Path, gone: Collection[str]) -> None:
    """Forget the manifests of reigning models' nights that hold any of it: `open` pins them no more."""
    from dvc.repo import Repo
    from dvc.utils.serialize import parse_yaml

    from tasks.erase.stores import Stores

    with Repo() as repo:
        stores = Stores(repo)
        for pin in sorted((folder / "data").glob("*_manifest.dvc")):
            md5 = parse_yaml(pin.read_text(), str(pin))["outs"][0]["md5"]
            if not {file["md5"] for file in stores.load(md5)}.isdisjoint(gone):
                pin.unlink()


def _commit(folder: Path, parent: str, samples: Collection[str], reason: str) -> str:
    told = git("log", "-1", "--format=%B", parent, cwd=folder).splitlines()
    work = [line for line in told if line.startswith("Work: ")]  # the next `close` reads here what unchanged stages counted
    number = f"{len(samples)} sample{'s' if len(samples) > 1 else ''}"
    lines = [f"{SUBJECT} {number}: {one_line(reason)}", "", *work, *(f"Erased: {fingerprint(one)}" for one in sorted(samples))]
    git("add", "--all", cwd=folder)
    return git("commit-tree", git("write-tree", cwd=folder), "-p", parent, stdin="\n".join(lines) + "\n", cwd=folder)
