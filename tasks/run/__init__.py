"""What makes a run: a commit, stages in throw-away clones, and effects that are keyed so that twice is once.

settings    where central, remote, cache and MLflow are: the only place that reads NIGHTLOOM_* variables
git         git as a function
atwork      which runs may be at work: what cleans up keeps away
secret      what may be in a process's environment, and how a process hides its own
workspace   a clean clone of central at one commit, with DVC told where its remote and cache are
child       a command that cannot outlive whoever asked for it
graph       the stages of dvc.yaml and their edges, as DVC resolves them
parsing     YAML that DVC reads often, parsed once
lock        dvc.lock cut into fragments and put together again
open        the run's commit: what landed, code, parameters, pins
reference   which batches encoders are fitted on, and what moves that
laps        where the time of a task goes
stage       one stage, on any worker, any number of times
admit       stops a night whose batch fails critical expectations
close       dvc.lock, the verdict, `nightly`, the report
nightly     the compare-and-set of `nightly`: who was first
operators   the same as Airflow tasks
promotion   the tasks after `close`, and those of a person's form
approval    the task among them that waits for a person
"""
