"""Which batches the encoders are fitted on: `data/reference.json` of a run, and what moves it.

At first it is the oldest accepted batch of samples, and it stays. It moves to all accepted batches when a person says so, and
by itself when what landed brings a class that encoders of all batches would know and those of today do not: a class, so that
a slip of the pen is none, is what `split.min_groups` groups hold. A *shadow* run moves it to the newest batches: its candidate
has to be better than the champion, surely (`gate.mode: better`), or the reference stays where it was (`close`). What a closed
run says of it, a trailer of its commit, counts the nights until the next one (`shadow.nights`).
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tasks.errors import NoData, Refused
from tasks.index import Batch, partitions, read_index, write_index
from tasks.params import Params
from tasks.paths import INDEX, RAW, REFERENCE
from tasks.promote import registry
from tasks.run import intact, pins
from tasks.run.git import git
from tasks.run.settings import Settings

TRAILER = "Reference"
BETTER = "gate.mode=better"  # what a shadow run overrides
LOST = "shadow: the reference stays"  # the subject of one that was not better
FROM_ALL = "all accepted batches"
SHOWN = 5  # classes named

Classes = Mapping[str, Sequence[str]]  # by target


def stands(s: Settings, folder: Path, last: str) -> bool:
    """Take the reference of before a shadow run that was judged better and yet not promoted: only a champion moves it.

    Returns:
        Whether there was one.
    """
    form = f"--format=%H%x09%s%x09%(trailers:key={TRAILER},valueonly,separator=%x20)"
    found = git("log", "--first-parent", "-1", f"--grep=^{TRAILER}: ", form, last, cwd=folder)
    commit, _, told = found.partition("\t")
    subject, _, reference = told.partition("\t")
    if subject.startswith("promote:") and reference.startswith("shadow"):
        bundles = {reign.trailers.get("Bundle") for reign in registry.history(s.central)}
        if pins.bundle_entry(folder, commit)["md5"] not in bundles:
            names = {batch["name"] for batch in json.loads(git("show", f"{commit}^1:{REFERENCE}", cwd=folder))["batches"]}
            kept = [batch for batch in read_index(folder / INDEX) if batch.name in names]  # as they are now: without the erased
            pins.back(folder, f"{commit}^1", commit)
            write_index(kept, folder / REFERENCE)
            return True
    return False


def check_start(params: Params) -> None:
    """Refuse `pretrain.start` where the table is split by time: rows that landed late move the cut.

    Raises:
        Refused: what an older encoder learned from may be judged today.
    """
    if params.pretrain.start and _by_time(_read(INDEX), params):
        raise Refused(
            "pretrain.start: samples are split by time, and what an older version's encoders learned from may be val or test"
            " by now: leave pretrain.start empty, or give samples a group"
        )


def _by_time(batches: list[Batch], params: Params) -> bool:
    """Whether these batches' samples are split by time; brings their tables."""
    from tasks.splits import by_time, labelled, landed_rows

    bring(batches)
    return any(batch.of_samples for batch in batches) and by_time(labelled(landed_rows(batches, params), params), params.split)


def move(folder: Path, params: Params, new: Sequence[str], asked: bool = False, shadow: bool = False) -> str:
    """Write data/reference.json of the workspace, which is the working directory.

    Args:
        folder: the workspace.
        params: the run's.
        new: names of the batches that this run brought in.
        asked: whether a person moves it.
        shadow: whether it is a shadow run's.

    Returns:
        Why it moved, and to where, in a line; "" when it stays, or is the first.
    """
    batches, before = _read(INDEX), _read(REFERENCE)
    if shadow:
        after, why = recent(batches, before, params), "shadow"
    elif asked:
        after, why = batches, "asked for"
    else:
        after, why = before or [batch for batch in batches if batch.of_samples][:1], ""
        if found := _gained(folder, batches, after, new, params):
            after, why = batches, f"new classes: {_named(found)}"
    if _samples(after) == _samples(before) and (shadow or after == before):
        return ""
    write_index(after, REFERENCE)
    return why and f"{why}: {FROM_ALL if after == batches else ', '.join(batch.name for batch in after if batch.of_samples)}"


def nights(folder: Path, commit: str) -> int:
    """How many nights were judged since a run last had a say in the reference, itself not counted."""
    form = f"--format=%s%x09%(trailers:key={TRAILER},valueonly,separator=%x20)"
    count = 0
    for line in git("log", "--first-parent", form, commit, cwd=folder).splitlines():
        subject, _, reference = line.rpartition("\t")
        if reference:
            break
        count += subject.startswith(("promote:", "reject:"))
    return count


def recent(batches: list[Batch], reference: list[Batch], params: Params) -> list[Batch]:
    """The newest batches of samples that hold as many rows as the reference and every class that it knows; and all events.

    Of a table that is split by time it is all: its train rows are the oldest.
    """
    if _by_time(batches, params):
        return batches
    known, rows = classes(reference, params), _rows(reference)
    samples = [batch for batch in batches if batch.of_samples]
    for first in reversed(range(len(samples))):
        kept = [batch for batch in batches if not batch.of_samples or batch in samples[first:]]
        if _rows(kept) >= rows and not _beyond(known, classes(kept, params)):
            return kept
    return batches


def classes(batches: list[Batch], params: Params) -> Classes:
    """Per target the classes that encoders fitted on these batches know; their tables must be there."""
    from tasks.events import fold
    from tasks.splits import landed_rows, outputs, training_part, unthinned

    seen = fold(landed_rows(batches, params), batches, params).samples
    return {target: output.classes for target, output in outputs(training_part(seen, unthinned(params)), params).items()}


def _gained(folder: Path, batches: list[Batch], reference: list[Batch], new: Sequence[str], params: Params) -> Classes:
    """Per target the classes for which the reference has to move; looked for only when the new batches name one."""
    learned = [t for t, body in params.targets.items() if body.type != "regression" and not body.classes]
    landed = [batch for batch in batches if batch.name in new]
    if not learned or not landed or not reference or reference == batches:
        return {}
    bring([*reference, *landed])
    if all(_cells(landed, target) <= _cells(reference, target) for target in learned):
        return {}
    bring(batches)
    found = _beyond(classes(batches, params), classes(reference, params))
    held = {t: _held(batches, t, params) for t in found}
    enough = {t: [name for name in names if held[t].get(name, 0) >= params.split.min_groups] for t, names in found.items()}
    return {t: names for t, names in enough.items() if names and t in learned}


def _cells(batches: list[Batch], target: str) -> set[str]:
    """What the cells of a target say in these batches and in their events."""
    from tasks.raw import read_events, read_samples

    table, events = read_samples(batches) if any(b.of_samples for b in batches) else None, read_events(batches)
    said = {event["value"] for event in events.select(["event", "value"]).to_pylist() if event["event"] == target}
    found = set(table[target].unique().to_pylist()) if table is not None and target in table.column_names else set()
    return (said | found) - {None, ""}


def _held(batches: list[Batch], target: str, params: Params) -> dict[str, int]:
    """How many groups hold each class of a target."""
    from tasks.events import fold
    from tasks.splits import groups, labelled, landed_rows, single

    rows = labelled(fold(landed_rows(batches, params), batches, params).samples, params)
    cells = single(rows[target], params.targets[target])
    counts = groups(rows).loc[cells.index].groupby(cells.to_numpy()).nunique()
    return {str(name): int(count) for name, count in counts.items()}


def bring(batches: Sequence[Batch]) -> None:
    """Bring the tables of samples and events into the workspace, which is the working directory: small ones."""
    listed = list(batches)
    paths = [RAW / p.path for name in ("samples", "events") for _, p in partitions(listed, name)]
    missing = sorted({str(path) for path in paths if not path.is_file()})
    if missing:
        from dvc.repo import Repo

        with Repo() as repo:
            intact.bring(repo, missing)


def _beyond(found: Classes, known: Classes) -> dict[str, list[str]]:
    """Per target what is found and not known."""
    beyond = {target: sorted(set(names) - set(known.get(target, ()))) for target, names in found.items()}
    return {target: names for target, names in beyond.items() if names}


def _named(found: Classes) -> str:
    parts = []
    for target, names in sorted(found.items()):
        shown = [" ".join(name.split())[:40] for name in names[:SHOWN]]
        parts.append(f"{target} {', '.join(shown)}{' …' if len(names) > SHOWN else ''}")
    return "; ".join(parts)


def _read(path: Path) -> list[Batch]:
    try:
        return read_index(path)
    except NoData:
        return []


def _rows(batches: list[Batch]) -> int:
    return sum(partition.rows for _, partition in partitions(batches, "samples"))


def _samples(batches: list[Batch]) -> list[str]:
    return [batch.digest for batch in batches if batch.of_samples]
