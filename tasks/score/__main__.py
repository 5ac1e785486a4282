"""Predict from raw files: `python -m tasks.score image=a.png audio=b.wav text="seven"`, or a.png alone where one modality fits.

The champion answers, or --version, or the bundle in a folder. What is not given is missing. Several files of a modality are
several samples. Exit codes: 0 all answered, 2 nothing was, for a reason that is told, 3 some files could not be read.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tasks.bundle import Bundle
from tasks.errors import NoData, TasksError
from tasks.files import read_json
from tasks.params import Ingest
from tasks.score.answers import answered, missing, score_column, share_column
from tasks.score.files import Sample, problem, samples
from tasks.score.model import contract
from tasks.stage import MISTAKE, leave
from tasks.targets import SEPARATOR

SOME = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tasks.score", description=__doc__)
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="<modality>=<file>, <text>=<words>, <column>=<cell>, or a file"
    )
    add_who(parser)
    parser.add_argument("--json", action="store_true", help="a line of JSON per sample")
    given = parser.parse_args(arguments)
    try:
        with chosen(given.bundle, given.version) as folder:
            return predict(folder, given.files, given.json)
    except TasksError as mistake:
        print(f"nightloom: {mistake}", file=sys.stderr)
        return MISTAKE


def add_who(parser: argparse.ArgumentParser) -> None:
    """Let a command line say who answers (see `chosen`)."""
    who = parser.add_mutually_exclusive_group()
    who.add_argument("--bundle", type=Path, metavar="FOLDER", help="a bundle's folder, instead of the champion")
    who.add_argument("--version", help="a registered version, instead of the champion")


@contextmanager
def chosen(bundle: Path | None, version: str | None) -> Iterator[Path]:
    """The folder of the bundle that is asked.

    Raises:
        NoData: there is no champion, or no project.
        UnknownName: no such version.
    """
    if bundle is not None:
        yield bundle
        return
    from tasks.paths import BUNDLE
    from tasks.promote import registry
    from tasks.promote.claim import pull
    from tasks.run.settings import settings
    from tasks.run.workspace import workspace

    s = settings()
    found = registry.find(s.central, version) if version else registry.champion(s.central)
    if found is None:
        raise NoData("there is no champion yet: `make run` makes one; or say --bundle FOLDER")
    with workspace(s, found.commit, "score-files") as work:
        pull(work, BUNDLE)
        yield work / BUNDLE


def predict(folder: Path, words: Sequence[str], as_json: bool) -> int:
    """Print what a bundle says of each sample; return the exit code."""
    bundle = Bundle.load(folder)
    modalities = contract(read_json(folder / "bundle.json")["modalities"], Ingest()).modalities
    given = samples(words, modalities)
    whole = []
    for sample in given:
        if broken := problem(sample, modalities):
            print(f"nightloom: {broken}", file=sys.stderr)
        else:
            whole.append(sample)
    if whole:
        features = {
            m: bundle.encode(m, [sample[m].data if m in sample else None for sample in whole]) for m in bundle.modalities
        }
        columns = {**answered(bundle, features), "missing": missing(features)}
        for row, sample in enumerate(whole):
            said = {name: _plain(values[row]) for name, values in columns.items()}
            print(_json(sample, said) if as_json else "\n".join(_lines(bundle, sample, said, len(given) > 1)), flush=True)
    return 0 if len(whole) == len(given) else SOME if whole else MISTAKE


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def _json(sample: Sample, said: Mapping[str, Any]) -> str:
    return json.dumps({"given": {m: given.called for m, given in sample.items()}, **said}, ensure_ascii=False, sort_keys=True)


def _lines(bundle: Bundle, sample: Sample, said: Mapping[str, Any], named: bool) -> Iterator[str]:
    """What is said of one sample, a line per target: `label  seven  0.931  audio +0.412  image +0.219  text missing`."""
    if named:
        yield " ".join(f"{m}={given.called[:60]}" for m, given in sample.items())
    lacking = set(said["missing"].split(SEPARATOR))
    for target, output in bundle.targets.items():
        told = f"{said[target]:.6g}" if output.is_number else f"{said[target]}  {said[score_column(target)]:.3f}"
        parts = [_share(m, said.get(share_column(m, target)), m in lacking) for m in bundle.modalities]
        yield "  ".join(["  " * named + target, told, *parts])


def _share(modality: str, share: float | None, lacking: bool) -> str:
    if lacking:
        return f"{modality} missing"
    return modality if share is None else f"{modality} {share:+.3f}"


if __name__ == "__main__":
    leave(main())
