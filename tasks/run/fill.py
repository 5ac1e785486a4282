"""One share of a stage's work, on one of several workers: results of raw partitions into the memo.

`extract@mri` itself then finds them there and only puts them together. dvc.yaml and dvc.lock do not know how many there were.
"""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tasks.files import file_digest
from tasks.index import Batch, Partition, read_index, write_index
from tasks.paths import INDEX, RAW
from tasks.run import lock
from tasks.run.child import scrubbed_environment
from tasks.run.failures import Killed, check
from tasks.run.memo import Memo, base_of, made
from tasks.run.settings import Settings
from tasks.run.stage import Ready, ready


def fill(s: Settings, commit: str, name: str, fragments: lock.Fragments, share: int, shares: int) -> dict[str, Any]:
    """Compute every `shares`-th partition of a stage, as far as the memo lacks it.

    Changes this process's working directory meanwhile: call it in a process of its own.

    Args:
        s: where central, remote and cache are.
        commit: the run's commit.
        name: a stage with `meta.each`.
        fragments: what the stages before it locked in this run.
        share: this one, from 0.
        shares: how many there are.

    Returns:
        `computed`: how many partitions.
    """
    with ready(s, commit, name, fragments) as prepared:
        if not prepared.changed():
            return {"computed": 0}
        memo = Memo(prepared.repo, base_of(prepared.stage))
        known = memo.results()
        mine = [p for p in prepared.partitions[share::shares] if p.md5 not in known]
        if mine:
            prepared.pull([str(RAW / p.path) for p in mine])
            _compute(s, prepared, mine)
            _keep(prepared, memo, mine)
        return {"computed": len(mine)}


def _compute(s: Settings, prepared: Ready, mine: Sequence[Partition]) -> None:
    """Run the stage's command on an index that holds these partitions alone."""
    modality, paths = prepared.meta["each"], {p.path for p in mine}
    write_index([_only(batch, modality, paths) for batch in read_index(INDEX)], INDEX)
    environment = scrubbed_environment(s.home / "stages")
    done = subprocess.run(prepared.stage.cmd, shell=True, env=environment, check=False)  # noqa: S602  run as DVC runs it
    check(f"stage {prepared.stage.name}", done.returncode)


def _only(batch: Batch, modality: str, paths: set[str]) -> Batch:
    kept = {name: tuple(p for p in ps if p.path in paths) for name, ps in batch.partitions.items() if name == modality}
    return Batch(batch.name, batch.digest, kept)


def _keep(prepared: Ready, memo: Memo, mine: Sequence[Partition]) -> None:
    """Hand the results to DVC, and then their names to the memo."""
    from dvc_data.hashfile.hash_info import HashInfo

    out = Path(prepared.stage.outs[0].def_path)
    cache, fs = prepared.repo.cache.local, prepared.stage.outs[0].fs
    results = made(out, mine)
    for path in out.iterdir():
        cache.add(str(path.absolute()), fs, file_digest(path, "md5"))
    told = prepared.repo.cloud.push([HashInfo("md5", result.md5) for result in results.values()])
    if told.failed:
        raise Killed(f"{len(told.failed)} results could not be pushed to DVC's remote")
    memo.record(results)
