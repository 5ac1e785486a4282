"""What a night came to, in at most 100 columns of plain ASCII."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tasks.embedded.follow import WIDTH, Failure

PLAIN = ("late", "logistic")
MOVED_NOTHING = ("overtaken", "nothing new")  # outcomes of a run that another one was faster than
BAR = 30  # characters of a score of 1
LEAST = 0.0005  # what three decimals still show; targets may have small units


@dataclass(frozen=True)
class Night:
    """How a run ended.

    Attributes:
        run: Airflow's run id.
        state: Airflow's state of it, success or failed.
        opened, closed, promoted: what the tasks of these names returned, or None.
        failures: the tasks that failed, the first one first.
        approved: what the task `approve` returned: a person's answer, or None.
        notes: what else a person must know, a line each.
    """

    run: str
    state: str
    opened: Mapping[str, Any] | None
    closed: Mapping[str, Any] | None
    promoted: Mapping[str, Any] | None
    failures: Sequence[Failure] = ()
    notes: Sequence[str] = field(default_factory=tuple)
    approved: Mapping[str, Any] | None = None

    @property
    def nothing(self) -> str | None:
        """Why there was nothing to do; None when there was something."""
        return (self.opened or {}).get("nothing")

    @property
    def reigning(self) -> Mapping[str, Any] | None:
        """The version that this run brought to the throne, or found there with the very same content."""
        promoted = self.promoted or {}
        return None if {"refused", "overtaken"} & set(promoted) else self.promoted

    @property
    def done(self) -> bool:
        """Whether the run succeeded."""
        return self.state == "success"


def render(night: Night) -> str:
    """The summary."""
    if night.nothing and night.done:
        return _text(["", f"Nothing new: {night.nothing}.".replace("..", "."), "No version was made.", *night.notes])
    closed = night.closed or {}
    parts = ["", *_head(night, closed)]
    if closed.get("verdict"):
        parts += ["", *gate_table(closed["verdict"])]
    if closed.get("scores"):
        parts += ["", *score_table(closed["scores"])]
    told = [] if closed.get("outcome") == "batch rejected" else night.failures[:3]  # `problem` says why it was rejected
    for failure in told:
        parts += ["", f"{failure.task} failed; its log is {shown(failure.log)} and ends with", *indent(failure.lines)]
    return _text([*parts, *([""] if night.notes else []), *night.notes])


def _head(night: Night, closed: Mapping[str, Any]) -> list[str]:
    lines = [f"run       {night.run}: {night.state}"]
    batches = ", ".join((night.opened or {}).get("batches", ())) or "none"
    lines.append(f"batches   {batches}")
    if closed.get("outcome") == "batch rejected":
        lines.append(f"outcome   {batches} rejected before any model was fitted; it is kept out until it is released")
    elif closed.get("outcome") in MOVED_NOTHING:
        lines.append(f"outcome   {closed['outcome']}: no version was made")
    elif closed.get("verdict"):
        lines.append(f"verdict   {closed['verdict']['verdict']}, decided by: {closed['verdict']['decided_by']}")
        lines.append(f"version   {_version(night, closed)}")
    lines += [f"problem   {problem}" for problem in closed.get("problems", ())]
    return lines


def _version(night: Night, closed: Mapping[str, Any]) -> str:
    if night.reigning:
        version = f"fused-model@{night.reigning['version']} reigns as champion number {night.reigning['number']}"
        return f"{version}, {night.approved['told']}" if night.approved else version
    if night.approved and night.approved["answer"] != "approved":
        return f"none: {night.approved['told']}"
    if why := (night.promoted or {}).get("refused") or (night.promoted or {}).get("overtaken"):
        return f"none: {why}"
    if closed.get("dry_run"):
        return "none: a dry run promotes nothing"
    if closed["verdict"]["verdict"] == "promote":
        return "none: the verdict was yes, but `promote` did not end well"
    reigning = (closed["verdict"].get("champion") or {}).get("version")
    return f"none: {f'fused-model@{reigning} goes on' if reigning else 'there is no champion yet'}"


def gate_table(verdict: Mapping[str, Any]) -> list[str]:
    """The gate's rows; the reasons of those that decided or failed below."""
    lines = [f"{'gate':<22} {'verdict':<15} {'measured':>9} {'interval':>18} {'needed':>9}"]
    for row in verdict["rows"]:
        name = row["name"] if row["blocking"] else f"{row['name']} (warns)"
        interval = _interval(row["low"], row["high"])
        lines.append(
            f"{name:<22} {row['verdict']:<15} {_number(row['measured']):>9} {interval:>18} {_number(row['needed']):>9}".rstrip()
        )
    told = [r for r in verdict["rows"] if r["verdict"] == "fail" or r["name"] == verdict["decided_by"]]
    return lines + [f"  {row['name']}: {row['reason']}" for row in told]


def score_table(scores: Mapping[str, Any]) -> list[str]:
    """The selected model beside each modality alone and the plain candidates, on complete cases where there are any."""
    metric, complete = scores["metric"], scores.get("complete") or {}
    cases = complete if complete.get("candidates") else scores
    where = "complete cases" if cases is complete else "all cases"
    size = f"{cases['samples']} samples of {cases['groups']} groups" if "samples" in cases else "test set"
    lines = [f"{metric.replace('_', ' ')} on the test set, {where} ({size}), with interval"]
    alone = sorted(name for name in cases["candidates"] if name.startswith("alone-"))
    for name in [scores["selected"], *alone, *PLAIN]:
        if name in cases["candidates"] and (name != scores["selected"] or len(lines) == 1):
            lines.append(_score(name, cases["candidates"][name][metric], name == scores["selected"]))
    gain = complete.get("gain_over_best_single")
    if gain:
        lines.append(f"  {'gain over ' + gain['single']:<24} {gain['value']:+.3f} {_interval(gain['low'], gain['high']):>18}")
    return lines + [_other(name, body, scores["selected"]) for name, body in sorted(scores.get("others", {}).items())]


def _other(target: str, scores: Mapping[str, Any], selected: str) -> str:
    """How the selected model does on a target that decides nothing."""
    if selected not in scores["candidates"]:
        return f"{target}: labelled in too few test samples to be scored ({scores['samples']})"
    metric, found = scores["metric"], scores["candidates"][selected][scores["metric"]]
    interval = _interval(found["low"], found["high"])
    return f"{target}: {metric.replace('_', ' ')} {_number(found['value'])} {interval} on {scores['samples']} test samples"


def _score(name: str, score: Mapping[str, float], selected: bool) -> str:
    label = f"{name} (selected)" if selected else name
    bar = "#" * min(BAR, round(BAR * score["value"]))  # none for a score below 0, such as an error
    return f"  {label:<24}{_number(score['value']):>7} {_interval(score['low'], score['high']):>18}  {bar}"


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if value == 0 or abs(value) >= LEAST else f"{value:.1e}"


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"[{_number(low)}, {_number(high)}]"


def look_further(night: Night, port: int, mlflow_port: int, project: Path | None = None) -> str:
    """The commands that show more; those of a recipe work in its own project."""
    report = (night.closed or {}).get("report")
    rows = [
        (f"cd {project}" if project else "", "the recipe's project: what follows works there"),
        ("make up", f"Airflow on port {port}, MLflow on port {mlflow_port}"),
        (f"open {shown(Path(report))}" if report else "", "this run's page"),
        ("git log --first-parent nightly" if night.done else "", "the diary, a commit per night"),
    ]
    if night.reigning:
        version = night.reigning["version"]
        rows += [
            ("dvc artifacts get . fused-model --stage champion", "the champion's files"),
            (f"git checkout fused-model@{version} && dvc pull", "this version's data and model"),
            (f"make reproduce VERSION={version}", "make it again from nothing, and compare"),
        ]
    width = max(len(command) for command, _ in rows)
    if width > 60:  # a long path: the explanations go below the commands
        return _text(["", *(line for command, what in rows if command for line in (command, f"    {what}"))])
    return _text(["", *(f"{command:<{width}}  {what}" for command, what in rows if command)])


def shown(path: Path) -> str:
    """A path as short as it can be, from where the person is."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def indent(lines: Sequence[str]) -> list[str]:
    """Lines of a log, moved to the right."""
    return [f"    {line}" for raw in lines for line in raw.splitlines()]


def _text(lines: Sequence[str]) -> str:
    """Fold long lines; what comes after the first line of each is moved to the right."""
    folded: list[str] = []
    for line in lines:
        start = len(line) - len(line.lstrip())
        folded += textwrap.wrap(
            line,
            WIDTH,
            subsequent_indent=" " * (start + 4),
            break_long_words=False,
            break_on_hyphens=False,
            replace_whitespace=False,
            drop_whitespace=True,
        ) or [""]
    return "\n".join(folded)
