"""MLflow: runs are logged once, the registry is mirrored from the tags, and the champion predicts from raw inputs."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tasks.promote import mirror as mirroring
from tasks.promote.mirror import mirror, resync
from tasks.promote.promote import promote
from tasks.promote.rollback import rollback
from tasks.promote.runs import log_run
from tasks.promote.tracking import connect
from tasks.run.settings import Settings
from tests.promote.conftest import Project

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow's own, about SQLAlchemy and others; ours are errors below

BUNDLE = '''\
"""A bundle that counts bytes, with the interface of the real one."""
from pathlib import Path

import numpy as np


class Bundle:
    @classmethod
    def load(cls, folder):
        made = cls()
        made.word = (Path(folder) / "weights").read_text()
        return made

    def predict_raw(self, raw):
        assert self.word == "b", self.word
        rows = zip(raw["image"], raw["table"])
        known = {(b"png", None): 0.9, (None, b'{"age":"7","sex":null}'): 0.2}
        yes = np.array([known[row] for row in rows])
        return {"label": np.stack([1 - yes, yes], axis=1), "size": 50 + yes[:, None], "signs": yes[:, None] * [1, 0.6]}
'''
FACTS = {
    "modalities": {
        "image": {"kind": "image", "options": {}},
        "table": {"kind": "tabular", "options": {"numbers": ["age"], "categories": ["sex"]}},
    },
    "targets": {
        "label": {"type": "classification", "classes": ["no", "yes"]},
        "size": {"type": "regression", "classes": []},
        "signs": {"type": "multilabel", "classes": ["cough", "fever"]},
    },
}
PREDICT = """\
import sys
import warnings
warnings.simplefilter("error")
import pandas as pd
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import mlflow
    mlflow.set_tracking_uri(sys.argv[1])
    model = mlflow.pyfunc.load_model("models:/fused-model@champion")
images = {"image": [b"png", None, None], "image_file_name": [None, sys.argv[2], ""]}
rows = pd.DataFrame({**images, "age": [None, None, 7], "sex": [None, "", ""]})
print(model.predict(rows).round(6).to_json(orient="split"))
"""
SCORES = {
    "target": "label",
    "metric": "accuracy",
    "selected": "mean",
    "candidates": {"mean": {"accuracy": {"value": 0.9, "low": 0.85, "high": 0.95}, "parameters": 10}},
    "complete": {
        "samples": 7,
        "candidates": {"mean": {"accuracy": {"value": 0.95, "low": 0.9, "high": 1.0}, "parameters": 10}},
        "gain_over_best_single": {"value": 0.1, "low": 0.05, "high": 0.15, "single": "alone-image"},
    },
    "others": {"size": {"metric": "r2", "candidates": {"mean": {"r2": {"value": 0.7, "low": 0.6, "high": 0.8}}}}},
}


def test_the_champion_predicts_from_raw_inputs(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    s = project.s
    project.write("tasks/bundle.py", BUNDLE)
    promote(s, "night-1", project.close("night-1", "a", facts=FACTS), "gate")
    promote(s, "night-2", project.close("night-2", "b", 1, "v1.0.0", facts=FACTS), "gate")

    assert mirror(s) == ["v1.0.0", "v1.0.1"]
    client, _ = connect(s)
    monkeypatch.setattr(mirroring, "_save", None)  # what is there is not made again
    assert mirror(s) == []
    assert client.get_model_version_by_alias("fused-model", "champion").tags["version"] == "v1.0.1"
    client.set_registered_model_alias("fused-model", "champion", "1")  # by hand: the tags still decide
    mirror(s)
    assert client.get_model_version_by_alias("fused-model", "champion").tags["version"] == "v1.0.1"

    (tmp_path / "picture").write_bytes(b"png")
    command = [sys.executable, "-c", PREDICT, s.mlflow, str(tmp_path / "picture")]
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    told = subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True).stdout
    assert told == (
        '{"columns":["label","label__no","label__yes","size","signs","signs__cough","signs__fever"],"index":[0,1,2],"data":['
        '["yes",0.1,0.9,50.9,"cough|fever",0.9,0.54],["yes",0.1,0.9,50.9,"cough|fever",0.9,0.54],'
        '["no",0.8,0.2,50.2,"|",0.2,0.12]]}\n'
    )
    assert not list(s.home.rglob("*.pkl"))


def shown(s: Settings) -> dict[str, str]:
    """MLflow's versions by commit, and where the alias points."""
    client, _ = connect(s)
    found = {entry.tags["version"]: entry.tags["commit"] for entry in client.search_model_versions("name='fused-model'")}
    return {**found, "alias": client.get_model_version_by_alias("fused-model", "champion").tags["version"]}


def test_the_mirror_is_made_anew_from_the_tags_alone(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    s = project.s
    monkeypatch.setattr(mirroring, "_save", lambda work, to: to.mkdir() or (to / "MLmodel").write_text("model"))
    first = promote(s, "night-1", project.close("night-1", "a"), "gate")
    second = promote(s, "night-2", project.close("night-2", "b", 1, "v1.0.0"), "gate")
    wanted = {"v1.0.0": first["commit"], "v1.0.1": second["commit"], "alias": "v1.0.1"}
    nothing = {"removed": [], "added": [], "champion": "v1.0.1"}
    assert resync(s) == {**nothing, "added": ["v1.0.0", "v1.0.1"]}
    assert resync(s) == nothing
    client, _ = connect(s)
    for tags in ({"version": "v1.0.0", "commit": first["commit"]}, {"version": "v7.0.0"}, {}):
        client.create_model_version("fused-model", "somewhere", tags=tags)
    client.set_model_version_tag("fused-model", "1", "commit", "another")
    client.set_registered_model_alias("fused-model", "champion", "4")
    assert resync(s) == {
        "removed": [
            "number 1, v1.0.0 of another commit than its tag's",
            "number 4, which no tag names (v7.0.0)",
            "number 5, which no tag names (no version)",
        ],
        "added": [],
        "champion": "v1.0.1",
    }
    assert shown(s) == wanted
    client.create_model_version("fused-model", "somewhere", tags={"version": "v1.0.1", "commit": second["commit"]})
    assert resync(s)["removed"] == ["number 6, v1.0.1 a second time"]
    client.delete_model_version("fused-model", "2")
    assert resync(s)["added"] == ["v1.0.1"]
    client.delete_registered_model("fused-model")
    assert resync(s)["added"] == ["v1.0.0", "v1.0.1"]
    assert shown(s) == wanted
    rollback(s, "v1.0.0", "bad labels", "asked-1", "Ada")
    assert mirror(s) == []
    assert shown(s) == {**wanted, "alias": "v1.0.0"}
    monkeypatch.setattr(mirroring.registry, "champion", lambda central: None)
    monkeypatch.setattr(mirroring.registry, "versions", lambda central: {})
    assert len(resync(s)["removed"]) == 2
    assert client.get_registered_model("fused-model").aliases == {}


def test_a_run_is_logged_once(project: Project) -> None:
    s = project.s
    commit = project.close("night-1", "a")
    report = project.folder / "index.html"
    report.write_text("<p>night 1</p>")
    verdict = {"verdict": "promote", "decided_by": "floor"}
    curves = {"image": [0.5, 0.25], "mean": [{"epoch": 0, "val": 2.0}]}

    def log(outcome: str = "judged") -> Any:
        return log_run(s, "it's night-1", commit, outcome, verdict, SCORES, curves, project.folder, report)

    run_id = log("failed")
    assert connect(s)[0].get_run(run_id).info.status == "FAILED"
    report.with_name("card.md").write_text("# a card")
    assert log() == run_id  # cleared and run again: what it came to now is what counts
    logged = connect(s)[0].get_run(run_id).info.artifact_uri
    (Path(logged.removeprefix("file://")) / "report/index.html").unlink()
    assert log() == run_id  # the same again: nothing is done
    assert [a.path for a in connect(s)[0].list_artifacts(run_id, "report")] == ["report/card.md"]
    (Path(logged.removeprefix("file://")) / "report/index.html").write_text("<p>night 1</p>")
    client, experiment = connect(s)
    (run,) = client.search_runs([experiment])
    assert run.info.status == "FINISHED"
    assert run.data.params["seed"] == "0"
    wanted = {
        "mean/accuracy": 0.9,
        "mean/accuracy/low": 0.85,
        "complete/mean/accuracy": 0.95,
        "complete/gain_over_best_single": 0.1,
        "size/mean/r2": 0.7,
    }
    assert {key: run.data.metrics[key] for key in wanted} == wanted
    assert [(m.step, m.value) for m in client.get_metric_history(run_id, "curve/image")] == [(0, 0.5), (1, 0.25)]
    assert run.data.metrics["curve/mean/val"] == 2.0
    assert "curve/mean/epoch" not in run.data.metrics
    assert [run.data.tags[key] for key in ("verdict", "outcome", "commit")] == ["promote", "judged", commit]
    assert [a.path for a in client.list_artifacts(run_id, "report")] == ["report/card.md", "report/index.html"]
    assert [a.path for a in client.list_artifacts(run_id, "6_reports")] == ["6_reports/verdict.json"]
