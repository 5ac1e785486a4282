"""The registry in MLflow, made from the tags: one model version per tag, and the alias `champion`.

MLflow's aliases have no history and no compare-and-set, so nothing is decided there: `mirror` may run at any time, any
number of times, and what it leaves is what the tags say.
"""

import tempfile
from pathlib import Path
from typing import Any

from tasks.contracts import BUNDLE
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
    reign = registry.champion(s.central)
    if reign is not None:
        client.set_registered_model_alias(MODEL, ALIAS, known[reign.version])
    return added


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
    listed = client.search_model_versions(f"name='{MODEL}'", max_results=10_000)
    for entry in sorted(listed, key=lambda entry: int(entry.version)):
        if "version" in entry.tags:
            found.setdefault(entry.tags["version"], entry.version)
    return found


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
