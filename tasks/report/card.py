"""A model card in Markdown: what a run's candidate is, of what it was made, how well it does and where not.

Written beside the page of every judged run. The card of a version is that of the run that made it.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

CARD = "card.md"
ALONE = "alone-"
WARNS = "warns, and did not hold"


def card(*, run: str, commit: str, verdict: Mapping[str, Any], scores: Mapping[str, Any], manifest: Mapping[str, Any]) -> str:
    """Make the card of a judged run.

    Args:
        run: the run's id.
        commit: the commit that holds it.
        verdict: content of verdict.json.
        scores: content of evaluate/scores.json.
        manifest: content of manifest.json.

    Returns:
        Markdown; what people landed stands in it as code, which is no markup.
    """
    head = _what(run, commit, verdict, scores)
    parts = [head, _data(manifest), _how_well(scores), _judged(verdict), _limits(verdict, scores)]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _what(run: str, commit: str, verdict: Mapping[str, Any], scores: Mapping[str, Any]) -> Iterator[str]:
    yield "# fused-model: model card"
    yield ""
    yield f"- predicts {code(scores['target'])}; of the candidates {code(scores['selected'])} was selected"
    if scores.get("others"):
        yield f"- also predicts {', '.join(map(code, sorted(scores['others'])))}"
    yield f"- verdict: {verdict['verdict']}, decided by {verdict['decided_by']}"
    yield f"- made by run {code(run)}; `git checkout {commit[:12]} && dvc repro` makes it again"


def _data(manifest: Mapping[str, Any]) -> Iterator[str]:
    yield "## Data"
    yield ""
    splits = ", ".join(f"{number:,} {name or 'unlabelled'}" for name, number in manifest["splits"].items())
    yield f"{manifest['samples']:,} accepted samples ({splits}), {manifest['quarantined']:,} quarantined, of these batches:"
    yield ""
    yield from (f"- {code(batch['name'])}: {batch['accepted']:,} of {batch['rows']:,} rows" for batch in manifest["batches"])


def _how_well(scores: Mapping[str, Any]) -> Iterator[str]:
    metric, found = scores["metric"], scores["candidates"]
    size = f"{scores['samples']:,} test samples of {scores['groups']:,} groups"
    yield f"## How well it does: {metric.replace('_', ' ')} on {size}"
    yield ""
    names = dict.fromkeys([scores["selected"], *sorted(name for name in found if name.startswith(ALONE))])
    yield from table(("model", "score", "interval"), ((code(name), *_interval(found[name][metric])) for name in names))
    if shares := scores.get("shares"):
        rows = ((code(m), *_interval(one["share"])) for m, one in sorted(shares["modalities"].items()))
        yield ""
        yield from table(("modality", "what it adds", "interval"), rows)


def _judged(verdict: Mapping[str, Any]) -> Iterator[str]:
    yield "## Why it was judged so"
    yield ""
    rows = ((row["name"], row["verdict"], code(row["reason"])) for row in verdict["rows"] if row["verdict"] != "not applicable")
    yield from table(("row", "answer", "reason"), rows)


def _limits(verdict: Mapping[str, Any], scores: Mapping[str, Any]) -> Iterator[str]:
    yield "## Limits"
    yield ""
    yield "- The scores hold for data like the test set's; what drifts away from it is not covered by them."
    yield "- Intervals are clustered by group: they hold for new groups that are like the test set's."
    warned = [row for row in verdict["rows"] if not row["blocking"] and row["verdict"] == "fail"]
    yield from (f"- {row['name']} ({WARNS}): {code(row['reason'])}" for row in warned)
    if told := scores.get("calibration"):
        yield f"- A probability is off by {told['error']:.3f} on average (at a temperature of {told['temperature']:.2f})."
    if gain := scores.get("complete", {}).get("gain_over_best_single"):
        fusing = f"{gain['value']:+.3f} over {code(gain['single'])}"
        yield f"- What fusing gains, {fusing}, was measured where no modality is missing."


def _interval(found: Mapping[str, float | None]) -> tuple[str, str]:
    value, low, high = (found.get(key) for key in ("value", "low", "high"))
    return ("?" if value is None else f"{value:.3f}"), ("?" if low is None or high is None else f"{low:.3f} … {high:.3f}")


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """A table in Markdown."""
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)


def code(text: str) -> str:
    """Words that people landed, so that Markdown makes neither a link nor a picture nor a column of them."""
    return f"`{' '.join(text.replace('`', chr(39)).replace('|', '/').split())}`"
