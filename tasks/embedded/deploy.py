"""The checkout's commit in central, and in `deployed/`: what Airflow reads is a commit, never a dirty tree."""

from pathlib import Path

from tasks.central.repository import create_central
from tasks.errors import Refused
from tasks.run.git import GitFailed, git
from tasks.run.settings import Settings

REGISTRY_TAGS = "refs/tags/fused-model"


def deploy(root: Path, s: Settings) -> str:
    """Bring the checkout's commit to central (branch `main`, with its tags) and to `deployed/`.

    Returns:
        The commit.

    Raises:
        Refused: NIGHTLOOM_CENTRAL points elsewhere.
    """
    central = Path(s.central)
    if central != s.home / "central.git":
        raise Refused(f"one machine keeps its own central repository, but NIGHTLOOM_CENTRAL is {s.central}: unset it")
    commit = git("rev-parse", "HEAD", cwd=root)
    if create_central(central) and holds_data(s):
        _push(root, central, _refs(root, REGISTRY_TAGS) + _refs(root, "refs/heads/nightly"))
    git("push", "--quiet", "--force", str(central), f"{commit}:refs/heads/main", cwd=root)
    known = _refs(central, "refs/tags")
    _push(root, central, [tag for tag in _refs(root, "refs/tags") if tag not in known and not tag.startswith(REGISTRY_TAGS)])
    _check_out(central, s.home / "deployed", commit)
    return commit


def holds_data(s: Settings) -> bool:
    """Whether DVC's remote can hold what the checkout's registry tags name; without it they would name nothing."""
    return "://" in s.remote or (Path(s.remote).is_dir() and any(Path(s.remote).iterdir()))


def _refs(repository: Path, prefix: str) -> list[str]:
    # `prefix*` finds fused-model@v1.0.0, `prefix` and `prefix/**` the rest
    listed = git("for-each-ref", "--format=%(refname)", cwd=repository)
    return [ref for ref in listed.splitlines() if ref.startswith(prefix)]


def _push(root: Path, central: Path, refs: list[str]) -> None:
    if refs:
        git("push", "--quiet", str(central), *(f"{ref}:{ref}" for ref in refs), cwd=root)


def _check_out(central: Path, deployed: Path, commit: str) -> None:
    if not (deployed / ".git").is_dir():
        git("clone", "--quiet", "--no-checkout", str(central), str(deployed))
    git("fetch", "--quiet", str(central), "+refs/heads/main:refs/remotes/origin/main", cwd=deployed)  # where it is by now
    git("checkout", "--quiet", "--force", "--detach", commit, cwd=deployed)
    git("clean", "-ffdq", cwd=deployed)
    for dag in (deployed / "dags").glob("*.py"):
        dag.touch()  # Airflow reads a touched file at once; its graph comes from dvc.yaml, which Airflow does not watch


def bring_back(root: Path, s: Settings) -> list[str]:
    """Fetch `nightly` and the registry's tags from central into the checkout.

    Returns:
        What could not be brought as it is, one line each. Nothing of the checkout's own is overwritten.
    """
    notes = []
    if "refs/heads/nightly" in _refs(Path(s.central), "refs/heads/nightly"):
        notes += _bring_nightly(root, s.central)
    try:
        git("fetch", "--quiet", "--no-prune", "--no-prune-tags", "--no-tags", s.central, "refs/tags/*:refs/tags/*", cwd=root)
    except GitFailed:
        notes.append(
            "some tags of this checkout are not those of central and stay as they are; for central's own:"
            f" `git fetch --force {s.central} 'refs/tags/*:refs/tags/*'`"
        )
    return notes


def _bring_nightly(root: Path, central: str) -> list[str]:
    aside = "refs/remotes/nightloom/nightly"
    git("fetch", "--quiet", "--no-prune", "--no-prune-tags", "--no-tags", central, f"+refs/heads/nightly:{aside}", cwd=root)
    try:
        git(
            "fetch",
            "--quiet",
            "--no-prune",
            "--no-prune-tags",
            "--no-tags",
            central,
            "refs/heads/nightly:refs/heads/nightly",
            cwd=root,
        )
    except GitFailed:  # it is checked out, or has commits of its own
        return ["the local branch `nightly` was not moved (checked out, or changed here): see `nightloom/nightly`"]
    return []
