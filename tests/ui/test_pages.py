"""What Airflow loads, and what its API server gives away: no file but a run's own, no script but ours, no unescaped word."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tasks.run.admit import page_folder
from tasks.run.settings import Settings
from tasks.ui import app, runs
from tasks.ui.history import Champion, Made

RUN = "manual__2026-11-01T02:00:00+00:00"
EVIL = "<script>alert(1)</script>"


@pytest.fixture
def s(tmp_path: Path) -> Settings:
    """A home with the folders of two runs."""
    found = Settings(tmp_path / "home", "", "", tmp_path / "cache", "")
    for run in (RUN, "other"):
        (found.reports / page_folder(run) / "data_docs").mkdir(parents=True)
        (found.reports / page_folder(run) / "index.html").write_text(f"page of {run}")
        (found.reports / page_folder(run) / "data_docs/index.html").write_text("docs")
    (tmp_path / "home/secrets.html").write_text("secret")
    folder = found.reports / page_folder(RUN)
    (folder / "way.html").symlink_to(tmp_path / "home/secrets.html")
    (folder / "notes.json").write_text("{}")
    return found


def test_a_run_s_own_files_are_found(s: Settings) -> None:
    assert runs.written(s, RUN, None) == f"page of {RUN}".encode()
    found = runs.file(s, RUN, "data_docs/index.html")
    assert found is not None
    assert found.read_text() == "docs"
    assert runs.written(s, "third", None) is None


OUTSIDE = ["../other/index.html", "data_docs/../../other/index.html", "../../secrets.html", "HOME/secrets.html", "way.html"]
NOTHING = ["", "data_docs", "notes.json", "nothing.html", "a\0.html", f"{'x' * 5000}.html"]


@pytest.mark.parametrize("path", [*OUTSIDE, *NOTHING])
def test_no_other_file_is(s: Settings, path: str) -> None:
    assert runs.file(s, RUN, path.replace("HOME", str(s.home))) is None


@pytest.mark.parametrize("run", ["..", "../other", "/", ".", "a/../../x"])
def test_no_name_of_a_run_leads_out_of_the_reports(s: Settings, run: str) -> None:
    (s.home / "index.html").write_text("home")
    assert runs.written(s, run, None) is None


def test_a_page_that_nobody_has_is_told_from_what_airflow_kept() -> None:
    row = {"name": "floor", "blocking": True, "rule": EVIL, "verdict": "pass", "reason": EVIL, "measured": 0.9}
    verdict = {"verdict": "promote", "decided_by": "floor", "rows": [{**row, "low": 0.8, "high": 1.0, "needed": 0.0}]}
    closed = {"outcome": "judged", "commit": "c" * 40, "verdict": verdict, "scores": None, "problems": [EVIL]}
    text = app._rows(RUN, closed)
    assert "<h1>promote</h1>" in text
    assert "this is what Airflow kept of it" in text
    assert text.count("<script>") == 1
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt;") == 4  # why, problem, reason, rule


def test_what_people_wrote_into_the_registry_is_escaped() -> None:
    champion = Champion(2, "v1.0.0", "2026-11-01 12:00", None, True, EVIL, EVIL, EVIL, f"a+b {EVIL}")
    version = Made("v1.0.0", "2026-11-01 12:00", RUN, (1, 2), EVIL, (EVIL,))
    text = app.drawn([champion], [version])
    assert "<script>alert" not in text
    assert 'href="../dags/rollback/runs/a%2Bb%20%3Cscript%3Ealert%281%29%3C%2Fscript%3E"' in text
    assert 'href="runs/retrain/manual__2026-11-01T02%3A00%3A00%2B00%3A00/"' in text


def test_every_answer_says_what_a_browser_may_do() -> None:
    for policy in (app.OURS, app.REPORT, app.DOCS):
        rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
        assert rules["default-src"] == "'none'"
        assert "unsafe" not in rules.get("script-src", "")
        assert (rules["form-action"], rules["base-uri"], rules["frame-ancestors"]) == ("'none'", "'none'", "'self'")
        headers = app.html("x", policy).headers
        assert headers["Content-Security-Policy"] == policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"


LOADED = """
import sys, time
from airflow.sdk.listener import get_listener_manager  # as a task does
began = time.process_time()
get_listener_manager()
from airflow.sdk.plugins_manager import _get_plugins
plugins, errors = _get_plugins()
print("LOADED", [p.name for p in plugins if p.name == "nightloom"], errors, [m for m in {heavy} if m in sys.modules])
"""
HEAVY = ("fastapi", "tasks.ui.app", "tasks.ui.runs", "torch", "pandas", "mlflow", "dvc")


def test_a_task_loads_the_plugin_and_nothing_that_only_the_api_server_needs(tmp_path: Path) -> None:
    folder = Path(app.__file__).parent / "plugins"
    environment: dict[str, Any] = {"AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__PLUGINS_FOLDER": str(folder)}
    environment |= {"AIRFLOW__CORE__LOAD_EXAMPLES": "False", "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-W", "ignore", "-c", LOADED.format(heavy=HEAVY)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert "LOADED ['nightloom'] {} []" in done.stdout
