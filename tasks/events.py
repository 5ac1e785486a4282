"""Fold events into the samples that they are about, in the order of acceptance: batches as the index names them, then rows.

No clock and no name has a say in it. An event holds for its sample whenever that lands; of two for the same thing the
later one holds. A withdrawn sample is withdrawn for good.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from tasks.index import Batch
from tasks.params import Params
from tasks.raw import WITHDRAWN, read_events
from tasks.targets import Output


@dataclass(frozen=True)
class Folded:
    """Samples as the events left them.

    Attributes:
        samples: the rows that remain, index and columns as they were given.
        events: all events in the order in which they hold, columns as in `read_events`; `refused` tells now also which of
            them name an unknown event or label, and `unknown` (bool) which are about a sample that has not landed.
        withdrawn: the ids that are gone.
    """

    samples: pd.DataFrame
    events: pd.DataFrame
    withdrawn: frozenset[str]


def fold(samples: pd.DataFrame, batches: list[Batch], params: Params, outputs: Mapping[str, Output] | None = None) -> Folded:
    """Fold the events of these batches.

    Args:
        samples: landed rows as in `splits.landed_rows`.
        batches: in the order in which they were accepted.
        params: names the targets.
        outputs: the classes that each target knows, or that it is a number; None: any label is taken.
    """
    events: pd.DataFrame = read_events(batches).to_pandas()
    events["refused"] = [
        text or _problem(event, value, params, outputs)
        for text, event, value in zip(events["refused"], events["event"], events["value"], strict=True)
    ]
    taken = events[events["refused"] == ""]
    withdrawn = frozenset(taken.loc[taken["event"] == WITHDRAWN, "sample_id"])
    events["unknown"] = (events["refused"] == "") & ~events["sample_id"].isin(samples["sample_id"])
    remaining = samples[~samples["sample_id"].isin(withdrawn)].copy()
    for target in params.targets:
        said = taken[taken["event"] == target].drop_duplicates("sample_id", keep="last").set_index("sample_id")["value"]
        about = remaining["sample_id"].isin(said.index)
        labels = remaining.loc[about, "sample_id"].map(said)
        remaining.loc[about, target] = labels.where(labels != "", None)
    return Folded(remaining, events, withdrawn)


def _problem(event: str, value: str, params: Params, outputs: Mapping[str, Output] | None) -> str:
    """Why an event that ingest took cannot hold tonight, or ""."""
    if event == WITHDRAWN:
        return ""
    if event not in params.targets:  # a target that params.yaml has named when it landed
        return f"event is {event[:40]!r}, expected {WITHDRAWN} or a target: {', '.join(params.targets)}"
    return outputs[event].problem(event, value) if value and outputs is not None else ""
