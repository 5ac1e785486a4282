"""Nights under a real scheduler, in a fresh clone: `make run`, then `make up`.

There a person triggers the next night in a browser; it faces the champion, and waits until the person approves. A viewer may do
nothing meanwhile. A broken batch begins a night by itself and is rejected, while the person rolls back and the first version is
verified. People are told, and `make gc` clears Airflow's history. What the README and docs/ tell people to type is typed in
copies of all that. On a machine without Chromium the nights are the same: the person sits at a shell, and what the browser
would show is skipped.
"""

import json
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pandas as pd
import pytest
import requests
from playwright.sync_api import Browser, expect

from tasks.embedded.answer import waiting
from tasks.embedded.environment import USER, password
from tasks.embedded.follow import OVER, tasks
from tasks.embedded.rest import Rest, Unreachable
from tasks.run.git import git
from tests import browser as browsers
from tests.clone import VIEWER, Clone, age, encoders, landed, names, order, until
from tests.notices.servers import Web, serving
from tests.pages import PAGES, carry_out, restored
from tests.person import Person

pytestmark = pytest.mark.scheduler
ROOT = Path(__file__).resolve().parent.parent
LEARNING = ("pretrain", "extract", "train", "plain")
OVERRIDE = "promotion=approve"  # of the second night: a person is asked
WORD = "looked at it"
MOST_MB = 3
LONGEST_S = 1.0


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    folder = tmp_path_factory.mktemp("night") / "clone"
    git("clone", "--quiet", str(ROOT), str(folder))
    with socket.socket() as one, socket.socket() as other:
        for free in (one, other):
            free.bind(("127.0.0.1", 0))
        ports = one.getsockname()[1], other.getsockname()[1]
    yield Clone(folder, *ports)
    shutil.rmtree(folder, ignore_errors=True)


def test_first_night_promotes_a_fused_model(clone: Clone) -> None:
    code, output = clone.call("tasks.embedded", "run")
    assert code == 0
    assert "fused-model@v1.0.0 reigns as champion number 1" in output
    assert f"Airflow on port {clone.port}, MLflow on port {clone.mlflow_port}" in output
    started = list(dict.fromkeys(order(output, "(?:running|success)")))  # who is quick is seen only when he has ended
    fitting = [started.index(task) for task in started if task.startswith(LEARNING)]
    assert started.index("admit") < min(fitting)
    assert [task for task in started if task != "docs"][-2:] == ["close", "promote"]  # it comes beside `close`
    assert git("status", "--porcelain", cwd=clone.folder) == ""
    lock = git("show", "fused-model@v1.0.0:dvc.lock", cwd=clone.folder)  # `make run` has fetched it
    assert len(set(encoders(lock))) == 3


PREDICT = """
import mlflow, pandas
mlflow.set_tracking_uri("sqlite:///{home}/mlflow/mlflow.db")
model = mlflow.pyfunc.load_model("models:/fused-model@champion")
table = pandas.read_csv("{batch}/metadata.csv", dtype=str).head(40)
for modality in ("image", "audio"):
    table[modality + "_file_name"] = "{batch}/" + table[modality + "_file_name"]
print("RIGHT", (model.predict(table)["label"] == table["label"]).mean())
"""


def test_the_registry_answers_to_gto_dvc_and_mlflow(clone: Clone, tmp_path: Path) -> None:
    assert "champion" in subprocess.run(["gto", "history"], cwd=clone.folder, capture_output=True, text=True, check=True).stdout
    get = ["dvc", "artifacts", "get", ".", "fused-model", "--stage", "champion", "-o", str(tmp_path / "champion")]
    subprocess.run(get, cwd=clone.folder, capture_output=True, check=True)
    assert (tmp_path / "champion/bundle.json").is_file()
    code = PREDICT.format(home=clone.home, batch=clone.folder / "data/0_landing/night-1")
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert float(done.stdout.split("RIGHT")[1]) > 0.8


SEEN = "from pathlib import Path; from tasks.run.watch import unseen; print(unseen(Path('.nightloom/deployed')))"


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    """Where notices go."""
    with serving(Web()) as server:
        yield server


@pytest.fixture(scope="module")
def up(clone: Clone, web: Web) -> Iterator[Rest]:
    """`make up`, where the next night lies and has begun no run: a person is to; some of it lies to be predicted."""
    assert clone.call("data.recipes.digits.generate", "--night", "2", "--to", "data/0_landing")[0] == 0
    assert clone.python("-c", SEEN)[0] == 0
    unlabelled(clone)
    log = clone.folder.parent / "up.log"
    with log.open("w") as said:
        command = [sys.executable, "-m", "tasks.embedded", "up"]
        environment = {**clone.environment, "NIGHTLOOM_WEBHOOK": web.url("/canary")}
        process = subprocess.Popen(command, cwd=clone.folder, env=environment, stdout=said, stderr=subprocess.STDOUT)
    try:
        until(lambda: process.poll() is not None or "Ctrl-C stops everything" in log.read_text(), log.read_text)
        assert process.poll() is None, log.read_text()
        yield Rest(clone.url, USER, password(clone.home / "airflow"))
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
    assert "stopped; nothing is left running" in log.read_text()


def unlabelled(clone: Clone, rows: int = 40) -> None:
    """Land some of the next night's samples to be predicted."""
    night, batch = clone.folder / "data/0_landing/night-2", clone.folder / "data/0_to_score/new"
    table = pd.read_csv(night / "metadata.csv", dtype=str, keep_default_na=False).head(rows).drop(columns="label")
    for name in filter(None, [*table["image_file_name"], *table["audio_file_name"]]):
        (batch / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(night / name, batch / name)
    table.to_csv(batch / "metadata.csv", index=False)


@pytest.fixture(scope="module")
def remade(up: Rest) -> str:
    """The first version is made again, beside the nights: the id of that run."""
    conf = {"logical_date": None, "conf": {"version": "v1.0.0"}}
    return str(up.call("POST", "/dags/verify/dagRuns", conf)["dag_run_id"])


def nobody_looks() -> bool:
    """Whether there is no browser, and need not be one."""
    return bool(browsers.missing()) and not browsers.MUST


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browsers.chromium() as found:
        yield found


@pytest.fixture(scope="module")
def person(clone: Clone, chromium: Browser) -> Iterator[Person]:
    """The administrator."""
    with browsers.page(chromium) as page:
        somebody = Person(page, clone.url)
        somebody.log_in(USER, password(clone.home / "airflow"))
        yield somebody


@pytest.fixture(scope="module")
def second(request: pytest.FixtureRequest, up: Rest, remade: str) -> str:
    """The second night, with an override: the id of its run. A person triggers it, where one can."""
    if nobody_looks():
        conf = {"logical_date": None, "conf": {"overrides": [OVERRIDE]}}
        return str(up.call("POST", "/dags/retrain/dagRuns", conf)["dag_run_id"])
    person: Person = request.getfixturevalue("person")
    person.open_form("retrain", {"overrides": OVERRIDE})
    browsers.keep(person.page, "trigger")
    return person.send_form()


def test_a_viewer_may_do_nothing_and_sees_nothing_that_is_not_shown_to_viewers(clone: Clone, second: str) -> None:
    viewer = Rest(clone.url, VIEWER, password(clone.home / "airflow", VIEWER))
    run = f"/dags/retrain/dagRuns/{second}"
    assert viewer.call("GET", run)["conf"]["overrides"] == [OVERRIDE]
    started = {"logical_date": None, "conf": {}}
    asked = {"logical_date": None, "conf": {"version": "v1.0.0", "reason": "mine"}}
    for method, path, body in (
        ("POST", "/dags/retrain/dagRuns", started),
        ("POST", "/dags/rollback/dagRuns", asked),
        ("PATCH", run, {"state": "failed"}),
        ("PATCH", "/dags/retrain", {"is_paused": True}),
        ("POST", f"{run}/clear", {"dry_run": False}),
        ("DELETE", run, None),
        ("GET", "/connections", None),
        ("GET", "/variables", None),
    ):
        with pytest.raises(Unreachable, match=re.escape(f"answered 403 to {method} {path}")):
            viewer.call(method, path, body)


def test_who_is_not_logged_in_sees_nothing_and_nobody_what_is_outside(clone: Clone, up: Rest, second: str) -> None:
    login = {"username": VIEWER, "password": password(clone.home / "airflow", VIEWER)}
    token = requests.post(f"{clone.url}/auth/token", json=login, timeout=30).json()["access_token"]
    logged_in = {"Authorization": f"Bearer {token}"}

    def answers(path: str, headers: dict[str, str]) -> tuple[int, str]:
        found = requests.get(f"{clone.url}/nightloom/{path}", headers=headers, timeout=30)
        assert "default-src 'none'" in found.headers["Content-Security-Policy"]
        return found.status_code, found.text

    listed = up.call("GET", "/dags/retrain/dagRuns", run_type="manual", order_by="run_after")["dag_runs"]
    first = listed[0]["dag_run_id"]  # another one may have begun by the clock
    for path in ("registry", f"runs/retrain/{first}/", f"runs/retrain/{first}/data_docs/index.html"):
        assert answers(path, {})[0] == 401
        assert answers(path, {"Authorization": "Bearer x"})[0] in (401, 403)
        assert answers(path, logged_in)[0] == 200
    assert "promote" in answers(f"runs/retrain/{first}/", logged_in)[1]
    for path in (
        f"runs/verify/{first}/",  # a run of another DAG
        "runs/retrain/no-such-run/",
        f"runs/retrain/{first}/..%2f..%2fairflow%2fpasswords.json",
        f"runs/retrain/{first}/%2e%2e/%2e%2e/mlflow/mlflow.db",
        f"runs/retrain/..%2f..%2f..%2f{first}/",
    ):
        assert answers(path, logged_in)[0] == 404, path


def test_a_viewer_s_browser_shows_the_registry_and_triggers_nothing(clone: Clone, chromium: Browser, second: str) -> None:
    with browsers.page(chromium) as page:
        viewer = Person(page, clone.url)
        viewer.log_in(VIEWER, password(clone.home / "airflow", VIEWER))
        expect(viewer.registry().get_by_role("heading", name="fused-model v1.0.0 reigns")).to_be_visible()
        viewer.open_form("rollback", {"version": "v1.0.0", "reason": "mine"})
        page.get_by_test_id("trigger-dag-submit").click()
        expect(page.get_by_text("Forbidden").first).to_be_visible()
        assert clone.central("tag", "--list", "fused-model#champion#*") == "fused-model#champion#1"


@pytest.fixture(scope="module")
def waits(clone: Clone, up: Rest, second: str) -> str:
    """The second night, once it waits for a person: the id of its run."""
    assert until(lambda: waiting(up), lambda: "the night did not wait for a person") == [second]
    assert clone.central("tag", "--list", "fused-model#champion#2") == ""
    return second


@pytest.fixture(scope="module")
def approved(request: pytest.FixtureRequest, clone: Clone, up: Rest, waits: str) -> str:
    """A person approves it, in the browser where there is one, else in a shell: the id of its run."""
    if nobody_looks():
        assert clone.call("tasks.embedded", "approve", "--reason", WORD)[0] == 0
    else:
        person: Person = request.getfixturevalue("person")
        person.open_question("retrain", waits, WORD)
        browsers.keep(person.page, "approve", hidden=f"{clone.folder}/")
        person.approve()
        until(lambda: not waiting(up), lambda: "the answer did not arrive")
    return waits


def test_a_viewer_sees_the_question_and_may_not_answer(clone: Clone, waits: str) -> None:
    viewer = Rest(clone.url, VIEWER, password(clone.home / "airflow", VIEWER))
    assert waiting(viewer) == [waits]
    path = f"/dags/retrain/dagRuns/{waits}/taskInstances/approve/-1/hitlDetails"
    with pytest.raises(Unreachable, match="answered 403 to PATCH"):
        viewer.call("PATCH", path, {"chosen_options": ["Approve"], "params_input": {"reason": "mine"}})
    assert waiting(viewer) == [waits]


def test_the_person_sees_it_end(person: Person, approved: str) -> None:
    assert person.see_end("retrain", approved) == "success"
    if browsers.PICTURES:
        person.page.set_viewport_size({"width": 1100, "height": 1500})
        person.draw_graph("retrain", approved)
        browsers.keep(person.page, "dag")
        person.page.set_viewport_size({"width": browsers.WIDE[0], "height": browsers.WIDE[1]})


def test_a_person_s_word_is_kept(clone: Clone, up: Rest, approved: str) -> None:
    path = f"/dags/retrain/dagRuns/{approved}"
    until(lambda: up.call("GET", path)["state"] in OVER, lambda: "it did not end")
    told = clone.central("for-each-ref", "--format=%(contents)", "refs/tags/fused-model#champion#2").splitlines()
    assert {f"Run: {approved}", f"Approved-by: {USER}", f"Reason: {WORD}"} <= set(told)
    with sqlite3.connect(clone.home / "mlflow/mlflow.db") as database:
        query = "SELECT t.key, t.value FROM tags t JOIN tags r ON r.run_uuid = t.run_uuid AND r.value = ?"
        tags = dict(database.execute(query, (approved,)).fetchall())
    database.close()
    assert {"approval": "approved", "approval.by": USER, "approval.reason": WORD}.items() <= tags.items()
    assert up.xcom("retrain", approved, "approve")["commit"] == clone.central("rev-parse", "fused-model#champion#2^{commit}")


def test_next_night_faces_the_champion_and_fits_no_encoder(clone: Clone, up: Rest, approved: str) -> None:
    path = f"/dags/retrain/dagRuns/{approved}"
    assert until(lambda: (now := up.call("GET", path)["state"]) in OVER and now, lambda: "it did not end") == "success"
    closed = up.xcom("retrain", approved, "close")
    assert "promotion: approve" in clone.central("show", f"{closed['commit']}:params.yaml")
    reasons = {row["name"]: row["reason"] for row in closed["verdict"]["rows"]}
    assert re.match(r"0\.\d+ against 0\.\d+ of v1\.0\.0 on \d+ samples", reasons["champion"])
    second = clone.central("show", "nightly:dvc.lock")
    assert encoders(second) == encoders(clone.central("show", "fused-model@v1.0.0:dvc.lock"))
    logs = (clone.home / "logs/tasks").rglob("*pretrain*/*.log")
    fitting = [log for log in logs if "epoch" in log.read_text()]
    assert len(fitting) == 3  # of the first night


@pytest.fixture(scope="module")
def broken(clone: Clone, approved: str) -> Path:
    """A broken batch, which begins a night."""
    last = clone.folder / "data/0_landing/night-2"
    broken = clone.folder / "data/0_landing/night-3"
    shutil.copytree(last, broken, ignore=shutil.ignore_patterns("metadata.csv"))
    for picture in sorted((broken / "image").iterdir())[::3]:
        picture.write_bytes(picture.read_bytes()[:100])
    metadata = (last / "metadata.csv").read_text().replace("uci-", "new-")
    (broken / "metadata.csv").write_text(re.sub(r"(image|audio)/new-", r"\1/uci-", metadata))
    return broken


def test_a_version_has_a_model_card(clone: Clone, up: Rest, approved: str) -> None:
    card = Path(up.xcom("retrain", approved, "close")["report"]).with_name("card.md").read_text()
    assert card.startswith("# fused-model: model card")
    assert "verdict: promote, decided by champion" in card


def test_dvc_compares_the_scores_and_pictures_of_two_commits(clone: Clone, approved: str, tmp_path: Path) -> None:
    versions = ["fused-model@v1.0.0", f"fused-model@{clone.champion()}"]
    git("fetch", "--quiet", "--tags", str(clone.home / "central.git"), cwd=clone.folder)

    def dvc(*words: str) -> str:
        return subprocess.run(["dvc", *words], cwd=clone.folder, capture_output=True, text=True, check=True).stdout

    (scores,) = json.loads(dvc("metrics", "diff", "--json", *versions)).values()
    assert 0 < scores["samples"]["old"] < scores["samples"]["new"]
    dvc("plots", "diff", "--out", str(tmp_path / "plots"), *versions)
    drawn = {path.read_bytes() for path in (tmp_path / "plots").rglob("*.png")}
    assert len(drawn) == 4  # scores and shares of both
    assert (tmp_path / "plots/index.html").is_file()


@pytest.mark.parametrize("name", ["phone", "screen"])
def test_everybody_can_read_the_report(clone: Clone, person: Person, approved: str, broken: Path, name: str) -> None:
    size = {"phone": browsers.NARROW, "screen": browsers.WIDE}[name]
    page = person.page
    page.set_viewport_size({"width": size[0], "height": size[1]})
    asked = browsers.watched(page)
    answer = page.goto(f"{clone.url}/nightloom/runs/retrain/{quote(approved)}/")
    assert answer is not None
    assert len(answer.body()) < MOST_MB * 1e6
    assert page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd") < LONGEST_S * 1e3
    assert [one for one in asked if not one.startswith("data:")] == [answer.url]
    assert page.locator("h1").inner_text().lower() == "promote"
    assert browsers.findings(page) == []
    assert not browsers.overflows(page)
    browsers.keep(page, f"report-{size[0]}")
    page.set_viewport_size({"width": browsers.WIDE[0], "height": browsers.WIDE[1]})


def test_the_report_opens_from_the_run_and_every_task_leads_to_mlflow(
    clone: Clone, up: Rest, person: Person, approved: str
) -> None:
    report = person.report("retrain", approved)
    expect(report.get_by_role("heading", level=1)).to_have_text("promote")
    expect(report.get_by_role("region", name="The gate, row by row")).to_contain_text("champion")
    browsers.keep(person.page, "report-tab")
    logged = up.xcom("retrain", approved, "close")["mlflow"]
    links = up.call("GET", f"/dags/retrain/dagRuns/{approved}/taskInstances/train.concat/links")["extra_links"]
    assert links == {"MLflow run": f"http://127.0.0.1:{clone.mlflow_port}/#/runs/{logged}"}
    person.page.goto(links["MLflow run"])
    expect(person.page.get_by_text(approved).first).to_be_visible()


def test_the_registry_s_history_leads_to_the_runs(clone: Clone, person: Person, approved: str) -> None:
    registry = person.registry()
    expect(registry.get_by_role("heading", name=f"fused-model {clone.champion()} reigns")).to_be_visible()
    champions = registry.get_by_role("region", name="Champions").locator("tbody tr")
    assert [row.split("\t")[:2] for row in champions.all_inner_texts()] == [["2", clone.champion()], ["1", "v1.0.0"]]
    expect(champions.first).to_contain_text("against 0.")
    expect(champions.first).to_contain_text(WORD)
    champions.first.get_by_role("link", name=approved).click()
    person.page.wait_for_url(f"{clone.url}/dags/retrain/runs/**")


def test_a_person_rolls_back(clone: Clone, person: Person, web: Web, approved: str) -> None:
    left = clone.champion()
    person.open_form("rollback", {"version": "v1.0.0", "reason": "the new one mumbles"})
    run = person.send_form()
    assert person.see_end("rollback", run) == "success"
    said = clone.central("for-each-ref", "--format=%(contents)", "refs/tags/fused-model#champion#3").splitlines()
    assert {"Reason: the new one mumbles", f"Approved-by: {USER}", f"Run: {run}", f"Rolled-back: {left}"} <= set(said)
    registry = person.registry()
    expect(registry.get_by_role("heading", name="fused-model v1.0.0 reigns")).to_be_visible()
    expect(registry.get_by_role("region", name="Champions").locator("tbody tr").first).to_contain_text("the new one mumbles")
    browsers.keep(person.page, "registry")
    told = until(lambda: [body for _, body in web.got if body["run"] == run], lambda: "nobody was told who reigns again")
    assert [(body["event"], body["why"]) for body in told] == [("promotion", "the new one mumbles")]


@pytest.fixture(scope="module")
def rejected(up: Rest, broken: Path) -> str:
    """The night of the broken batch: the id of its run."""
    return landed(up, 1)


def test_a_broken_batch_stops_before_any_gpu_task_and_says_why(clone: Clone, up: Rest, rejected: str) -> None:
    assert up.call("GET", f"/dags/retrain/dagRuns/{rejected}")["state"] == "failed"
    closed = up.xcom("retrain", rejected, "close")
    assert closed["outcome"] == "batch rejected"
    assert any("night-3" in problem and "quarantine" in problem for problem in closed["problems"])
    began = {task["task_id"] for task in tasks(up, "retrain", rejected) if task["try_number"]}
    assert {"open", "validate", "admit", "close"} <= began
    assert not any(task.startswith(LEARNING) for task in began)
    assert "night-3" in Path(closed["report"]).read_text()
    assert (clone.folder / "data/0_landing/night-3/metadata.csv").is_file()


def test_people_were_told_once_what_happened_and_where_to_look(clone: Clone, web: Web, rejected: str, remade: str) -> None:
    told = [body for _, body in web.got if body["event"] != "drift" and "/dags/retrain/" in body["link"]]
    assert [body["event"] for body in told] == ["approval", "promotion", "rejection"]
    for body in told:
        assert body["look"].startswith(f"report: {clone.home}/reports/")
        assert body["link"].startswith(f"{clone.url}/dags/retrain/runs/")
    assert f"approved by {USER}: {WORD}" in told[1]["why"]
    assert "quarantine" in told[2]["why"]
    logs = [path.read_text() for path in (clone.home / "logs").rglob("*.log")]
    assert any("notice of promotion sent by webhook" in log for log in logs)
    assert not any("/canary" in log for log in logs)


def test_a_version_is_verified_bit_for_bit_and_the_registry_says_so(clone: Clone, up: Rest, remade: str) -> None:
    path = f"/dags/verify/dagRuns/{remade}"
    state = until(lambda: (now := up.call("GET", path)["state"]) in OVER and now, lambda: "verify did not end")
    assert state == "success"
    found = up.xcom("verify", remade, "remake")
    assert (found["differing"], found["work_differing"]) == ([], [])
    said = clone.central("for-each-ref", "--format=%(refname:short) %(*objectname)%0a%(contents)", "refs/tags/fused-model#*#*")
    entry = said[said.index("fused-model#verified#1") :]
    assert entry.split()[1] == clone.central("rev-parse", "fused-model@v1.0.0^{commit}")
    for line in ("Version: v1.0.0", "Outcome: bit-identical", "Work: the same", f"Run: {remade}"):
        assert line in entry.splitlines()


def test_a_version_that_cannot_be_made_again_is_a_red_run_and_is_told(up: Rest, web: Web) -> None:
    conf = {"logical_date": None, "conf": {"version": "v9.9.9"}}
    run = str(up.call("POST", "/dags/verify/dagRuns", conf)["dag_run_id"])
    path = f"/dags/verify/dagRuns/{run}"
    assert until(lambda: (now := up.call("GET", path)["state"]) in OVER and now, lambda: "verify did not end") == "failed"
    told = until(lambda: [body for _, body in web.got if body["run"] == run], lambda: "nobody was told")
    assert [body["event"] for body in told] == ["failure"]
    assert told[0]["why"].startswith("remake: unknown version 'v9.9.9'; known: v1.0.0")


def test_the_champion_predicts_what_has_landed_for_it_and_labels_that_come_later_score_it(clone: Clone, up: Rest) -> None:
    predictions = clone.home / "remote/predictions"
    live = predictions / "live/v1.0.0.json"
    until(live.is_file, lambda: "the night that brought the labels did not lead to a live score")
    table = pd.read_parquet(predictions / "v1.0.0").set_index("sample_id")
    night = pd.read_csv(clone.folder / "data/0_landing/night-2/metadata.csv", dtype=str).set_index("sample_id")
    assert len(table) == 40
    assert (table["label"] == night.loc[table.index, "label"]).mean() > 0.8
    assert not table["seen"].any()
    point = json.loads(live.read_text())["targets"]["label"]["all"]
    labels = night.loc[table.index, "label"].dropna()
    assert point["samples"] == len(labels)
    assert point["value"] == pytest.approx((table.loc[labels.index, "label"] == labels).mean())
    if "fused-model@v1.0.1" in clone.central("tag"):  # another version reigns: it predicts the same batch
        until((predictions / "v1.0.1").is_dir, lambda: "the new champion did not predict what lies there")


def test_a_batch_that_cannot_be_predicted_is_told_and_what_comes_after_does_not_hide_it(
    clone: Clone, up: Rest, web: Web
) -> None:
    batch = clone.folder / "data/0_to_score/strange"
    batch.mkdir()
    (batch / "metadata.csv").write_text("sample_id,picture\nx1,a.png\n")
    told = until(lambda: [body for _, body in web.got if "/dags/score/" in body["link"]], lambda: "nobody was told")
    shutil.rmtree(batch)
    assert told[0]["event"] == "failure"
    assert told[0]["why"].startswith("score: batch strange: ")
    run = told[0]["run"]
    path = f"/dags/score/dagRuns/{run}"
    assert until(lambda: (now := up.call("GET", path)["state"]) in OVER and now, lambda: "score did not end") == "failed"
    states = {task["task_id"]: task["state"] for task in tasks(up, "score", run)}
    assert states == {"score": "failed", "notify": "failed", "retrain": "skipped"}


def test_gc_takes_old_runs_out_of_airflows_history_and_leaves_the_others(
    clone: Clone, up: Rest, rejected: str, remade: str
) -> None:
    runs = {run["dag_run_id"] for run in up.call("GET", "/dags/retrain/dagRuns")["dag_runs"]}
    old = up.call("GET", "/dags/retrain/dagRuns", run_type="manual", order_by="run_after")["dag_runs"][0]["dag_run_id"]
    kept = runs - {old}  # of those that nobody triggered Airflow keeps the last one, however old
    before = {run: names(up, run) for run in runs}
    age(clone.home / "airflow/airflow.db", old)
    code, output = clone.call("tasks.gc")
    rows = 1 + len(before[old])
    assert code == 0
    assert f"would go: Airflow: {rows} rows from before" in output
    assert "WARNING" not in output
    assert names(up, old) == before[old]
    code, output = clone.call("tasks.gc", "--yes")
    assert code == 0
    assert f"deleted: Airflow: {rows} rows from before" in output
    assert {run["dag_run_id"] for run in up.call("GET", "/dags/retrain/dagRuns")["dag_runs"]} == kept
    assert {run: names(up, run) for run in kept} == {run: before[run] for run in kept}
    assert up.xcom("verify", remade, "record")["outcome"] == "bit-identical"


SAID = {
    "docs/recover.md": ("MLflow shows what the tags say; champion: v1.0.0", "v1.0.0: not reproducible: erased data"),
    "docs/reproduce.md": ("Data and pipelines are up to date.", "file(s) to 'champion'"),
}


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_the_pages_work_where_nights_were(
    clone: Clone, rejected: str, remade: str, tmp_path: Path, page: str
) -> None:
    project = restored(tmp_path / "project", clone.home, clone.folder / "data/0_landing")
    told = carry_out(page, project)
    for text in SAID.get(page, ()):
        assert text in told
    if page == "docs/data.md":  # what landed there is what is taken
        words = [sys.executable, "-m", "tasks.ingest"]
        told = subprocess.run(words, cwd=project, capture_output=True, text=True, check=True).stdout
        assert {"mine: 1 rows, 0 refused", "late-1: 2 rows, 0 refused"} <= set(told.splitlines())
