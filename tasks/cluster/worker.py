"""A Celery worker whose secrets stages cannot read: `python -m tasks.cluster.worker celery worker --queues cpu`.

The words are Airflow's own. The process hides first and then becomes the worker, so that all it forks is hidden as well.
As the first process of a container it also buries what a killed stage left behind.
"""

import os
import signal
import sys
from types import FrameType

from tasks.run.secret import conceal


def work() -> None:
    """Hide, and be Airflow's command."""
    conceal()
    if os.getpid() == 1:
        _look_after(os.fork())
    sys.argv[0] = "airflow"
    from airflow.__main__ import main

    main()  # type: ignore[no-untyped-call]  # Airflow's


def _look_after(child: int) -> None:
    """In the first process: pass signals on, bury the dead, and end as the child does. In the child: nothing."""
    if child == 0:
        return

    def pass_on(number: int, frame: FrameType | None) -> None:
        os.kill(child, number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, pass_on)
    while True:
        ended, status = os.wait()
        if ended == child:
            code = os.waitstatus_to_exitcode(status)
            sys.exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    work()
