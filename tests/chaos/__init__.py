"""Faults that need a real Airflow and time: `make chaos`, or `python -m tests.chaos --row 24 --nights 20 --seed 0`.

house      a small checkout and the home in which each of its nights starts, so that nights are independent
victims    the processes of a night by kind, and which of them dies when, as a seed says
night      one night, disturbed or not, and what it came to
rows       one function per row of the table: what is done to its nights, and what counts as passing

row  fault                                                    passes when
3    an executor's worker is killed under a training          the task leaves `running` within three time-outs, same dvc.lock
4    the scheduler is killed ten times with tasks running     the run succeeds, same dvc.lock
5    the API server stands still for 60 s                     no task is tried again, same dvc.lock
20   two trainings at once on two cores                       each takes at most 2.3 times as long as alone
24   ten seeded kills a night of anything, >= 5 s apart       every night ends in the dvc.lock of the undisturbed one

What happened is kept in <folder>/state.json after each night: run again, it goes on where it was cut off.
"""
