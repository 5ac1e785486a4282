"""The registry's history for people: who reigned when, why and by whose word; from central itself, or from a copy of it."""

import dataclasses
from pathlib import Path

import pytest

from tasks.errors import NoData
from tasks.promote.announce import announce, tag_object
from tasks.run.git import git
from tasks.run.settings import Settings
from tasks.ui.history import at_hand, history, spoke_for_it

DAY_S = 24 * 3600
NOON_S = 1_793_534_400  # 2026-11-01 12:00 UTC
EVIL = "the <script>alert(1)</script> camera"
MESSAGES = {
    "v1.0.0": "promote: night-1\n\npass: whole: all there\npass: floor: 0.9 needed 0.0\nnot applicable: champion: none reigns",
    "v1.0.1": "promote: night-2\n\npass: floor: 0.95 needed 0.0\npass: champion: 0.95 against 0.90: better\nfail: samples: few",
}


@pytest.fixture
def s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """v1.0.0 reigned, then v1.0.1, then v1.0.0 again; it was made again, once with other bytes."""
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    found = Settings(tmp_path / "home", str(tmp_path / "central.git"), "", tmp_path / "cache", "")
    work = tmp_path / "work"
    git("init", "--quiet", "--bare", "--initial-branch=nightly", found.central)
    git("clone", "--quiet", found.central, str(work))
    commits = {}
    for version, message in MESSAGES.items():
        git("commit", "--quiet", "--allow-empty", "--message", message, cwd=work)
        commits[version] = git("rev-parse", "HEAD", cwd=work)
    git("push", "--quiet", "origin", "HEAD:nightly", cwd=work)

    def tag(name: str, version: str, day: int, **trailers: str) -> None:
        facts = {key.replace("_", "-"): value for key, value in trailers.items()}
        made = tag_object(work, name, commits[version], NOON_S + day * DAY_S, "a line", facts)
        assert announce(work, found.central, {name: made})

    by = {"v1.0.0": {"Approved_by": "gate"}, "v1.0.1": {"Approved_by": "bob", "Reason": "looked at it"}}
    for number, version in enumerate(MESSAGES, start=1):
        for name in (f"fused-model@{version}", f"fused-model#champion#{number}"):
            tag(name, version, number - 1, Run=f"night-{number}", Report="sha256:1", **by[version])
    tag("fused-model#champion#3", "v1.0.0", 2, Run="manual__7", Approved_by="ada", Reason=EVIL, Rolled_back="v1.0.1")
    tag("fused-model#verified#1", "v1.0.0", 3, Version="v1.0.0", Outcome="bit-identical")
    tag("fused-model#differs#2", "v1.0.0", 4, Version="v1.0.0", Outcome="select: out bundle")
    return found


def test_who_reigned_when_and_why(s: Settings) -> None:
    champions, versions = history(s)
    assert [dataclasses.astuple(one) for one in champions] == [
        (3, "v1.0.0", "2026-11-03 12:00", None, True, EVIL, "ada", "", "manual__7"),
        (
            2,
            "v1.0.1",
            "2026-11-02 12:00",
            "2026-11-03 12:00",
            False,
            "champion: 0.95 against 0.90: better",
            "bob",
            "looked at it",
            "night-2",
        ),
        (1, "v1.0.0", "2026-11-01 12:00", "2026-11-02 12:00", False, "floor: 0.9 needed 0.0", "gate", "", "night-1"),
    ]
    newest, first = versions
    assert (newest.version, newest.reigns, newest.left, newest.again) == ("v1.0.1", (2,), EVIL, ())
    assert (first.version, first.reigns, first.left) == ("v1.0.0", (1, 3), None)
    assert first.again == ("select: out bundle, 2026-11-05 12:00", "bit-identical, 2026-11-04 12:00")


def test_a_central_elsewhere_is_read_from_a_copy_that_follows_it(s: Settings, tmp_path: Path) -> None:
    far = dataclasses.replace(s, central=f"file://{s.central}")
    assert history(far) == history(s)
    copy = at_hand(far)
    assert copy.is_relative_to(s.home)
    assert "nightly" not in git("for-each-ref", cwd=copy)  # the registry, and nothing else
    last = git("rev-parse", "fused-model#champion#3", cwd=copy)
    commit = git("rev-parse", "fused-model@v1.0.1^{commit}", cwd=copy)
    name = "fused-model#champion#4"
    work = tmp_path / "work"
    made = tag_object(
        work, name, commit, NOON_S + 9 * DAY_S, "back", {"Reason": "mended", "Previous": last, "Approved-by": "bob"}
    )
    assert announce(work, s.central, {name: made})
    newest = history(far)[0][0]
    assert (newest.number, newest.version, newest.why, newest.by) == (4, "v1.0.1", "mended", "bob")


def test_before_the_first_promotion_it_is_empty_and_without_central_an_error(tmp_path: Path) -> None:
    empty = Settings(tmp_path, str(tmp_path / "central.git"), "", tmp_path, "")
    with pytest.raises(NoData, match="no repository at"):
        history(empty)
    git("init", "--quiet", "--bare", empty.central)
    assert history(empty) == ([], [])


@pytest.mark.parametrize(
    ("message", "why"),
    [("", ""), ("by hand", "by hand"), ("promote: x\n\npass: odd", "promote: x"), ("a\npass: floor: b: c", "floor: b: c")],
)
def test_what_spoke_for_a_candidate(message: str, why: str) -> None:
    assert spoke_for_it(message) == why
