"""Promotion: the version's name, twice is once, what is refused, and what other tools read in the tags."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.errors import ContractBroken, NoData, Overtaken, Refused, WrongValue
from tasks.promote import registry
from tasks.promote.__main__ import main
from tasks.promote.promote import promote
from tasks.run.git import git
from tasks.run.settings import Settings
from tests.promote.conftest import Project


def test_first_promotion_makes_the_first_version_and_the_first_champion(project: Project) -> None:
    commit = project.close("night-1", "a")
    verdict = (project.folder / "data/6_reports/verdict.json").read_bytes()

    answer = promote(project.s, "night-1", commit, "Ada\nAnchor: v9.9.9")  # must not pass for a trailer

    assert answer == {"version": "v1.0.0", "number": 1, "tag": "fused-model#champion#1", "commit": commit, "promoted": True}
    reign = registry.champion(project.s.central)
    assert reign is not None
    assert (reign.number, reign.version, reign.commit) == (1, "v1.0.0", commit)
    assert registry.anchor(project.s.central) == reign
    bundle_md5 = next(line.split()[-1] for line in (project.folder / "dvc.lock").read_text().splitlines() if ".dir" in line)
    assert reign.trailers == {
        "Run": "night-1",
        "Commit": commit,
        "Previous": "none",
        "Report": f"sha256:{hashlib.sha256(verdict).hexdigest()}",
        "Approved-by": "Ada Anchor: v9.9.9",
        "Anchor": "v1.0.0",
        "Bundle": bundle_md5,
    }


def test_what_changed_since_the_champion_names_the_version(project: Project) -> None:
    s = project.s
    promote(s, "night-1", project.close("night-1", "a"), "gate")
    first = registry.champion(s.central)
    assert first is not None

    assert promote(s, "night-2", project.close("night-2", "b", 1, "v1.0.0"), "gate")["version"] == "v1.0.1"  # data alone
    project.write("params.yaml", "# a comment is no parameter\nseed: 0\n")
    assert promote(s, "night-3", project.close("night-3", "c", 2, "v1.0.1"), "gate")["version"] == "v1.0.2"
    project.write("params.yaml", "seed: 1\n")
    assert promote(s, "night-4", project.close("night-4", "d", 3, "v1.0.2"), "gate")["version"] == "v1.1.0"
    project.write("tasks/new.py", "CODE = 1\n")
    assert promote(s, "night-5", project.close("night-5", "e", 4, "v1.1.0"), "gate")["version"] == "v1.2.0"
    classes = ["maybe", "no", "yes"]
    commit = project.close("night-6", "f", 5, "v1.2.0", classes=classes, becomes_anchor=False)
    assert promote(s, "night-6", commit, "gate")["version"] == "v2.0.0"

    reigns = registry.history(s.central)
    assert [reign.number for reign in reigns] == [1, 2, 3, 4, 5, 6]
    assert [reign.trailers["Previous"] for reign in reigns] == ["none", *(reign.object for reign in reigns[:-1])]
    assert reigns[1].trailers["Previous"] == git("rev-parse", "refs/tags/fused-model#champion#1", cwd=Path(s.central))
    best = registry.anchor(s.central)
    assert best is not None
    assert best.version == "v1.2.0"  # night 6 is no new best
    assert list(registry.versions(s.central)) == ["v1.0.0", "v1.0.1", "v1.0.2", "v1.1.0", "v1.2.0", "v2.0.0"]


def test_twice_is_once_even_after_others_came(project: Project) -> None:
    s = project.s
    commit = project.close("night-1", "a")
    first = promote(s, "night-1", commit, "gate")
    refs = git("for-each-ref", cwd=Path(s.central))
    assert promote(s, "night-1", commit, "gate") == first
    assert git("for-each-ref", cwd=Path(s.central)) == refs
    promote(s, "night-2", project.close("night-2", "b", 1, "v1.0.0"), "gate")
    assert promote(s, "night-1", commit, "gate") == first


def test_a_stale_verdict_is_told_who_won(project: Project) -> None:
    s = project.s
    promote(s, "night-1", project.close("night-1", "a"), "gate")
    promote(s, "night-2", project.close("night-2", "b", 1, "v1.0.0"), "gate")
    stale = project.close("night-3", "c", 1, "v1.0.0")
    with pytest.raises(
        Refused, match=r"champion #2 is v1\.0\.1 of run night-2; the verdict of run night-3 was against #1 .*run again"
    ):
        promote(s, "night-3", stale, "gate")
    ahead = project.close("night-4", "d", 7, "v1.0.1")
    with pytest.raises(Refused, match=r"champion #2 is v1\.0\.1 .* was against #7"):
        promote(s, "night-4", ahead, "gate")
    other = project.close("night-5", "e", 2, "v1.0.0")
    with pytest.raises(Refused, match=r"was against #2 \(v1\.0\.0\): run again"):
        promote(s, "night-5", other, "gate")
    assert len(registry.history(s.central)) == 2


def test_what_wants_a_person_is_promoted_by_one_who_says_why(project: Project) -> None:
    s = project.s
    commit = project.close("night-1", "a", approval="the test set has 7 groups")
    for reason in ("", " \n"):
        with pytest.raises(Refused, match=r"night-1 is not to be promoted without a person \(the test set has 7 groups\)"):
            promote(s, "night-1", commit, "Ada", reason)
    assert registry.champion(s.central) is None
    answer = promote(s, "night-1", commit, "Ada", "looked at\nAnchor: v9.9.9")  # must not pass for a trailer
    assert promote(s, "night-1", commit, "Ada", "looked at") == answer
    reign = registry.champion(s.central)
    assert reign is not None
    assert (reign.trailers["Approved-by"], reign.trailers["Reason"]) == ("Ada", "looked at Anchor: v9.9.9")
    assert reign.trailers["Anchor"] == "v1.0.0"
    assert not reign.rolled_back


def test_what_a_person_approved_loses_to_who_was_promoted_while_it_waited(project: Project) -> None:
    s = project.s
    promote(s, "night-1", project.close("night-1", "a"), "gate")
    waiting = project.close("night-2", "b", 1, "v1.0.0", approval="a person is wanted")
    promote(s, "night-3", project.close("night-3", "c", 1, "v1.0.0"), "gate")
    with pytest.raises(Overtaken, match=r"champion #2 is v1\.0\.1 of run night-3; the verdict of run night-2 was against #1"):
        promote(s, "night-2", waiting, "Ada", "looked at")
    assert [reign.trailers["Run"] for reign in registry.history(s.central)] == ["night-1", "night-3"]
    assert "Ada" not in git("for-each-ref", "--format=%(contents)", "refs/tags", cwd=Path(s.central))


def test_the_same_bytes_get_no_second_version(project: Project) -> None:
    s = project.s
    promote(s, "night-1", project.close("night-1", "a"), "gate")
    answer = promote(s, "night-2", project.close("night-2", "a", 1, "v1.0.0"), "gate")
    assert (answer["version"], answer["number"], answer["promoted"]) == ("v1.0.0", 1, False)
    promote(s, "night-3", project.close("night-3", "b", 1, "v1.0.0"), "gate")
    commit = project.close("night-4", "a", 2, "v1.0.1")
    answer = promote(s, "night-4", commit, "gate")  # content that has a name returns under it
    assert (answer["version"], answer["number"], answer["promoted"]) == ("v1.0.0", 3, True)
    assert promote(s, "night-4", commit, "gate") == answer
    assert list(registry.versions(s.central)) == ["v1.0.0", "v1.0.1"]
    project.write("params.yaml", "seed: 2\n")
    commit = project.close("night-5", "c", 3, "v1.0.0")
    assert promote(s, "night-5", commit, "gate")["version"] == "v1.1.0"


def test_only_a_whole_promote_verdict_about_this_content_counts(project: Project) -> None:
    s = project.s
    with pytest.raises(Refused, match="night-1 is not to be promoted: its verdict is reject, decided by against champion"):
        promote(s, "night-1", project.close("night-1", "a", verdict="reject"), "gate")
    with pytest.raises(ContractBroken, match=r"about another candidate than commit .*run again"):
        promote(s, "night-2", project.close("night-2", "b", candidate="0" * 64), "gate")
    with pytest.raises(ContractBroken, match="about another data than commit"):
        promote(s, "night-3", project.close("night-3", "c", data="0" * 64), "gate")
    commit = project.close("night-4", "d")
    with pytest.raises(WrongValue, match="approved_by is empty"):
        promote(s, "night-4", commit, " \n")
    git("rm", "--quiet", "--force", "dvc.lock", cwd=project.folder)
    git("commit", "--quiet", "--message", "no lock", cwd=project.folder)
    git("push", "--quiet", "origin", "HEAD:refs/heads/nightly", cwd=project.folder)
    with pytest.raises(Refused, match="night-5 has no verdict"):
        promote(s, "night-5", git("rev-parse", "HEAD", cwd=project.folder), "gate")
    assert registry.champion(s.central) is None
    assert git("for-each-ref", "refs/tags", cwd=Path(s.central)) == ""


@pytest.mark.parametrize(
    ("path", "content", "named"),
    [("tasks/__init__.py", "CODE = 1\n", r"tasks/__init__\.py"), ("params.yaml", "seed: 7\n", r"params\.yaml")],
)
def test_a_verdict_is_about_the_code_and_parameters_it_was_run_with(
    project: Project, path: str, content: str, named: str
) -> None:
    project.close("night-1", "a")
    project.write(path, content)
    git("commit", "--quiet", "--all", "--message", "other code, the same dvc.lock", cwd=project.folder)
    git("push", "--quiet", "origin", "HEAD:refs/heads/nightly", cwd=project.folder)
    commit = git("rev-parse", "HEAD", cwd=project.folder)
    with pytest.raises(ContractBroken, match=rf"other code or parameters than commit .*{named}.* of gate changed.*run again"):
        promote(project.s, "night-1", commit, "gate")
    assert registry.champion(project.s.central) is None


def test_a_bundle_that_is_nowhere_is_not_promoted(project: Project) -> None:
    commit = project.close("night-1", "a")
    lost = Settings(**{**project.s.__dict__, "remote": str(project.s.home / "empty"), "cache": project.s.home / "fresh"})
    with pytest.raises(NoData, match=r"the DVC remote lacks .*data/5_models/bundle"):
        promote(lost, "night-1", commit, "gate")
    assert registry.champion(project.s.central) is None


def test_gto_and_dvc_read_the_registry(project: Project, tmp_path: Path) -> None:
    s = project.s
    promote(s, "night-1", project.close("night-1", "a"), "gate")
    promote(s, "night-2", project.close("night-2", "b", 1, "v1.0.0"), "gate")
    for command in (["gto", "history"], ["gto", "show"]):
        told = _run([*command, "--repo", s.central, "--json"], tmp_path)
        assert "v1.0.1" in told
    shown = json.loads(_run(["gto", "show", "--repo", s.central, "--json"], tmp_path))
    assert shown["fused-model"]["stage"]["champion"] == "v1.0.1"
    get = ["dvc", "artifacts", "get", s.central, "fused-model", "--stage", "champion", "--out", "got"]
    _run([*get, "--remote-config", f"url={s.remote}"], tmp_path)
    assert (tmp_path / "got" / "weights").read_text() == "b"


def _run(command: list[str], cwd: Path) -> str:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "DVC_NO_ANALYTICS": "1"}
    return subprocess.run(command, cwd=cwd, env=environment, check=True, capture_output=True, text=True).stdout


def test_history_fits_a_terminal(project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("NIGHTLOOM_HOME", str(project.s.home))
    main(["--history"])
    assert "no champion yet" in capsys.readouterr().out
    run = "scheduled__2026-11-01T02:00:00+00:00_and_more"
    promote(project.s, run, project.close(run, "a"), "somebody with a long name")
    main(["--history"])
    told = capsys.readouterr().out.splitlines()
    assert [word in told[1] for word in ("v1.0.0", "scheduled__2026-11-01", "…")] == [True, True, True]
    assert max(map(len, told)) <= 100
    monkeypatch.setenv("NIGHTLOOM_HOME", str(project.s.home / "nowhere"))
    with pytest.raises(SystemExit, match="2"):
        main(["--history"])
    assert "no repository at" in capsys.readouterr().err


def test_a_commit_can_be_promoted_by_hand(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NIGHTLOOM_HOME", str(project.s.home))
    commit = project.close("night-1", "a", approval="a person is wanted")
    told = ["--run", "night-1", "--commit", commit, "--approved-by", "Ada"]
    with pytest.raises(SystemExit, match="2"):
        main(told)
    assert "say who approves, and why" in capsys.readouterr().err
    main([*told, "--reason", "looked at"])
    assert "champion #1 is v1.0.0" in capsys.readouterr().out
    main(["--history"])
    line = capsys.readouterr().out.splitlines()[1]
    assert "night-1" in line  # and no rollback
    assert "Ada" in line
