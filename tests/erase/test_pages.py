from pathlib import Path

import pyarrow as pa
import pytest

from tasks.erase.find import Wanted
from tasks.erase.pages import artifacts, drop_artifacts, pages
from tasks.files import write_bytes
from tasks.run.settings import Settings
from tasks.tables import write_parquet

WANTED = Wanted(frozenset({"s1"}))


def places(home: Path) -> Settings:
    return Settings(home, str(home / "central.git"), str(home / "remote"), home / "cache", f"sqlite:///{home}/mlflow/mlflow.db")


def test_pages_and_logs_that_name_the_sample_are_found_and_those_of_runs_that_never_held_it_are_not(tmp_path: Path) -> None:
    s = places(tmp_path)
    for name, content in {
        "reports/r1/index.html": "<td>s1</td>",
        "reports/r2/index.html": "<td>s1</td>",
        "reports/r3/index.html": "<td>s10 or as1</td>",
        "reports/r3/s1.png": "s1",
        "logs/tasks/x.log": "row 3: sample_id 's1' stands twice",
    }.items():
        write_bytes(tmp_path / name, content.encode())
    found = [path.relative_to(tmp_path).as_posix() for path in pages(s, WANTED, {"r2"})]
    assert found == ["reports/r1/index.html", "logs/tasks/x.log"]


@pytest.mark.filterwarnings("ignore")  # MLflow's own
def test_artifacts_that_hold_the_sample_leave_mlflow(tmp_path: Path) -> None:
    s = places(tmp_path / "home")
    assert artifacts(s, WANTED, set()) == []  # no database, and none is made
    assert not (s.home / "mlflow").exists()
    from tasks.promote.tracking import connect

    client, experiment = connect(s)
    folder = tmp_path / "made"
    for name, ids in {"evaluate/predictions.parquet": ["s0", "s1"], "evaluate/others.parquet": ["s0", "s10"]}.items():
        write_parquet(folder / name, pa.table({"sample_id": ids}))
    write_bytes(folder / "report/index.html", b"<td>s1</td>")
    write_bytes(folder / "v1.0.0/model/words.json", b'["s1"]')
    runs = {}
    for commit in ("holds", "clean"):
        runs[commit] = client.create_run(experiment, tags={"commit": commit}).info.run_id
        client.log_artifacts(runs[commit], str(folder))
    client.delete_run(runs["holds"])  # marked deleted, its artifacts are there
    found = artifacts(s, WANTED, {"clean"})
    assert sorted(one.path for one in found) == ["evaluate/predictions.parquet", "report/index.html"]
    assert {one.run for one in found} == {runs["holds"]}
    drop_artifacts(s, found)
    assert artifacts(s, WANTED, {"clean"}) == []
    left = {item.path for item in client.list_artifacts(runs["holds"], "evaluate")}
    assert left == {"evaluate/others.parquet"}
    assert len(artifacts(s, WANTED, set())) == 2  # the other run's are whole
