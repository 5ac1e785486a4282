"""Central and the deployed clone, with real git."""

from pathlib import Path

import pytest

from tasks.embedded.deploy import bring_back, create_central, deploy
from tasks.errors import Refused
from tasks.run.git import GitFailed, git
from tasks.run.settings import Settings, settings
from tests.central.conftest import FORGETTING
from tests.embedded.conftest import commit


def head(repository: Path, ref: str = "HEAD") -> str:
    return git("rev-parse", ref, cwd=repository)


def test_what_airflow_reads_is_the_commit_not_the_dirty_tree(checkout: Path, s: Settings) -> None:
    (checkout / "params.yaml").write_text("dirty: true\n")
    (checkout / "untracked.py").write_text("")
    assert deploy(checkout, s) == head(checkout) == head(s.home / "deployed") == head(Path(s.central), "main")
    assert "dirty" not in (s.home / "deployed/params.yaml").read_text()
    assert not (s.home / "deployed/untracked.py").exists()


def test_a_new_commit_replaces_the_old_one_even_when_history_was_rewritten(checkout: Path, s: Settings) -> None:
    deploy(checkout, s)
    (s.home / "deployed/stray.py").write_text("")
    (s.home / "deployed/params.yaml").write_text("edited in the wrong place\n")
    git("commit", "--quiet", "--amend", "--message=rewritten", cwd=checkout)
    new = commit(checkout, "params.yaml", "seed: 2\n")
    assert deploy(checkout, s) == new
    assert (s.home / "deployed/params.yaml").read_text() == "seed: 2\n"
    assert not (s.home / "deployed/stray.py").exists()


def test_code_tags_go_to_central_and_registry_tags_do_not_without_their_data(checkout: Path, s: Settings) -> None:
    git("tag", "release-1", cwd=checkout)
    git("tag", "fused-model@v1.0.0", cwd=checkout)
    deploy(checkout, s)
    git("tag", "release-2", cwd=checkout)
    deploy(checkout, s)
    assert git("tag", "--list", cwd=Path(s.central)).split() == ["release-1", "release-2"]


def test_a_new_central_takes_over_the_registry_when_its_data_is_there(checkout: Path, s: Settings) -> None:
    (Path(s.remote) / "files").mkdir(parents=True)
    git("tag", "fused-model@v1.0.0", cwd=checkout)
    git("branch", "nightly", cwd=checkout)
    deploy(checkout, s)
    assert git("tag", "--list", cwd=Path(s.central)) == "fused-model@v1.0.0"
    assert head(Path(s.central), "nightly") == head(checkout)


def test_a_central_of_somebody_else_is_not_touched(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIGHTLOOM_CENTRAL", "ssh://git@example.org/x.git")
    with pytest.raises(Refused, match=r"NIGHTLOOM_CENTRAL is ssh://git@example.org/x.git: unset it"):
        deploy(checkout, settings())


@FORGETTING
def test_central_refuses_to_forget(checkout: Path, s: Settings, words: list[str], why: str) -> None:
    assert create_central(Path(s.central))
    assert not create_central(Path(s.central))
    git("push", s.central, "HEAD:refs/tags/v1", "HEAD:refs/heads/nightly", cwd=checkout)
    git("commit", "--quiet", "--amend", "--message=another", cwd=checkout)
    with pytest.raises(GitFailed, match=why):
        git("push", s.central, *words, cwd=checkout)


def test_a_home_that_was_moved_goes_on_and_its_central_still_refuses_to_forget(
    checkout: Path, s: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy(checkout, s)
    git("push", s.central, "HEAD:refs/tags/v1", cwd=checkout)
    git("config", "core.hooksPath", str(Path(s.central) / "hooks"), cwd=Path(s.central))  # as it was written once
    s.home.rename(tmp_path / "elsewhere")
    monkeypatch.setenv("NIGHTLOOM_HOME", str(tmp_path / "elsewhere"))
    moved = settings()
    new = commit(checkout, "params.yaml", "seed: 3\n")
    assert deploy(checkout, moved) == new == head(tmp_path / "elsewhere/deployed")
    with pytest.raises(GitFailed, match="a tag is written once"):
        git("push", moved.central, ":refs/tags/v1", cwd=checkout)


def closed_night(checkout: Path, s: Settings, parent: str = "HEAD") -> str:
    """A commit on central's `nightly` with a registry tag, as `close` and `promote` make them."""
    made = git("commit-tree", f"{parent}^{{tree}}", "-p", parent, stdin="promote: night-1\n", cwd=checkout)
    git("push", s.central, f"{made}:refs/heads/nightly", f"{made}:refs/tags/fused-model@v1.0.0", cwd=checkout)
    return made


def test_the_diary_and_the_registry_come_back(checkout: Path, s: Settings) -> None:
    deploy(checkout, s)
    assert bring_back(checkout, s) == []  # no night was closed yet
    made = closed_night(checkout, s)
    assert bring_back(checkout, s) == []
    assert head(checkout, "nightly") == head(checkout, "fused-model@v1.0.0") == made
    assert git("status", "--porcelain", cwd=checkout) == ""


def test_a_nightly_that_is_checked_out_is_left_alone(checkout: Path, s: Settings) -> None:
    deploy(checkout, s)
    before = head(checkout)
    git("checkout", "--quiet", "-b", "nightly", cwd=checkout)
    made = closed_night(checkout, s)
    assert ["local branch `nightly` was not moved" in note for note in bring_back(checkout, s)] == [True]
    assert head(checkout) == before
    assert head(checkout, "nightloom/nightly") == made


def test_a_tag_of_the_checkout_is_not_overwritten(checkout: Path, s: Settings) -> None:
    deploy(checkout, s)
    git("tag", "fused-model@v1.0.0", cwd=checkout)
    before = head(checkout, "fused-model@v1.0.0")
    closed_night(checkout, s)
    assert ["some tags of this checkout are not those of central" in note for note in bring_back(checkout, s)] == [True]
    assert head(checkout, "fused-model@v1.0.0") == before
