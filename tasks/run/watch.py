"""Data landed: an event of the asset `landing`, or `to_score`, so that a night, or a scoring, starts without waiting."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from tasks.run.settings import settings


class LandingTrigger(BaseEventTrigger):
    """Looks at a landing zone and fires once for each set of new batches; what it saw is kept in <home>/<asset>.json."""

    def __init__(self, root: str, poll_s: float = 15.0, asset: str = "landing") -> None:
        """Take the deployed checkout, whose params.yaml names the zones, how often to look, and whose asset the zone is."""
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's
        self.root = root
        self.poll_s = poll_s
        self.asset = asset

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """How Airflow's triggerer makes this trigger again."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            "root": self.root,
            "poll_s": self.poll_s,
            "asset": self.asset,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Fire when batches are complete that were not there before."""
        while True:
            new = await asyncio.to_thread(unseen, Path(self.root), self.asset)
            if new:
                yield TriggerEvent({"batches": new})  # type: ignore[no-untyped-call]  # Airflow's
            await asyncio.sleep(self.poll_s)


def unseen(root: Path, asset: str = "landing") -> list[str]:
    """Names of complete batches that are new or changed since the last call; none when the zone does not answer, or is none."""
    from tasks import params  # not at the top: the DAG file imports this module, and must parse fast
    from tasks.errors import TasksError
    from tasks.files import write_json
    from tasks.ingest.landing import look, stamp
    from tasks.run.landed import landing_of, score_landing_of

    zones = {"landing": landing_of, "to_score": score_landing_of}
    s = settings()
    memory = s.home / f"{asset}.json"
    before: dict[str, str] = json.loads(memory.read_text()) if memory.is_file() else {}
    try:
        zone = zones[asset](s, params.load(root / "params.yaml"))
        now = {one.name: stamp(one) for one in look(zone).batches} if zone else {}
    except TasksError:
        return []
    if now != before:
        write_json(memory, now)
    return sorted(name for name, seen in now.items() if before.get(name) != seen)
