"""A person's word between verdict and promotion, as an Airflow task: it waits in Airflow's UI, and no worker waits with it.

Airflow's own human-in-the-loop: the task asks and ends; the answer, or the end of NIGHTLOOM_APPROVAL_HOURS, starts it again.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param
from airflow.sdk.exceptions import AirflowException, AirflowSkipException, DownstreamTasksSkipped

from tasks.errors import WrongValue
from tasks.run.child import Child
from tasks.run.operators import fail
from tasks.run.settings import approval_hours
from tasks.stage import die_with_parent

APPROVE, REJECT = "Approve", "Reject"  # Airflow's UI knows these two words and shows a button for each
APPROVED, REJECTED, TIMED_OUT = "approved", "rejected", "timed out"
LONGEST = 500  # characters of a reason
NO_REASON = "no reason given"  # the UI wants one, the REST API does not


def wanted(closed: Mapping[str, Any]) -> str:
    """Why a person must approve what this closed run would promote, or nothing."""
    verdict = closed.get("verdict") or {}
    return str(verdict.get("approval", "")) if verdict.get("verdict") == "promote" and not closed["dry_run"] else ""


class Approve(HITLOperator):  # type: ignore[misc]  # Airflow's providers have no types
    """Ask whether the candidate is to be promoted; only a yes lets `promote` begin, a no is an outcome like any other."""

    def __init__(self, **kwargs: Any) -> None:
        """Ask what every run asks; `execute` adds what this one found."""
        # Airflow hands in the trigger form's fields; the person who is asked here is asked for a reason alone.
        reason = Param("", type="string", title="Reason", description="Why; it is kept with the registry.")
        kwargs["params"] = {"reason": reason}
        super().__init__(subject="Promote the candidate?", options=[APPROVE, REJECT], **kwargs)
        self._child: Child | None = None

    def execute(self, context: Any) -> None:
        """Ask, and wait without a worker."""
        closed = context["ti"].xcom_pull(task_ids="close") or {"dry_run": True}
        if not wanted(closed):
            raise AirflowSkipException("nobody is to be asked: see the task `close`")
        try:
            hours = approval_hours()
        except WrongValue as mistake:
            fail(context, str(mistake))
        self.subject = f"Promote the candidate of run {context['run_id']}?"
        self.body = body(closed, hours)
        self.response_timeout = timedelta(hours=hours)
        super().execute(context)

    def execute_complete(self, context: Any, event: dict[str, Any]) -> dict[str, Any]:
        """Note the answer; without a yes nothing is promoted, and the run stays green."""
        closed = context["ti"].xcom_pull(task_ids="close")
        answer = {**read(event), "commit": closed["commit"]}
        print(answer["told"], flush=True)
        self._note(context["run_id"], answer)
        if answer["answer"] == APPROVED:
            return answer
        context["ti"].xcom_push(key="return_value", value=answer)
        raise DownstreamTasksSkipped(tasks=["promote", *([] if closed.get("shadow") else ["again"])])  # type: ignore[no-untyped-call]  # Airflow's

    def _note(self, run: str, answer: Mapping[str, Any]) -> None:
        """Let MLflow show it; a mirror that is away must not lose a person's word."""
        die_with_parent()
        self._child = Child("tasks.run", {"verb": "answered", "run": run, "answered": dict(answer)})
        self._child.wait()

    def on_kill(self) -> None:
        """Kill the child."""
        if self._child is not None:
            self._child.kill()


def read(event: Mapping[str, Any]) -> dict[str, str]:
    """What was answered: `answer` (approved, rejected, timed out), `by`, `reason`, and `told`: all of it in a line.

    Raises:
        AirflowException: Airflow brought no answer; the task asks again.
    """
    if event.get("error_type") == "timeout":
        reason = "nobody answered in time (NIGHTLOOM_APPROVAL_HOURS)"
        return {"answer": TIMED_OUT, "by": "", "reason": reason, "told": f"not approved: {reason}"}
    chosen, user = event.get("chosen_options") or [], event.get("responded_by_user") or {}
    if chosen not in ([APPROVE], [REJECT]) or not user.get("name"):
        raise AirflowException(f"Airflow brought no answer: {event.get('error') or chosen}")
    answer, by = APPROVED if chosen == [APPROVE] else REJECTED, str(user["name"])
    reason = " ".join(str((event.get("params_input") or {}).get("reason") or "").split())[:LONGEST] or NO_REASON
    return {"answer": answer, "by": by, "reason": reason, "told": f"{answer} by {by}: {reason}"}


def body(closed: Mapping[str, Any], hours: float) -> str:
    """What the person decides on, in Markdown: the rows that decided or failed, and where all of it is."""
    verdict = closed["verdict"]
    shown = [r for r in verdict["rows"] if r["verdict"] == "fail" or r["name"] == verdict["decided_by"]]
    rest = [r["name"] for r in verdict["rows"] if r["verdict"] == "pass" and r not in shown]
    reigning = (verdict.get("champion") or {}).get("version")
    rows = [
        f"- {row['name']}, {row['verdict']}{'' if row['blocking'] else ' (warns)'}: {_code(row['reason'])}" for row in shown
    ]
    return "\n".join(
        [
            f"The gate says **{verdict['verdict']}**. A person is asked, because {_code(verdict['approval'])}",
            "",
            *rows,
            *([f"- passed as well: {', '.join(rest)}"] if rest else []),
            f"- reigning now: {_code(f'fused-model@{reigning}') if reigning else 'nobody'}",
            f"- report: the run's tab Report, or {_code(closed['report'])}",
            f"- commit: {_code(closed['commit'])}",
            "",
            f"No answer within {hours:g} hours is a no. Should another champion reign by then, a yes promotes nothing: the run"
            " is judged again, and asks again.",
        ]
    )


def _code(text: str) -> str:
    """Words that people landed, so that Markdown makes no link or picture of them."""
    return f"`{' '.join(text.replace('`', chr(39)).split())}`"
