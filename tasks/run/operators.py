"""The parts of a run as Airflow tasks: each does its work in a child that dies with it."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NoReturn

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from tasks.run.child import BUG, MISTAKE, Child, Ended
from tasks.stage import die_with_parent

# For workers, disks, stores and git servers that come back; a known mistake fails at once, a bug at its second traceback.
RETRY = {
    "retries": 10,
    "retry_delay": timedelta(seconds=5),
    "retry_exponential_backoff": 1.5,  # each wait is so much longer than the one before
    "max_retry_delay": timedelta(minutes=2),
}


FAILURE = "failure"  # the XCom in which a task that failed says why: exceptions stay where they were raised


def fail(context: Any, why: str) -> NoReturn:
    """Fail for good, and leave the reason to those who tell people.

    Raises:
        AirflowFailException: always.
    """
    context["ti"].xcom_push(key=FAILURE, value=why)
    raise AirflowFailException(why)


def failure(context: Any, task: str) -> str:
    """Why a task of this run failed, when it could say so; else nothing."""
    return str(context["ti"].xcom_pull(task_ids=task, key=FAILURE) or "")


class Step(BaseOperator):
    """A task of a run: `verb` is done by `python -m tasks.run` in a process group of its own.

    A known mistake fails at once, a bug after a second traceback; infrastructure is for Airflow to try again.
    """

    def __init__(self, *, verb: str, **kwargs: Any) -> None:
        """Name what to do; Airflow's own arguments follow."""
        super().__init__(**kwargs)
        self.verb = verb
        self._child: Child | None = None

    def request(self, context: Any) -> dict[str, Any]:
        """What the child is asked; a subclass adds to it."""
        return {"verb": self.verb, "run": context["run_id"]}

    def execute(self, context: Any) -> Any:
        """Run the child to its end; its answer goes to XCom."""
        die_with_parent()  # a worker that was killed leaves nothing at work: not this process, and so not its child
        body = self.request(context)
        ended = self._ended(body)
        if ended.code == BUG:
            print(f"{self.verb} ended with a traceback; once more, in case that was by chance", flush=True)
            ended = self._ended(body)
        last = ended.last.removeprefix("nightloom: ")
        if ended.code == MISTAKE:
            fail(context, last)
        if ended.code == BUG:
            fail(context, f"{self.verb} ended with a traceback, twice: {last}")
        if ended.code != 0:
            why = f"{self.verb} ended with exit code {ended.code}: {last}"
            context["ti"].xcom_push(key=FAILURE, value=why)  # this try may be the last one
            raise AirflowException(why)
        return self.read(ended.answer, dict(ended.work), context)

    def _ended(self, body: dict[str, Any]) -> Ended:
        self._child = Child("tasks.run", body)
        return self._child.wait()

    def read(self, answer: Any, work: dict[str, int], context: Any) -> Any:
        """Make the XCom value of the child's answer."""
        return answer

    def on_kill(self) -> None:
        """Kill the child and all it started."""
        if self._child is not None:
            self._child.kill()


def opened(context: Any) -> dict[str, Any]:
    """What `open` returned in this run."""
    found: dict[str, Any] | None = context["ti"].xcom_pull(task_ids="open")
    if found is None:  # skipping here would make a run green whose `open` failed
        raise AirflowFailException("no run was opened: see the task `open`")
    if "nothing" in found:
        raise AirflowSkipException(found["nothing"])
    return found


class OpenRun(Step):
    """Make the run's commit of what landed and what the trigger form says; skip the night when there is nothing new."""

    def __init__(self, *, graph: dict[str, list[str]], **kwargs: Any) -> None:
        """Take the graph that Airflow shows."""
        super().__init__(verb="open", **kwargs)
        self.graph = graph

    def request(self, context: Any) -> dict[str, Any]:
        """Add the form and the graph."""
        return {**super().request(context), "form": dict(context["params"]), "deployed": self.graph}

    def read(self, answer: Any, work: dict[str, int], context: Any) -> Any:
        """Skip the night, and so all that follows, when there is nothing to do."""
        if "nothing" in answer:
            context["ti"].xcom_push(key="return_value", value=answer)
            raise AirflowSkipException(answer["nothing"])
        return answer


class StageStep(Step):
    """One stage of dvc.yaml."""

    def __init__(self, *, stage: str, upstream: Sequence[str], **kwargs: Any) -> None:
        """Take the stage's name and the names of the stages it waits for."""
        super().__init__(verb="stage", **kwargs)
        self.stage = stage
        self.upstream = list(upstream)

    def request(self, context: Any) -> dict[str, Any]:
        """Add the run's commit and what the stages before locked."""
        run = opened(context)
        if self.stage not in run["stages"]:
            raise AirflowSkipException(f"{self.stage} is not a stage of this run's dvc.yaml and params.yaml")
        body = {**super().request(context), "opened": run, "stage": self.stage}
        return {**body, "fragments": fragments(context, self.upstream)}

    def read(self, answer: Any, work: dict[str, int], context: Any) -> Any:
        """Add what the stage counted."""
        # As text: PostgreSQL keeps JSON with its keys sorted its own way, and dvc.lock's bytes are those of DVC's order.
        return {**answer, "lock": json.dumps(answer["lock"]), "work": work}


class Shares(BaseOperator):
    """Say in how many shares the raw partitions of a modality are computed: none when one worker does it all."""

    def __init__(self, *, modality: str, most: int, **kwargs: Any) -> None:
        """Take the modality, and how many shares there may be."""
        super().__init__(**kwargs)
        self.modality = modality
        self.most = most

    def execute(self, context: Any) -> list[list[int]]:
        """Return the shares of this run's partitions, as [number, of how many]."""
        return shared(opened(context)["partitions"].get(self.modality, 0), self.most)


def shared(partitions: int, most: int) -> list[list[int]]:
    """The shares of some partitions, as [number, of how many]."""
    count = min(partitions, most)
    return [[number, count] for number in range(count)] if count > 1 else []


class Share(StageStep):
    """A share of a stage's raw partitions, computed into the memo for the stage to find."""

    def __init__(self, *, share: Sequence[int], **kwargs: Any) -> None:
        """Take the share's number and how many there are."""
        super().__init__(**kwargs)
        self.share = share
        self.verb = "fill"

    def request(self, context: Any) -> dict[str, Any]:
        """Add which share."""
        return {**super().request(context), "share": self.share[0], "shares": self.share[1]}

    def read(self, answer: Any, work: dict[str, int], context: Any) -> Any:
        """Say how many partitions were computed: what they are is in the memo."""
        return answer


def fragments(context: Any, stages: Sequence[str]) -> dict[str, Any]:
    """What these stages returned in this run; a stage that did not end well is absent."""
    found = {stage: context["ti"].xcom_pull(task_ids=stage.replace("@", ".")) for stage in stages}
    return {stage: {**f, "lock": json.loads(f["lock"])} for stage, f in found.items() if f and "lock" in f}


class After(Step):
    """What comes after stages: admit, measure, docs, close."""

    def __init__(self, *, stages: Sequence[str], **kwargs: Any) -> None:
        """Take the names of the stages whose fragments are wanted."""
        super().__init__(**kwargs)
        self.stages = list(stages)

    def request(self, context: Any) -> dict[str, Any]:
        """Add the run, the fragments and what earlier tasks returned."""
        pull = context["ti"].xcom_pull
        body = {**super().request(context), "opened": opened(context), "fragments": fragments(context, self.stages)}
        return {**body, "admit": pull(task_ids="admit"), "measure": pull(task_ids="measure")}


class Admit(After):
    """Stop the night when critical expectations fail."""

    def read(self, answer: Any, work: dict[str, int], context: Any) -> Any:
        """Fail when the batch was refused; `close` reads why."""
        if answer["refused"]:
            context["ti"].xcom_push(key="return_value", value=answer)
            raise AirflowFailException(answer["refused"])
        return answer


class Docs(After):
    """Show what `validate` found, however the night ended."""

    def request(self, context: Any) -> dict[str, Any]:
        """Skip when there is nothing to show."""
        body = super().request(context)
        if "validate" not in body["fragments"]:
            raise AirflowSkipException("validate did not end well: it left nothing to show")
        return body
