"""In a child process: do what one Airflow task asks for, `python -m tasks.run` with the request on standard input."""

import sys
from collections.abc import Callable, Mapping
from typing import Any

from tasks.errors import NoData, TasksError, WrongValue
from tasks.run.child import MISTAKE, answer, request
from tasks.run.git import GitFailed
from tasks.run.settings import settings


def _open(body: Mapping[str, Any]) -> object:
    from tasks.run.open import Form, open_run

    try:
        form = Form(**body["form"])
    except TypeError as error:
        raise WrongValue(f"the trigger's conf: {str(error).replace('Form.__init__() ', '')}") from error
    return open_run(settings(), body["run"], form, body["deployed"])


def _stage(body: Mapping[str, Any]) -> object:
    from tasks.run.stage import run_stage

    return run_stage(settings(), body["opened"]["commit"], body["stage"], _locks(body["fragments"]))


def _fill(body: Mapping[str, Any]) -> object:
    from tasks.run.fill import fill

    return fill(settings(), body["opened"]["commit"], body["stage"], _locks(body["fragments"]), body["share"], body["shares"])


def _admit(body: Mapping[str, Any]) -> object:
    from tasks.run.admit import admit

    return admit(settings(), body["run"], body["opened"]["commit"], _locks(body["fragments"]))


def _measure(body: Mapping[str, Any]) -> object:
    from tasks.run.measured import measured

    return measured(settings(), body["opened"]["commit"], _locks(body["fragments"]))


def _close(body: Mapping[str, Any]) -> object:
    from tasks.run.close import close

    return close(settings(), body["opened"], body["fragments"], {"admit": body["admit"], "measure": body["measure"]})


def _promote(body: Mapping[str, Any]) -> object:
    from tasks.promote.mirror import mirror
    from tasks.promote.promote import promote

    promoted = promote(settings(), body["run"], body["closed"]["commit"], "the gate (promotion: auto)")
    try:
        mirror(settings())
    except Exception as error:  # the tags are the record; the next promotion mends the mirror
        print(f"promoted, but MLflow does not show it: {type(error).__name__}: {error}", flush=True)
    return promoted


def _locks(fragments: Mapping[str, Any]) -> dict[str, Any]:
    return {name: fragment["lock"] for name, fragment in fragments.items()}


VERBS: Mapping[str, Callable[[Mapping[str, Any]], object]] = {
    "open": _open,
    "fill": _fill,
    "stage": _stage,
    "admit": _admit,
    "measure": _measure,
    "close": _close,
    "promote": _promote,
}

if __name__ == "__main__":
    asked = request()
    try:
        answer(asked["answer"], VERBS[asked["verb"]](asked))
    except TasksError as mistake:
        print(f"nightloom: {mistake}", flush=True)
        sys.exit(1 if isinstance(mistake, GitFailed | NoData) else MISTAKE)  # what is far away may answer next time
