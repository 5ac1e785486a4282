"""The DAG `score` on one machine: it works while `make up` is on; `make run` would cut it off, and lets it rest."""

from tasks.embedded import airflow
from tasks.embedded.group import Group
from tasks.embedded.rest import Rest

DAG = "score"


def begin(rest: Rest, group: Group, late: str) -> None:
    """Let it start by itself from now on, and once now: batches may have landed, a version been promoted, while it rested.

    Args:
        rest: the API.
        group: Airflow's processes.
        late: what to say when Airflow has not read the DAG's file in time.
    """
    airflow.wait(lambda: rest.find(f"/dags/{DAG}"), group, late)
    for left in rest.call("GET", f"/dags/{DAG}/dagRuns", limit=100, state=["queued", "running"])["dag_runs"]:
        rest.call(
            "PATCH", f"/dags/{DAG}/dagRuns/{left['dag_run_id']}", {"state": "failed"}
        )  # cut off before; others would wait
    rest.call("PATCH", f"/dags/{DAG}", {"is_paused": False})
    rest.call("POST", f"/dags/{DAG}/dagRuns", {"logical_date": None, "conf": {}})


def rest_meanwhile(rest: Rest) -> None:
    """Let nothing start it."""
    if rest.find(f"/dags/{DAG}"):
        rest.call("PATCH", f"/dags/{DAG}", {"is_paused": True})
