"""Airflow on one machine: `python -m tasks.embedded run` does one night, `python -m tasks.embedded up` keeps it up.

preflight     what must be true before anything starts
deploy        the checkout's commit in central and in `deployed/`, which is what Airflow reads
recipe        a clean project of its own for one of data/recipes/
sample        the next night of a recipe, by default of the sample, when the landing folder holds nothing else
guard         a process that ends all it started, and what they started, when its owner is gone
group         the owner's side of it
environment   what Airflow's processes see: settings, and secrets that are made once
airflow       Airflow's processes
rest          Airflow's REST API
follow        one line per task as its state changes
summary       what a night came to
answer        a run that waits for a person, and `approve` and `reject` from a shell
night         `run`, in order
up            `up`, in order

variable                default      what
NIGHTLOOM_HOME          .nightloom   where everything below is kept; see also tasks/run/settings.py
NIGHTLOOM_PORT          8080         Airflow's port, on 127.0.0.1
NIGHTLOOM_MLFLOW_PORT   5000         MLflow's port, on 127.0.0.1; only `up` starts it
NIGHTLOOM_VIEWERS       nobody       more logins, by spaces or commas: they may look, but neither trigger nor approve

below NIGHTLOOM_HOME    what                                             when it is deleted
central.git/            runs, `nightly`, the registry                    everything is lost: keep it
remote/                 data and models, by content                      everything is lost: keep it
mlflow/                 runs, curves, the registry's mirror              runs and curves are lost
reports/                a page per run                                   these pages are lost
recipes/                a project per recipe, each with such a home       their data, models and history are lost
airflow/                Airflow's database, secrets and login            Airflow's history is lost
cache/                  DVC's copy of what this machine used             comes back from remote/
deployed/, graph/       the clean clone that Airflow reads, its stages   comes back at the next start
logs/                   of Airflow's processes and of tasks              old logs are lost
lock                    who is at work                                   nothing
"""
