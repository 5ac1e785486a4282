"""What differs between the dvc.lock of a version and the one that its pipeline just wrote, and the work behind both."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Work = Mapping[str, Mapping[str, int]]  # stage -> what it counted -> how many

RUNNING = re.compile(r"Running stage '(?P<stage>[^']+)':")
COUNTED = re.compile(r"work(?: [a-z_]+=\d+)+")  # see tasks/stage.py: count
PAIR = re.compile(r"([a-z_]+)=(\d+)")


def differences(wanted: Mapping[str, Any], got: Mapping[str, Any], order: Iterable[str]) -> Iterator[str]:
    """Yield a text per difference, in the order of the pipeline: the first one is where to look.

    Args:
        wanted: the stages' entries of the version's dvc.lock.
        got: those that were written now.
        order: the stages of dvc.yaml.
    """
    for stage in dict.fromkeys([*order, *wanted, *got]):
        if stage not in got:
            yield f"{stage}: did not run"
        elif stage not in wanted:
            yield f"{stage}: is not in the version's dvc.lock"
        else:
            yield from _within(stage, wanted[stage], got[stage])


def _within(stage: str, wanted: Mapping[str, Any], got: Mapping[str, Any]) -> Iterator[str]:
    for part in ("deps", "outs"):
        before, after = _hashes(wanted, part), _hashes(got, part)
        for path in sorted(before.keys() | after.keys()):
            if before.get(path) != after.get(path):
                yield f"{stage}: {part[:-1]} {path}: wanted md5 {before.get(path, 'none')}, got {after.get(path, 'none')}"
    for part in ("cmd", "params"):
        if wanted.get(part) != got.get(part):
            yield f"{stage}: {part} is not the one in the version's dvc.lock"


def _hashes(entry: Mapping[str, Any], part: str) -> dict[str, str]:
    return {item["path"]: item["md5"] for item in entry.get(part, ())}


def counted(lines: Iterable[str]) -> dict[str, dict[str, int]]:
    """Add up the `work` lines by stage, from what `dvc repro` printed."""
    found: dict[str, dict[str, int]] = {}
    stage = ""
    for line in lines:
        if running := RUNNING.match(line):
            stage = running["stage"]
        elif COUNTED.fullmatch(line.strip()):
            total = found.setdefault(stage, {})
            for name, number in PAIR.findall(line):
                total[name] = total.get(name, 0) + int(number)
    return found


def recorded(message: str) -> dict[str, dict[str, int]]:
    """The `Work: <stage> decoded=… steps=…` trailers of a closed run's commit message."""
    found = {}
    for line in message.splitlines():
        if line.startswith("Work: "):
            found[line.split()[1]] = {name: int(number) for name, number in PAIR.findall(line)}
    return found


def totals(work: Work) -> dict[str, int]:
    """The sum over stages."""
    total: dict[str, int] = {}
    for numbers in work.values():
        for name, number in numbers.items():
            total[name] = total.get(name, 0) + number
    return dict(sorted(total.items()))


def work_differences(wanted: Work, got: Work) -> Iterator[str]:
    """Yield a text per stage that did more or less than when the version was made.

    What a night took from its memo it would have decoded: from nothing, `decoded` is the sum of both.
    """
    for stage in dict.fromkeys([*wanted, *got]):
        before, after = wanted.get(stage, {}), got.get(stage, {})
        if _from_nothing(before) != _from_nothing(after):
            yield f"{stage}: counted {said(before)} when the version was made, {said(after)} now"


def _from_nothing(numbers: Mapping[str, int]) -> dict[str, int]:
    summed = {name: number for name, number in numbers.items() if name not in {"decoded", "brought"}}
    return {**summed, "decoded": numbers.get("decoded", 0) + numbers.get("brought", 0)}


def said(numbers: Mapping[str, int]) -> str:
    """Numbers on one line."""
    return " ".join(f"{name}={number}" for name, number in sorted(numbers.items())) or "nothing"
