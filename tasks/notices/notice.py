"""What is told: two lines that matter, and a link. Nothing here knows how it is sent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LONGEST = 600  # characters of a reason: a notice is read on a telephone


@dataclass(frozen=True)
class Notice:
    """One thing that happened.

    Attributes:
        event: failure, promotion, rejection, approval or drift.
        run: the run's id.
        what: what happened, in a few words.
        why: in a line.
        look: where to look, beside the link.
        link: the run in Airflow, or the page that waits for an answer.
    """

    event: str
    run: str
    what: str
    why: str
    look: str
    link: str

    @property
    def text(self) -> str:
        """Two lines, and the link."""
        return f"Nightloom: {self.what}: {self.why}\n{self.look}\n{self.link}"


def judged(run: str, closed: Mapping[str, Any], link: str) -> list[Notice]:
    """What a closed run tells: that its data drifted, that its candidate was rejected."""
    if closed["dry_run"]:  # whoever asked for it is looking
        return []
    found = []
    if drifted := closed.get("drifted"):
        why = "; ".join(drifted)
        found.append(Notice("drift", run, "new data is unlike the reference", _short(why), _report(closed), link))
    verdict = closed["verdict"] if closed["outcome"] == "judged" else {"verdict": "promote"}  # not used, and so not told
    if verdict["verdict"] != "promote":
        why = f"{verdict['decided_by']}: {_reason(verdict)}"
        found.append(Notice("rejection", run, "the candidate was rejected", _short(why), _report(closed), link))
    return found


def asked(run: str, closed: Mapping[str, Any], link: str) -> list[Notice]:
    """A run waits for a person."""
    verdict = closed["verdict"]
    why = f"{verdict['approval']}. {verdict['decided_by']}: {_reason(verdict)}"
    return [Notice("approval", run, "a candidate waits for your yes or no", _short(why), _report(closed), link)]


def answered(run: str, closed: Mapping[str, Any], answer: Mapping[str, Any], link: str) -> list[Notice]:
    """A person said no, or nobody said anything."""
    if answer["answer"] == "approved":
        return []  # the promotion is told, when it is one
    what = f"the candidate was rejected by {answer['by']}" if answer["by"] else "the candidate was not approved"
    return [Notice("rejection", run, what, _short(answer["reason"]), _report(closed), link)]


def promoted(run: str, closed: Mapping[str, Any], answer: Mapping[str, Any], approved: Any, link: str) -> list[Notice]:
    """A version reigns."""
    if not answer.get("promoted"):
        return []
    verdict = closed["verdict"]
    by = f"approved by {approved['by']}: {approved['reason']}. " if approved else ""
    what = f"fused-model@{answer['version']} reigns as champion number {answer['number']}"
    return [Notice("promotion", run, what, _short(f"{by}{verdict['decided_by']}: {_reason(verdict)}"), _report(closed), link)]


def restored(run: str, answer: Mapping[str, Any], reason: str, link: str) -> list[Notice]:
    """A person let an older version reign again."""
    if not answer["rolled_back"]:
        return []
    what = f"fused-model@{answer['version']} reigns again as champion number {answer['number']}"
    return [Notice("promotion", run, what, _short(reason), "the registry in Airflow says who asked for it", link)]


def scored(run: str, answer: Mapping[str, Any], link: str) -> list[Notice]:
    """What predicting told: batches unlike the training data, and that the live score of a version fell since the last look.

    Args:
        run: the run's id.
        answer: of `tasks.run.scored.score`.
        link: the run in Airflow.
    """
    look = f"predictions, facts and live scores: {answer.get('place', '')}"
    drifted = {facts["batch"]: [one for one in facts["drift"] or () if one["drifted"]] for facts in answer.get("batches", ())}
    lines = [
        f"{batch}: {one['column']} {one['distance']:.2f} from the training data, chance reaches {one['chance']:.2f}"
        for batch, found in drifted.items()
        for one in found
    ]
    found = [Notice("drift", run, "what is to be predicted is unlike the training data", _short("; ".join(lines)), look, link)]
    fell = answer.get("fell", "")
    what = f"fused-model@{answer.get('version')} does worse than it was promoted for"
    return [*(found if lines else []), *([Notice("drift", run, what, _short(fell), look, link)] if fell else [])]


def failed(run: str, closed: Mapping[str, Any] | None, failures: Mapping[str, str], link: str) -> list[Notice]:
    """A run failed, or its batch was rejected.

    Args:
        run: the run's id.
        closed: what `close` returned, or None.
        failures: why tasks failed, the first one first; "" where one could not say.
        link: the run in Airflow.
    """
    task, why = next(((t, w) for t, w in failures.items() if w), (next(iter(failures), ""), ""))
    look = _report(closed) if closed else f"log of the task {task or 'that failed'} in Airflow"
    if closed and closed["outcome"] in ("batch rejected", "failed"):
        event, what = ("failure", "a run failed") if closed["outcome"] == "failed" else ("rejection", "a batch was rejected")
        return [Notice(event, run, what, _short("; ".join(closed["problems"])), look, link)]
    return [Notice("failure", run, "a run failed", _short(f"{task}: {why or 'it could not say why'}"), look, link)]


def _reason(verdict: Mapping[str, Any]) -> str:
    row: Sequence[Mapping[str, Any]] = [row for row in verdict["rows"] if row["name"] == verdict["decided_by"]]
    return str(row[0]["reason"]) if row else verdict["verdict"]


def _report(closed: Mapping[str, Any]) -> str:
    return f"report: {closed['report']}"


def _short(text: str) -> str:
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"
