"""Versions held to labels that came late: their live score, kept beside their predictions (see tasks/score/live.py)."""

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tasks.index import Batch
from tasks.params import Params
from tasks.score.shelf import Shelf

SAME = "same as"  # key of facts: the batch whose content this one has too, so that it has no table of its own


def hold(shelf: Shelf, mine: str, batches: list[Batch], params: Params, run: str) -> dict[str, Any] | None:
    """Hold every version that has predicted anything to the labels that are known by now, where that says something new.

    Args:
        shelf: where predictions lie.
        mine: the version that is asked about.
        batches: what has landed to train on, whose tables of samples and events are in the working directory.
        params: how intervals are made; the margin of a fall.
        run: the id of the run that asks.

    Returns:
        What that version's file says: `version`, `target`, `promised`, `targets` (see `tasks.score.live.curve`), `fallen`
        (why it is surely worse than was promised, or ""), `fell_in` (the run that first saw it, or ""); None without labels.
    """
    found: dict[str, Any] = {}
    for version in shelf.versions():
        facts = {key: body for key, body in shelf.facts(version).items() if SAME not in body}
        answer = _held(shelf, version, facts, batches, params, run) if facts else {}
        found = answer if version == mine else found
    return found or None


def _held(
    shelf: Shelf, version: str, facts: Mapping[str, dict[str, Any]], batches: list[Batch], params: Params, run: str
) -> dict[str, Any]:
    from tasks.score.live import late_labels, met

    before = shelf.live(version)
    order = sorted(facts, key=lambda key: (facts[key]["at"], key))
    labels = late_labels(batches, sorted({target for body in facts.values() for target in body["targets"]}))
    of = hashlib.sha256(json.dumps([order, labels], sort_keys=True).encode()).hexdigest()
    if before.get("of") == of:
        return before
    seen = met(_opened(shelf, version, order, facts), labels)
    if not seen:
        return before
    since = before.get("fell_in", "") if before.get("fallen") else run
    return _placed(shelf, version, facts[order[-1]], seen, params, {"of": of, "fell_in": since})


def _opened(shelf: Shelf, version: str, order: list[str], facts: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    for key in order:
        yield key, facts[key]["at"][:10], shelf.answers(version, key)


def _placed(
    shelf: Shelf, version: str, told: Mapping[str, Any], seen: Mapping[str, Any], params: Params, marks: Mapping[str, str]
) -> dict[str, Any]:
    """Write a version's live score and its picture; `told`: facts of one of its batches, `marks`: `of`, `fell_in` if it did."""
    from tasks.evaluate.scores import Sureness
    from tasks.score.live import curve, fallen
    from tasks.score.pictures import draw_live
    from tasks.targets import METRICS

    sure = Sureness(params.evaluate.bootstrap, params.evaluate.confidence, params.seed)
    metrics = {target: METRICS[body.output.type][0] for target, body in seen.items()} | {told["target"]: told["metric"]}
    curves = {target: curve(body, metrics[target], sure) for target, body in seen.items()}
    deciding, promised = curves.get(told["target"]), told["promised"]
    fall = fallen(deciding["all"], promised, params.gate.margin) if deciding and promised else ""
    found = {"version": version, "target": told["target"], "promised": promised, "targets": curves, "fallen": fall}
    found |= {**marks, "fell_in": marks["fell_in"] if fall else ""}
    shown = told["target"] if deciding else min(curves)
    with tempfile.TemporaryDirectory(prefix="nightloom-live-") as scratch:
        picture = Path(scratch, "live.png")
        draw_live(picture, version, shown, curves[shown], promised if deciding else {})
        shelf.put_live(version, found, picture)
    print(_line(version, shown, curves[shown], fall), flush=True)
    return found


def _line(version: str, target: str, found: Mapping[str, Any], fall: str) -> str:
    body = found["all"]
    bounds = "" if body["low"] is None else f" [{body['low']:.3f}, {body['high']:.3f}]"
    value = "not told" if body["value"] is None else f"{body['value']:.3f}{bounds}"
    fell = "; it has fallen" if fall else ""
    return f"live: {version}, {target}: {found['metric']} {value} on {body['samples']} late labels{fell}"
