"""What `tests.bench.regret` makes of its tables: is the selected model behind what it could have been?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.measures import Interval, Tally, interval, tally

POINT = 0.01
DRAWS = 2000
TAIL = 0.025  # beyond each end of an interval
CHOSEN = "selected"  # beside the candidates: whatever was selected of a seed
LEAST = {"av-digits": (0.87, 0.15)}  # score, and lead over the best single modality


@dataclass(frozen=True)
class Regret:
    """A data set's nights together.

    Attributes:
        samples: test samples, of all nights.
        groups: how many of them are independent.
        scores: by candidate, and of what was selected: the mean over nights.
        selected: by candidate, how often it was selected.
        leads: of what was selected over the best single modality and over logistic regression, by name.
        problems: what is not as it must be.
    """

    samples: int
    groups: int
    scores: Mapping[str, float]
    selected: Mapping[str, int]
    leads: Mapping[str, Interval]
    problems: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """All of it, rounded."""
        leads = {name: [round(v, 4) for v in (lead.value, lead.low, lead.high)] for name, lead in self.leads.items()}
        scores = {name: round(score, 4) for name, score in self.scores.items()}
        plain = {"samples": self.samples, "groups": self.groups, "selected": dict(self.selected)}
        return {**plain, "scores": scores, "leads": leads, "problems": list(self.problems)}


def judge(name: str, files: Sequence[Path]) -> Regret:
    """Hold a data set's tables against the bar.

    Args:
        name: of the data set; some have a bar of their own.
        files: a table per night: `split`, `group`, `truth`, a column per candidate; its metadata: what was selected, by what
            metric.
    """
    tables = [pq.read_table(file, filters=[("split", "=", "test")]) for file in files]
    choices = [_about(table, CHOSEN) for table in tables]
    tables = [table.append_column(CHOSEN, table[choice]) for table, choice in zip(tables, choices, strict=True)]
    candidates = [column for column in tables[0].column_names if column not in ("split", "group", "truth")]
    whole = pa.concat_tables([table.replace_schema_metadata(None) for table in tables])
    metric, classes = _about(tables[0], "metric"), int(_about(tables[0], "classes"))
    sums = {of: _tally(whole, of, metric, classes) for of in candidates}
    scores = {of: float(np.mean([_tally(table, of, metric, classes).value for table in tables])) for of in candidates}
    single = max((of for of in candidates if of.startswith("alone-")), key=scores.__getitem__)
    leads = {other: _lead(sums, other) for other in (single, "logistic")}
    problems = [text for other, lead in leads.items() if (text := _behind(other, lead))]
    problems += _short(LEAST.get(name), scores[CHOSEN], scores[single])
    groups = len(np.unique(whole["group"].to_pylist()))
    return Regret(whole.num_rows, groups, scores, {of: choices.count(of) for of in candidates}, leads, tuple(problems))


def _about(table: pa.Table, key: str) -> str:
    return str(table.schema.metadata[key.encode()].decode())


def _tally(table: pa.Table, candidate: str, metric: str, classes: int) -> Tally:
    groups = np.array(table["group"].to_pylist(), object)
    return tally(metric, table["truth"].to_numpy(), table[candidate].to_numpy(), groups, classes)


def _lead(sums: Mapping[str, Tally], other: str) -> Interval:
    return interval(sums[CHOSEN].minus(sums[other]), np.random.default_rng(0), DRAWS, TAIL)


def _behind(other: str, lead: Interval) -> str:
    """What there is to regret, or nothing."""
    tells = (lead.high - lead.low) / 2 < POINT
    if (lead.low if tells else lead.value) >= -POINT:
        return ""
    return f"{lead.value:+.4f} [{lead.low:+.4f}, {lead.high:+.4f}] over {other}: may be more than a point behind"


def _short(least: tuple[float, float] | None, score: float, single: float) -> list[str]:
    if least is None or (score >= least[0] and score - single >= least[1]):
        return []
    return [f"{score:.4f}, {score - single:+.4f} over the best single modality; needed {least[0]} and {least[1]:+}"]


def show(name: str, regret: Regret) -> None:
    """Print a data set's candidates, the best first."""
    print(f"\n{name}: {regret.samples} test samples of {regret.groups} groups\n{'candidate':<20} {'mean':>7}  selected")
    for of, score in sorted(regret.scores.items(), key=lambda pair: -pair[1]):
        times = regret.selected[of]
        print(f"{of:<20} {score:>7.4f}{f'  {times} times' if times else ''}")
    for other, lead in regret.leads.items():
        print(f"over {other}: {lead.value:+.4f} [{lead.low:+.4f}, {lead.high:+.4f}]")
    print("\n".join(regret.problems) or "nothing to regret", flush=True)
