"""What `tests.bench.regret` makes of its tables: is the selected model behind what it could have been?"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.intervals import Interval, interval
from tasks.measures import tally
from tasks.select.rule import Judged, choose
from tasks.tally import Tally

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
        files: a table per night (see `tests.bench.regret.write_answers`).
    """
    made = [pq.read_table(file) for file in files]
    about = json.loads(made[0].schema.metadata[b"about"])
    choices = [_chosen(_part(table, "val"), about) for table in made]
    tables = [_part(table, "test") for table in made]
    tables = [table.append_column(CHOSEN, table[choice]) for table, choice in zip(tables, choices, strict=True)]
    candidates = [*about["candidates"], CHOSEN]
    whole = pa.concat_tables(tables)
    sums = {of: _tally(whole, of, about) for of in candidates}
    scores = {of: float(np.mean([_tally(table, of, about).value for table in tables])) for of in candidates}
    single = max((of for of in candidates if of.startswith("alone-")), key=scores.__getitem__)
    leads = {other: _lead(sums, other) for other in (single, "logistic")}
    problems = [text for other, lead in leads.items() if (text := _behind(other, lead))]
    problems += _short(LEAST.get(name), scores[CHOSEN], scores[single])
    groups = len(np.unique(whole["group"].to_pylist()))
    return Regret(whole.num_rows, groups, scores, {of: choices.count(of) for of in candidates}, leads, tuple(problems))


def _part(table: pa.Table, split: str) -> pa.Table:
    return table.filter(pc.equal(table["split"], split)).replace_schema_metadata(None)


def _chosen(val: pa.Table, about: Mapping[str, Any]) -> str:
    """What `tasks.select` takes."""
    judged = {of: Judged(kind, size, _tally(val, of, about)) for of, (kind, size) in about["candidates"].items()}
    return choose(judged, about["most"])[0]


def _tally(table: pa.Table, candidate: str, about: Mapping[str, Any]) -> Tally:
    groups, (truth, said) = np.array(table["group"].to_pylist(), object), (table[of].to_numpy() for of in ("truth", candidate))
    return tally(about["metric"], truth, said, groups, about["classes"])


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
