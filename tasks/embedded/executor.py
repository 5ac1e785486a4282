"""Airflow's LocalExecutor, which does not survive the death of one of its workers: this one makes room for a new start.

An idle worker waits for tasks with the queue's lock in its hands. Killed there, it leaves the lock locked: no other worker ever
gets a task again, and nothing says so. So when a worker has died of a signal, the others end too, and the scheduler with
them; the group (tasks/embedded/group.py) starts it anew, and Airflow tries again what was cut off.

Nor does it bear an answer that is given at once. That a task ended is known up to five seconds late; when a person's answer
has started it again by then, Airflow takes the news of its first end for that of the second, which it kills, and the answer is
lost. So a task that goes on is held back until the news of its first end is in.
"""

import os
from collections.abc import Sequence
from typing import Any

from airflow.executors import local_executor

from tasks.embedded.group import START_ANEW


class LocalExecutor(local_executor.LocalExecutor):  # by this name Airflow knows that it is one machine's
    """Ends with the first worker that was killed, and starts no task that it has not seen the end of."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Remember what was handed out and has not ended yet."""
        super().__init__(*args, **kwargs)  # type: ignore[no-untyped-call]
        self._handed_out: set[Any] = set()

    def _get_workloads_to_schedule(self, open_slots: int) -> list[tuple[Any, Any]]:
        """Hold back what is handed out; it stays in the queue, where Airflow sees that it was started again."""
        found = super()._get_workloads_to_schedule(open_slots)
        return [(key, workload) for key, workload in found if key not in self._handed_out]

    def _process_workloads(self, workload_list: Sequence[Any]) -> None:
        """Hand them out."""
        self._handed_out.update(workload.key for workload in workload_list)
        super()._process_workloads(workload_list)  # type: ignore[no-untyped-call]

    def change_state(self, key: Any, state: Any, info: Any = None, remove_running: bool = True) -> None:
        """Take the news of an end."""
        self._handed_out.discard(key)
        super().change_state(key, state, info, remove_running)

    def sync(self) -> None:
        """Look after the workers before the queues: a queue may wait for a lock that a dead worker holds."""
        self._check_workers()
        super().sync()

    def _check_workers(self) -> None:
        """End with a killed worker. Airflow's own way, also after it handed out tasks, would forget it and start another."""
        dead = [pid for pid, worker in self.workers.items() if (worker.exitcode or 0) != 0]
        if dead:
            self.log.error("worker %s was killed: its queue may stay locked, the scheduler starts anew", dead[0])
            for worker in self.workers.values():
                worker.kill()
            os._exit(START_ANEW)
        super()._check_workers()  # type: ignore[no-untyped-call]
