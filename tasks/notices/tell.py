"""When people are told: after Airflow has recorded how a task ended, so that a try that is repeated tells nothing twice."""

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

from airflow.sdk import BaseNotifier, BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from tasks.notices import notice
from tasks.notices.notice import Notice
from tasks.run.operators import failure
from tasks.run.redact import redacted
from tasks.run.settings import channels

FAILING = {  # DAG -> what a task `notify` tells of, in the order in which one is why the others did nothing
    "retrain": ("open", "close", "verify", "approve", "promote"),
    "score": ("score",),
    "verify": ("remake", "record"),
}


class Tell(BaseNotifier):
    """A notifier for one of Airflow's callbacks: sends what `told` makes of a task's context, and never fails."""

    def __init__(self, told: Callable[[Any], Sequence[Notice]]) -> None:
        """Take what is to be told."""
        super().__init__()
        self.told = told

    def notify(self, context: Any) -> None:
        """Tell it; a mistake in the settings, or of ours, is a line in the log."""
        try:
            to = channels()
            if not (to.slack or to.webhook or to.mail):
                return
            from tasks.notices.channels import send

            for one in self.told(context):
                send(one, to)
        except Exception as error:
            print(redacted(f"nobody was told: {type(error).__name__}: {error}"), flush=True)


class Notify(BaseOperator):
    """Tell that a run failed: a task, since a killed worker tells nothing; with the rule `one_failed` a good night has none."""

    def execute(self, context: Any) -> None:
        """Tell it, and fail: Airflow calls a run good whose last tasks are."""
        Tell(failed)(context)
        raise AirflowFailException("this run failed: see the tasks before this one")


def judged(context: Any) -> list[Notice]:
    """After `close`."""
    return notice.judged(context["run_id"], _returned(context, "close"), link(context))


def asked(context: Any) -> list[Notice]:
    """When `approve` begins to wait."""
    return notice.asked(context["run_id"], _returned(context, "close"), link(context, "/tasks/approve/required_actions"))


def answered(context: Any) -> list[Notice]:
    """After `approve`."""
    return notice.answered(context["run_id"], _returned(context, "close"), _returned(context, "approve"), link(context))


def promoted(context: Any) -> list[Notice]:
    """After `promote`."""
    closed, answer, approved = (_returned(context, task) for task in ("close", "promote", "approve"))
    return notice.promoted(context["run_id"], closed, answer or {}, approved, link(context))


def restored(context: Any) -> list[Notice]:
    """After `rollback`."""
    form, answer = context["params"], _returned(context, "rollback")
    return notice.restored(context["run_id"], answer, form["reason"], link(context))


def scored(context: Any) -> list[Notice]:
    """After `score`."""
    answer = _returned(context, "score")
    lost = failed(context) if answer is None or failure(context, "score") else []
    return [*lost, *(notice.scored(context["run_id"], answer, link(context)) if answer else [])]


def failed(context: Any) -> list[Notice]:
    """When a run fails, or a task of it that is no stage."""
    own = context["ti"].task_id
    tasks = FAILING[context["ti"].dag_id] if own == "notify" else (own,)
    return notice.failed(
        context["run_id"],
        _returned(context, "close") if own == "notify" else None,
        {task: failure(context, task) for task in tasks},
        link(context),
    )


def link(context: Any, page: str = "") -> str:
    """A page of this run in Airflow's UI."""
    from airflow.sdk.configuration import conf

    base = str(conf.get("api", "base_url", fallback="")).rstrip("/")
    return f"{base}/dags/{quote(context['ti'].dag_id)}/runs/{quote(context['run_id'], safe='')}{page}"


def _returned(context: Any, task: str) -> Any:
    return context["ti"].xcom_pull(task_ids=task)
