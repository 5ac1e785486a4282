"""The addresses below /nightloom of Airflow's API server: whoever asks must be logged in there and may read the DAG."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.core_api.security import requires_access_dag
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from markupsafe import Markup
from starlette.exceptions import HTTPException as Refused

from tasks import report
from tasks.errors import TasksError
from tasks.report.card import CARD
from tasks.run.redact import redacted
from tasks.run.settings import settings
from tasks.ui import runs
from tasks.ui.history import Champion, Made, history

HERE = Path(__file__).parent
LINK = (HERE / "link.js").read_text()
FRAMED = "; frame-ancestors 'self'"  # by Airflow's own pages alone
REPORT = report.policy(report.SCRIPT) + FRAMED
OURS = report.policy(LINK) + FRAMED
DOCS = f"default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self'; form-action 'none'; base-uri 'none'{FRAMED}"
AGAIN_S = 10  # until a page asks anew what became of a run
OVER = ("success", "failed")

app = FastAPI(title="Nightloom", docs_url=None, redoc_url=None, openapi_url=None)
of_this_dag = Depends(requires_access_dag("GET", DagAccessEntity.RUN))  # the one that the path names
of_the_night = Depends(requires_access_dag("GET", DagAccessEntity.RUN, runs.DAG))
templates = report.environment(HERE)


def html(text: str | bytes, policy: str = OURS, code: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer that is kept by nobody and framed by Airflow alone, with the policy that its kind of page wants."""
    safe = {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
    return Response(text, code, {**safe, **(headers or {})}, "text/html; charset=utf-8")


def told(head: str, why: str) -> str:
    """A page of two sentences."""
    return templates.get_template("told.html").render(style=report.STYLE, head=head, why=why)


@app.get("/runs/{dag_id}/{run_id}/", dependencies=[of_this_dag])
def run_page(dag_id: str, run_id: str) -> Response:
    """A run's report; before it is written, and where it is gone, what Airflow knows of the verdict."""
    state = runs.state(dag_id, run_id)
    if state is None:
        raise HTTPException(404, f"{dag_id} has no run {run_id}")
    if dag_id != runs.DAG:
        return html(told("No report", f"Runs of {dag_id} write none; what its tasks returned is under XCom."))
    closed = runs.returned(run_id, "close")
    if found := runs.written(settings(), run_id, closed):
        return html(found, REPORT)
    if closed:
        return html(_rows(run_id, closed), REPORT)
    if state in OVER:
        return html(told("No report", _nothing(run_id) or "The run ended before the task close could write one."))
    waiting = told("No verdict yet", f"The run is {state}; the report is here once the task close has ended.")
    return html(waiting, headers={"Refresh": str(AGAIN_S)})


def _nothing(run: str) -> str:
    """Why there was nothing to do."""
    return str((runs.returned(run, "open") or {}).get("nothing", ""))


def _rows(run: str, closed: dict[str, Any]) -> str:
    """The verdict and the gate's rows, out of what `close` returned."""
    lost = "the report itself is not on this machine, nor does MLflow give it: this is what Airflow kept of it"
    return report.page(
        Path("/"),
        outcome=closed["outcome"],
        run=run,
        commit=closed["commit"],
        verdict=closed["verdict"],
        scores=closed["scores"],
        problems=[*closed["problems"], lost],
    )


@app.get("/runs/{dag_id}/{run_id}/card.md", dependencies=[of_this_dag])
def run_card(dag_id: str, run_id: str) -> Response:
    """A run's model card, as text."""
    there = dag_id == runs.DAG and runs.state(dag_id, run_id)
    found = runs.written(settings(), run_id, runs.returned(run_id, "close"), CARD) if there else None
    if found is None:
        raise HTTPException(404, f"run {run_id} has no model card: it was not judged, or its card is on another machine")
    return html(found, headers={"Content-Type": runs.TYPES[".md"]})


@app.get("/runs/{dag_id}/{run_id}/{path:path}", dependencies=[of_this_dag])
def run_file(dag_id: str, run_id: str, path: str) -> Response:
    """What a report links to: Great Expectations' Data Docs, with no script."""
    found = runs.file(settings(), run_id, path) if dag_id == runs.DAG and runs.state(dag_id, run_id) else None
    if found is None:
        raise HTTPException(404, f"{path} is not there: Data Docs stay on the machine that runs the queue `control`")
    return html(found.read_bytes(), DOCS, headers={"Content-Type": runs.TYPES[found.suffix]})


@app.get("/registry", dependencies=[of_the_night])
def registry_page() -> Response:
    """The registry's history, as central has it now."""
    return html(drawn(*history(settings())))


def drawn(champions: Sequence[Champion], versions: Sequence[Made]) -> str:
    """The registry's page."""
    page = templates.get_template("history.html")
    ours = {"style": report.STYLE, "script": Markup(LINK), "quote": _quoted}  # noqa: S704  our own file
    return page.render(**ours, champions=champions, versions=versions)


def _quoted(text: str) -> str:
    return quote(text, safe="")


@app.exception_handler(Refused)
async def refused(request: Request, error: Refused) -> Response:
    """Say it to a person."""
    why = {401: "Log in to Airflow first.", 403: "You may not read this DAG; an administrator of Airflow can change that."}
    head = {401: "Not logged in", 403: "Not for you", 404: "Not found"}.get(error.status_code, "Refused")
    return html(told(head, why.get(error.status_code, str(error.detail))), code=error.status_code)


@app.exception_handler(TasksError)
async def mistaken(request: Request, error: TasksError) -> Response:
    """A known mistake, such as a central that is away."""
    return html(told("Not to be shown now", redacted(str(error))), code=503)
