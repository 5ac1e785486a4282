"""The registry in MLflow, made from the tags: one model version per tag, and the alias `champion`.

MLflow's aliases have no history and no compare-and-set, so nothing is decided there: `mirror` may run at any time, any
number of times, and what it leaves is what the tags say. It adds; `resync` also removes what no tag names.
"""

import tempfile
from pathlib import Path
from typing import Any

from tasks.paths import BUNDLE
from tasks.promote import registry
from tasks.promote.claim import pull
from tasks.promote.registry import MODEL, Tag
from tasks.promote.tracking import connect, find_or_create_run
from tasks.run.settings import Settings
from tasks.run.workspace import workspace

ALIAS = "champion"


def mirror(s: Settings) -> list[str]:
    """Register in MLflow whatever version it lacks, and let the alias point to the reigning one.

    Returns:
        The versions that were added.

    Raises:
        NoData: a version's bundle is not in the DVC remote.
    """
    client, experiment = connect(s)
    _registered_model(client)
    known = _known(client)
    added = []
    for version, tag in registry.versions(s.central).items():
        if version not in known:
            known[version] = _add(s, client, experiment, version, tag)
            added.append(version)
    _point(client, s.central, known)
    return added


def resync(s: Settings) -> dict[str, Any]:
    """Make the mirror anew from the tags: what they do not name goes, what they name and is not there comes.

    Returns:
        `removed`: what went, in words; `added`: versions that came; `champion`: the version that the alias points to, or None.

    Raises:
        NoData: a version's bundle is not in the DVC remote.
    """
    client, _ = connect(s)
    _registered_model(client)
    removed = _remove_what_no_tag_names(client, s.central)
    added = mirror(s)
    reign = registry.champion(s.central)
    if reign is None and ALIAS in client.get_registered_model(MODEL).aliases:
        client.delete_registered_model_alias(MODEL, ALIAS)
    return {"removed": removed, "added": added, "champion": reign.version if reign else None}


def _remove_what_no_tag_names(client: Any, central: str) -> list[str]:
    """Remove entries of no version, of another commit than their version's, and all but the first of each version."""
    versions, kept, removed = registry.versions(central), set[str](), []
    for entry in _listed(client):
        version = entry.tags.get("version", "")
        if version not in versions:
            fault = f"number {entry.version}, which no tag names ({version or 'no version'})"
        elif entry.tags.get("commit") != versions[version].commit:
            fault = f"number {entry.version}, {version} of another commit than its tag's"
        elif version in kept:
            fault = f"number {entry.version}, {version} a second time"
        else:
            kept.add(version)
            continue
        client.delete_model_version(MODEL, entry.version)
        removed.append(fault)
    return removed


def _point(client: Any, central: str, known: dict[str, str]) -> None:
    """Let the alias follow the reigning version, and look again: of two mirrors at once, the slower may know less."""
    pointed, reign = None, registry.champion(central)
    while reign is not None and reign != pointed and reign.version in known:
        client.set_registered_model_alias(MODEL, ALIAS, known[reign.version])
        pointed, reign = reign, registry.champion(central)


def _registered_model(client: Any) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(MODEL, description="A mirror of the git tags fused-model@…; the tags decide.")
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _known(client: Any) -> dict[str, str]:
    """Version -> MLflow's number for it; of two with one name, made by two mirrors at once, the lower."""
    found: dict[str, str] = {}
    for entry in _listed(client):
        if "version" in entry.tags:
            found.setdefault(entry.tags["version"], entry.version)
    return found


def _listed(client: Any) -> list[Any]:
    """Every entry, by MLflow's number."""
    found = client.search_model_versions(f"name='{MODEL}'", max_results=10_000)
    return sorted(found, key=lambda entry: int(entry.version))


def _add(s: Settings, client: Any, experiment: str, version: str, tag: Tag) -> str:
    """Save the bundle with the code of its own commit as a pyfunc model, and register it."""
    run = tag.trailers.get("Run", tag.name)
    with workspace(s, tag.commit, f"mirror-{version}") as work, tempfile.TemporaryDirectory() as scratch:
        pull(work, BUNDLE)
        _save(work, Path(scratch) / "model")
        run_id = find_or_create_run(client, experiment, run, tag.date_s * 1000).info.run_id
        client.log_artifacts(run_id, scratch, version)
        client.set_terminated(run_id)
    source = f"{client.get_run(run_id).info.artifact_uri}/{version}/model"
    tags = {"version": version, "commit": tag.commit, "run": run}
    about = f"{tag.name} at {tag.commit[:12]}: `make reproduce VERSION={version}` makes it again"
    return str(client.create_model_version(MODEL, source, run_id, tags=tags, description=about).version)


def _save(work: Path, to: Path) -> None:
    import mlflow.pyfunc

    mlflow.pyfunc.save_model(
        path=to,
        python_model=str(Path(__file__).with_name("served.py")),
        artifacts={"bundle": str(work / BUNDLE)},
        code_paths=[str(work / "tasks")],
        pip_requirements=str(work / "requirements.lock"),
    )
