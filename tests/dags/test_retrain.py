"""The DAG against dvc.yaml: same stages, same edges, light to parse."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PARSE = """
import json, runpy, sys, time
runpy.run_path("dags/retrain.py")  # the first parse asks DVC
heavy = [name for name in {heavy} if name in sys.modules]
began = time.process_time()
dag = runpy.run_path("dags/retrain.py")["dag"]
cpu = time.process_time() - began
rule = lambda task: str(getattr(task.trigger_rule, "value", task.trigger_rule))  # of a mapped task it is a text
facts = lambda t: {{"up": sorted(t.upstream_task_ids), "pool": t.pool, "queue": t.queue, "rule": rule(t)}}
tasks = {{t.task_id: facts(t) for t in dag.tasks}}
told = {{"cpu": cpu, "heavy": heavy, "tasks": tasks, "params": sorted(dag.params), "runs": dag.max_active_runs}}
print("ANSWER " + json.dumps(told))
"""
HEAVY = ("torch", "pandas", "numpy", "pyarrow", "mlflow", "great_expectations", "sklearn", "scipy")


@pytest.fixture(scope="module")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return parse(tmp_path_factory.mktemp("home"))


def parse(home: Path, **settings: str) -> dict[str, Any]:
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "NIGHTLOOM_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        **settings,
    }
    done = subprocess.run(
        [sys.executable, "-c", PARSE.format(heavy=HEAVY)], env=environment, capture_output=True, text=True, check=True
    )
    answer: dict[str, Any] = json.loads(done.stdout.split("ANSWER ")[1])
    return answer


def dvc_edges() -> set[tuple[str, str]]:
    """What `dvc dag` draws, upstream first, without the .dvc files."""
    dot = subprocess.run(["dvc", "dag", "--dot"], capture_output=True, text=True, check=True).stdout
    return {(a, b) for a, b in re.findall(r'"([^"]+)" -> "([^"]+)"', dot) if not a.endswith(".dvc")}


def test_the_edges_are_those_of_dvc(parsed: dict[str, Any]) -> None:
    stages = subprocess.run(["dvc", "stage", "list", "--name-only"], capture_output=True, text=True, check=True).stdout.split()
    ids = {stage.replace("@", "."): stage for stage in stages}
    assert set(ids) <= set(parsed["tasks"])
    shown = {(ids[up], ids[task]) for task in ids for up in parsed["tasks"][task]["up"] if up in ids}
    assert shown == dvc_edges()


def test_on_several_workers_partitions_are_shared_before_the_stage_puts_them_together(tmp_path: Path) -> None:
    tasks = parse(tmp_path, NIGHTLOOM_SHARES="3")["tasks"]
    assert {name for name in tasks if name.endswith(".share")} == {
        f"{stage}.{modality}.share" for stage in ("profile", "extract") for modality in ("audio", "image", "text")
    }
    assert tasks["profile.image.share"]["up"] == ["open", "share.image"]
    assert tasks["extract.image.share"]["up"] == ["pretrain.image", "share.image"]
    assert tasks["extract.image"]["up"] == ["extract.image.share", "pretrain.image"]
    assert tasks["extract.image.share"]["pool"] == "gpu"


def test_on_one_worker_nothing_is_shared(parsed: dict[str, Any]) -> None:
    assert not [name for name in parsed["tasks"] if name.endswith(".share")]


def test_parsing_again_is_light(parsed: dict[str, Any]) -> None:
    assert parsed["cpu"] < 0.5
    assert parsed["heavy"] == []


def test_nothing_that_wants_the_gpu_pool_runs_before_admit(parsed: dict[str, Any]) -> None:
    tasks = parsed["tasks"]

    def upstream(task: str) -> set[str]:
        return set(tasks[task]["up"]).union(*(upstream(up) for up in tasks[task]["up"]))

    wanting = [task for task, facts in tasks.items() if facts["pool"] == "gpu"]
    assert {"pretrain.image", "extract.audio", "train.concat"} <= set(wanting)
    assert all("admit" in upstream(task) for task in wanting)
    assert "admit" not in upstream("validate")


def test_close_comes_on_every_outcome_and_what_follows_needs_no_verify(parsed: dict[str, Any]) -> None:
    tasks = parsed["tasks"]
    assert tasks["close"]["rule"] == "all_done"
    after = {task: (facts["up"], facts["rule"]) for task, facts in tasks.items() if "close" in facts["up"]}
    skipped_will_do = "none_failed_min_one_success"
    assert after == {
        "verify": (["close"], "all_success"),
        "approve": (["close", "verify"], skipped_will_do),
        "promote": (["approve", "close", "verify"], skipped_will_do),
        "again": (["close", "promote"], skipped_will_do),
        "notify": (["approve", "close", "promote", "verify"], "one_failed"),
    }
    assert not any("notify" in facts["up"] for facts in tasks.values())  # a run's colour comes from the others
    assert {task: tasks[task]["queue"] for task in ("approve", "notify")} == {"approve": "control", "notify": "control"}
    assert not any("again" in facts["up"] for facts in tasks.values())
    assert (tasks["verify"]["pool"], tasks["verify"]["queue"]) == ("gpu", "gpu")
    assert parsed["runs"] == 2  # a nightly one and a manual one of another revision
    assert parsed["params"] == ["dry_run", "move_reference", "overrides", "release", "revision", "shadow"]


def test_what_validate_found_is_shown_however_the_night_ends_and_nothing_waits_for_it(parsed: dict[str, Any]) -> None:
    tasks = parsed["tasks"]
    assert (tasks["docs"]["up"], tasks["docs"]["rule"]) == (["admit", "explain", "gate"], "all_done")
    assert not any("docs" in facts["up"] for facts in tasks.values())


def test_dags_import_nothing_heavy_at_module_level() -> None:
    for file in Path("dags").rglob("*.py"):
        assert not re.search(rf"^(import|from) ({'|'.join(HEAVY)}|dvc)\b", file.read_text(), re.MULTILINE), file
