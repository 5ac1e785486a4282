"""Airflow's LocalExecutor, which does not survive the death of one of its workers: this one makes room for a new start.

An idle worker waits for tasks with the queue's lock in its hands. Killed there, it leaves the lock locked: no other worker ever
gets a task again, and nothing says so. So when a worker has died of a signal, the others end too, and the scheduler with
them; the group (tasks/embedded/group.py) starts it anew, and Airflow tries again what was cut off.
"""

import os

from airflow.executors import local_executor

from tasks.embedded.group import START_ANEW


class LocalExecutor(local_executor.LocalExecutor):  # by this name Airflow knows that it is one machine's
    """Ends with the first worker that was killed."""

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
