"""Pages, logs and MLflow's artifacts that show a sample."""

import io
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tasks.erase.find import Wanted, table_ids
from tasks.run.settings import Settings

PLACES = ("reports", "logs")
TEXT = frozenset({".html", ".json", ".log", ".txt", ".csv", ".md"})
MODEL = re.compile(r"v\d+\.\d+\.\d+/")  # a registered model: code and weights


@dataclass(frozen=True)
class Artifact:
    """One file of one MLflow run."""

    run: str
    path: str


def pages(s: Settings, wanted: Wanted, spared: Collection[str]) -> list[Path]:
    """Files below <home>/reports and <home>/logs that name one of the samples.

    Args:
        s: where they are.
        wanted: the samples.
        spared: folders of runs below `reports` whose data never held them: a word there is another thing's.
    """
    found = []
    for place in PLACES:
        for path in sorted((s.home / place).rglob("*")):
            ours = path.relative_to(s.home / place).parts[0] in spared
            text = path.is_file() and not path.is_symlink() and path.suffix in TEXT and not ours
            if text and wanted.in_text(path.read_text(errors="replace")):
                found.append(path)
    return found


def artifacts(s: Settings, wanted: Wanted, spared: Collection[str]) -> list[Artifact]:
    """MLflow's artifacts that hold one of the samples.

    Args:
        s: where MLflow is.
        wanted: the samples.
        spared: commits whose data never held them.
    """
    if s.mlflow.startswith("sqlite:") and not Path(urlsplit(s.mlflow).path.removeprefix("/")).is_file():
        return []
    from tasks.promote.tracking import connect

    client, experiment = connect(s)
    found = []
    for run in _runs(client, experiment):
        if run.data.tags.get("commit") not in spared:
            for path in _files(client, run.info.run_id, None):
                if _shows(client, run.info, path, wanted):
                    found.append(Artifact(run.info.run_id, path))
    return found


def drop_artifacts(s: Settings, found: list[Artifact]) -> None:
    """Delete artifacts of MLflow."""
    if not found:
        return
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    from tasks.promote.tracking import connect

    client, _ = connect(s)
    for one in found:
        get_artifact_repository(client.get_run(one.run).info.artifact_uri).delete_artifacts(one.path)


def _runs(client: Any, experiment: str) -> Iterator[Any]:
    token = None
    while True:
        page = client.search_runs([experiment], run_view_type=3, max_results=1000, page_token=token)  # deleted ones too
        yield from page
        token = page.token
        if not token:
            return


def _files(client: Any, run: str, folder: str | None) -> Iterator[str]:
    for item in client.list_artifacts(run, folder):
        if item.is_dir:
            yield from _files(client, run, item.path)
        else:
            yield str(item.path)


def _shows(client: Any, info: Any, path: str, wanted: Wanted) -> bool:
    suffix = Path(path).suffix
    if MODEL.match(path) or suffix not in {*TEXT, ".parquet"}:
        return False
    from mlflow.artifacts import download_artifacts

    content = Path(download_artifacts(artifact_uri=f"{info.artifact_uri}/{path}")).read_bytes()
    if suffix == ".parquet":
        return wanted.among(table_ids(io.BytesIO(content)))
    return wanted.in_text(content.decode(errors="replace"))
