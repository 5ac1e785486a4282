"""In a child process: do what one Airflow task asks for, `python -m tasks.run` with the request on standard input."""

import gc
from collections.abc import Callable, Mapping
from typing import Any

from tasks.errors import Overtaken, WrongValue
from tasks.run.child import answer, request
from tasks.run.failures import say
from tasks.run.parsing import parse_once
from tasks.run.reflink import reflink_whole
from tasks.run.settings import settings
from tasks.stage import leave


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


def _docs(body: Mapping[str, Any]) -> object:
    from tasks.run.admit import data_docs

    return data_docs(settings(), body["run"], body["opened"]["commit"], _locks(body["fragments"]))


def _measure(body: Mapping[str, Any]) -> object:
    from tasks.run.measured import measured

    spent_s = {name: fragment["spent_s"].get("repro", 0.0) for name, fragment in body["fragments"].items()}
    return measured(settings(), body["opened"]["commit"], _locks(body["fragments"]), spent_s)


def _close(body: Mapping[str, Any]) -> object:
    from tasks.run.close import close

    told = {name: body[name] for name in ("admit", "measure", "failures")}
    return close(settings(), body["opened"], body["fragments"], told)


def _verify(body: Mapping[str, Any]) -> object:
    from tasks.reproduce import remake

    return remake(settings(), body["closed"]["commit"], f"the candidate of run {body['run']}").as_json()


def _promote(body: Mapping[str, Any]) -> object:
    from tasks.promote.mirror import mirror
    from tasks.promote.promote import promote

    closed, approved = body["closed"], body.get("approved") or {"by": "the gate (promotion: auto)", "reason": ""}
    by = f"{approved['by']}, made again bit for bit" if closed["verify"] else approved["by"]
    try:
        promoted = promote(settings(), body["run"], closed["commit"], by, approved["reason"])
    except Overtaken as overtaken:
        return {"promoted": False, "overtaken": str(overtaken)}
    try:
        mirror(settings())
    except Exception as error:  # the tags are the record; the next promotion mends the mirror
        print(f"promoted, but MLflow does not show it: {type(error).__name__}: {error}", flush=True)
    return promoted


def _answered(body: Mapping[str, Any]) -> object:
    from tasks.promote.runs import tag_run

    answer = body["answered"]
    told = {"approval": answer["answer"], "approval.by": answer["by"], "approval.reason": answer["reason"]}
    try:
        tag_run(settings(), body["run"], told)
    except Exception as error:  # the answer is with Airflow, and in the tag
        print(f"MLflow does not show the answer: {type(error).__name__}: {error}", flush=True)
    return None


def _remake(body: Mapping[str, Any]) -> object:
    from tasks.reproduce import reproduce

    return reproduce(settings(), body["form"]["version"]).as_json()


def _attest(body: Mapping[str, Any]) -> object:
    from tasks.reproduce.attest import attest

    return attest(settings(), body["form"]["version"], body["remade"], body["run"], body["by"])


def _rollback(body: Mapping[str, Any]) -> object:
    from tasks.promote.rollback import rollback

    form = body["form"]
    answer = rollback(settings(), form["version"], form["reason"], body["run"], body["by"])
    done = "is" if answer["rolled_back"] else "reigns already, nothing to do:"
    print(f"{answer['version']} {done} champion #{answer['number']}", flush=True)
    return answer


def _score(body: Mapping[str, Any]) -> object:
    from tasks.run.scored import score

    return score(settings(), body["run"], body["version"])


def _resync(body: Mapping[str, Any]) -> object:
    from tasks.promote.mirror import resync

    return resync(settings())


def _locks(fragments: Mapping[str, Any]) -> dict[str, Any]:
    return {name: fragment["lock"] for name, fragment in fragments.items()}


VERBS: Mapping[str, Callable[[Mapping[str, Any]], object]] = {
    "open": _open,
    "fill": _fill,
    "stage": _stage,
    "admit": _admit,
    "docs": _docs,
    "measure": _measure,
    "close": _close,
    "verify": _verify,
    "answered": _answered,
    "promote": _promote,
    "remake": _remake,
    "attest": _attest,
    "rollback": _rollback,
    "resync": _resync,
    "score": _score,
}

GARBAGE_AFTER = 50_000  # objects; Python's own 700 costs a fifth of the time that imports take

if __name__ == "__main__":
    asked = request()
    gc.set_threshold(GARBAGE_AFTER)
    try:
        parse_once()
        reflink_whole()
        answer(asked["answer"], VERBS[asked["verb"]](asked))
        code = 0
    except Exception as error:
        code = say(error)
    leave(code)
