"""What a closed run says about its candidate, compared with the content that it names."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.errors import ContractBroken, Refused
from tasks.files import file_digest, folder_digest, read_json
from tasks.paths import BUNDLE, INDEX, REPORTS
from tasks.promote.announce import one_line
from tasks.run import intact, lock

VERDICT = REPORTS / "verdict.json"


@dataclass(frozen=True)
class Claim:
    """One run's claim to the next reign."""

    run: str
    commit: str  # that closed the run
    approved_by: str
    verdict: Mapping[str, Any]
    report: str  # sha256 of verdict.json
    bundle: str  # md5 of the bundle, as dvc.lock names it
    reason: str = ""  # why a person approved

    @property
    def number(self) -> int:
        """The reign that the verdict is about: the one after the champion it was measured against."""
        return int(self.verdict["champion"]["number"]) + 1


def read_claim(work: Path, run: str, commit: str, approved_by: str, reason: str = "") -> Claim:
    """Bring the verdict and the bundle into a workspace and compare them.

    Raises:
        Refused: there is no verdict, it is no "promote", or it wants a person's word and there is no reason.
        ContractBroken: the bundle or the data is not what the verdict names, or the code is not what it was run with.
    """
    entries = lock.read(work)
    bundle = next((out["md5"] for out in entries.get("select", {}).get("outs", ()) if out["path"] == str(BUNDLE)), None)
    if bundle is None or "gate" not in entries:
        raise Refused(f"run {run} has no verdict: dvc.lock of {commit[:12]} has no entry for select or gate")
    pull(work, VERDICT, BUNDLE)
    verdict = read_json(work / VERDICT)
    if verdict["verdict"] != "promote":
        raise Refused(
            f"run {run} is not to be promoted: its verdict is {verdict['verdict']}, decided by {verdict['decided_by']}"
        )
    if verdict.get("approval") and not one_line(reason):
        raise Refused(f"run {run} is not to be promoted without a person ({verdict['approval']}): say who approves, and why")
    found = {"candidate": folder_digest(work / BUNDLE), "data": file_digest(work / INDEX)}
    for what, digest in found.items():
        if verdict[what] != digest:
            raise ContractBroken(
                f"the verdict of run {run} is about another {what} than commit {commit[:12]} holds"
                f" (sha256 {verdict[what]} expected, {digest} found): run again"
            )
    if changed := _changed(work):
        raise ContractBroken(
            f"the verdict of run {run} is about other code or parameters than commit {commit[:12]} holds"
            f" ({', '.join(changed[:3])} changed since): run again"
        )
    return Claim(run, commit, approved_by, verdict, file_digest(work / VERDICT), bundle, one_line(reason))


def _changed(work: Path) -> list[str]:
    """What stages of dvc.lock were run with and is not what the commit holds; what is not in git is named by its hash."""
    from dvc.repo import Repo
    from dvc.stage import PipelineStage

    with Repo(str(work)) as repo:
        stages = [stage for stage in repo.index.stages if isinstance(stage, PipelineStage)]
        deps = [(stage.name, dep) for stage in stages for dep in stage.deps if dep.exists]
        return sorted({f"{dep} of {name}" for name, dep in deps if dep.workspace_status()})


def pull(work: Path, *paths: Path) -> None:
    """Bring what DVC keeps into a workspace, verified by hash.

    Raises:
        NoData: the remote lacks some of it, or holds it damaged.
    """
    from dvc.repo import Repo

    with Repo(str(work)) as repo:
        intact.bring(repo, [str(work / path) for path in paths])
