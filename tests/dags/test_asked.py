"""The DAGs that a person triggers: their tasks, their forms, what their operators ask for and make of the answer."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

PARSE = """
import json, runpy, sys
from airflow.sdk.exceptions import ParamValidationError
HEAVY = {heavy}
answer = {{}}
for name in ("verify", "rollback", "resync"):
    dag = runpy.run_path(f"dags/{{name}}.py")["dag"]
    verbs = {{t.task_id: getattr(t, "verb", t.trigger_rule) for t in dag.tasks}}
    tasks = {{t.task_id: [sorted(t.upstream_task_ids), verbs[t.task_id], t.pool, t.queue] for t in dag.tasks}}
    wanted = []
    for param in dag.params:
        for value in (None, ""):
            try:
                dag.params.get_param(param).resolve(*([] if value is None else [value]))
            except ParamValidationError:
                wanted.append(param)
    free = dag.schedule is None and not dag.is_paused_upon_creation
    answer[name] = [dag.dag_id, free, tasks, wanted]
score = runpy.run_path("dags/score.py")["dag"]
made = {{t.task_id: [sorted(t.upstream_task_ids), t.queue, t.trigger_rule] for t in score.tasks}}
begins = score.timetable.asset_condition.objects
assets = sorted(asset.name for asset in begins)
watched = [watcher.name for asset in begins for watcher in asset.watchers]
heavy = [name for name in HEAVY if name in sys.modules]
promised = {{n: runpy.run_path(f"dags/{{n}}.py")["dag"] for n in ("rollback", "retrain")}}
outlets = sorted((t.task_id, o.name) for d in promised.values() for t in d.tasks for o in getattr(t, "outlets", ()))
answer["score"] = [made, assets, watched, sorted(score.params), score.max_active_runs, outlets]
print("ANSWER " + json.dumps([answer, heavy]))
"""
HEAVY = ("torch", "pandas", "numpy", "pyarrow", "mlflow", "great_expectations", "sklearn", "scipy", "dvc")


@pytest.fixture(scope="module")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    home = str(tmp_path_factory.mktemp("home"))
    environment = {**os.environ, "AIRFLOW_HOME": home, "NIGHTLOOM_HOME": home, "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    command = [sys.executable, "-c", PARSE.format(heavy=HEAVY)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.split("ANSWER ")[1])


def test_what_they_are_made_of(parsed: Any) -> None:
    found, heavy = parsed
    assert heavy == []
    found = {name: found[name] for name in ("verify", "rollback", "resync")}
    made, recorded = [[], "remake", "gpu", "gpu"], [["remake"], "attest", "default_pool", "control"]
    told = [["record", "remake"], "one_failed", "default_pool", "control"]
    assert found == {
        "verify": ["verify", True, {"remake": made, "record": recorded, "notify": told}, ["version", "version"]],
        "rollback": [
            "rollback",
            True,
            {
                "rollback": [[], "rollback", "default_pool", "control"],
                "resync": [["rollback"], "resync", "default_pool", "control"],
            },
            ["version", "version", "reason", "reason"],  # neither left out nor left empty
        ],
        "resync": ["resync", True, {"resync": [[], "resync", "default_pool", "control"]}, []],
    }


def test_scoring_begins_when_a_batch_a_champion_or_a_night_is_new(parsed: Any) -> None:
    made, assets, watched, params, runs, outlets = parsed[0]["score"]
    after = [["score"], "control", "none_skipped"]  # a batch that is refused hides neither a fall nor a drift
    assert made == {"score": [[], "cpu", "all_success"], "retrain": after, "notify": after}
    assert assets == ["champion", "nightly", "to_score"]
    assert watched == ["to_score"]
    assert params == ["version"]
    assert runs == 1
    assert outlets == [["close", "nightly"], ["promote", "champion"], ["rollback", "champion"]]
