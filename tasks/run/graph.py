"""The stages of dvc.yaml and their edges, resolved by DVC itself and kept by the content of the files they come from.

Scheduling needs live in a stage's `meta`, which DVC templates and otherwise ignores:
`meta: {airflow: {pool: gpu, queue: gpu, retries: 2}}`.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from tasks.errors import Refused, UnknownName

SCHEDULING = frozenset(
    {"pool", "pool_slots", "queue", "executor", "retries", "retry_delay", "execution_timeout", "priority_weight"}
)


@dataclass(frozen=True)
class Stage:
    """One stage of dvc.yaml.

    Attributes:
        name: e.g. `extract@mri`.
        upstream: the stages it waits for.
        airflow: its scheduling needs.
        each: the modality of whose raw partitions its out has a file each, "" for another stage: several workers can share it.
        outs: what it writes, as dvc.yaml names it.
    """

    name: str
    upstream: tuple[str, ...]
    airflow: Mapping[str, Any]
    each: str = ""
    outs: tuple[str, ...] = ()

    @property
    def task_id(self) -> str:
        """The name as Airflow takes it: task ids refuse `@`."""
        return self.name.replace("@", ".")


def stages(root: Path, kept: Path | None = None) -> list[Stage]:
    """Resolve dvc.yaml of a checkout, in the order in which it names its stages.

    Args:
        root: the checkout.
        kept: a folder where the answer is kept under the hash of dvc.yaml, params.yaml and the .dvc files, so that
            parsing a DAG file again costs no import of DVC.

    Raises:
        UnknownName: `meta.airflow` has a key that is no scheduling need.
        Refused: dvc.yaml is made of a key that params.yaml lacks.
    """
    place = kept / f"{_content(root)}.json" if kept else None
    if place and place.is_file():
        kept_as = json.loads(place.read_text())
        return [Stage(**{**stage, "upstream": tuple(stage["upstream"]), "outs": tuple(stage["outs"])}) for stage in kept_as]
    if place is None:
        return _resolve(root)
    with tempfile.TemporaryDirectory(
        prefix="nightloom-graph-"
    ) as folder:  # DVC writes where it resolves, an image is read-only
        found = _resolve(_sketch(root, Path(folder)))
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = place.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_text(json.dumps([asdict(stage) for stage in found]))
    temporary.replace(place)
    return found


def _files(root: Path) -> list[Path]:
    """What the graph is made of."""
    return [root / "dvc.yaml", root / "params.yaml", *sorted((root / "data").glob("*.dvc"))]


def _sketch(root: Path, folder: Path) -> Path:
    """Copy a checkout as far as DVC needs it for the graph."""
    for file in filter(Path.is_file, _files(root)):
        to = folder / file.relative_to(root)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, to)
    (folder / ".dvc").mkdir()
    (folder / ".dvc" / "config").write_text(
        f'[core]\n    no_scm = true\n    analytics = false\n    site_cache_dir = "{folder / ".dvc" / "site"}"\n'
    )
    return folder


def _content(root: Path) -> str:
    digest = hashlib.sha256(" ".join(field.name for field in fields(Stage)).encode())  # what is kept of a stage
    for file in _files(root):
        digest.update(file.name.encode() + b"\0" + (file.read_bytes() if file.is_file() else b"") + b"\0")
    return digest.hexdigest()[:16]


def _resolve(root: Path) -> list[Stage]:
    from dvc.parsing import ResolveError
    from dvc.repo import Repo
    from dvc.stage import PipelineStage
    from dvc.utils.strictyaml import YAMLSyntaxError, YAMLValidationError

    with Repo(str(root)) as repo:
        try:
            graph = repo.index.graph
        except ResolveError as error:
            raise Refused(
                f"{error}: params.yaml must hold each key that dvc.yaml is made of, such as `fusions: [concat]` and"
                " `train: {finetune: []}` (no encoder is fitted end to end)"
            ) from error
        except (YAMLSyntaxError, YAMLValidationError) as error:  # DVC's, but no disk or store that comes back
            raise Refused(f"dvc.yaml of this commit cannot be read: {' '.join(str(error).split())}") from error
        return [
            Stage(
                stage.name,
                tuple(sorted(up.name for up in graph.successors(stage) if isinstance(up, PipelineStage))),
                _scheduling(stage.name, (stage.meta or {}).get("airflow") or {}),
                (stage.meta or {}).get("each", ""),
                tuple(out.def_path for out in stage.outs),
            )
            for stage in repo.index.stages
            if isinstance(stage, PipelineStage)
        ]


def with_upstream(upstream: Mapping[str, Sequence[str]], *names: str) -> set[str]:
    """Stages and all that they wait for, by way of others too; `upstream` says what each waits for."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(upstream[name])
    return found


def check_params(root: Path) -> None:
    """Hold params.yaml against what dvc.yaml's stages depend on: DVC wants each section named, an empty one will do.

    Raises:
        Refused: sections are missing; it names them.
    """
    from dvc.dependency.param import ParamsDependency
    from dvc.repo import Repo

    missing: set[str] = set()
    with Repo(str(root)) as repo:
        for stage in repo.index.stages:
            for dep in stage.deps:
                if isinstance(dep, ParamsDependency):
                    missing |= set(dep.params) - set(dep.read_params())
    if missing:
        told = [f"`{key}: auto`" if key == "promotion" else f"`{key}: {{}}`" for key in sorted(missing)]
        raise Refused(
            f"params.yaml lacks {', '.join(sorted(missing))}, which stages of dvc.yaml depend on: add"
            f" {', '.join(told)} to take the defaults"
        )


def cut(folder: Path, names: Collection[str]) -> None:
    """Leave in a workspace's dvc.yaml only the entries that these stages are made of.

    DVC reads all of it at each of its steps, and what it takes for a stage grows with the number of the others.
    """
    path = folder / "dvc.yaml"
    whole = yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader)
    entries = {name.partition("@")[0] for name in names}
    kept = {entry: body for entry, body in whole["stages"].items() if entry in entries}
    path.write_text(json.dumps({**whole, "stages": kept}))  # JSON is YAML


def names(repo: Any) -> list[str]:
    """The names of an open DVC repository's stages, in the order of dvc.yaml."""
    return [stage.name for stage in repo.index.stages if hasattr(stage, "name")]  # a .dvc file is a stage without a name


def _scheduling(stage: str, needs: Mapping[str, Any]) -> Mapping[str, Any]:
    for key in needs:
        if key not in SCHEDULING:
            raise UnknownName(f"key in dvc.yaml: meta.airflow of stage {stage}:", key, SCHEDULING)
    return dict(needs)


def check_same_graph(deployed: Mapping[str, list[str]], wanted: list[Stage]) -> None:
    """Compare a run's stages with those that Airflow shows.

    Absent stages are fine: their tasks skip. Edges are compared among the stages that both have.

    Args:
        deployed: stage name -> names of the stages it waits for, as rendered.
        wanted: the stages of the run's own commit.

    Raises:
        Refused: the run has stages or edges that were not rendered; it names them.
    """
    extra = [stage.name for stage in wanted if stage.name not in deployed]
    if extra:
        raise Refused(
            f"this run has stages that Airflow does not show: {', '.join(extra)}. Commit the change and deploy it"
            " (`make run` and `make up` do), or leave out the override that adds them"
        )
    present = {stage.name for stage in wanted}
    for stage in wanted:
        shown = set(deployed[stage.name]) & present
        if shown != set(stage.upstream):
            raise Refused(
                f"stage {stage.name} of this run waits for {', '.join(stage.upstream) or 'nothing'}, but Airflow shows it"
                f" after {', '.join(sorted(shown)) or 'nothing'}: deploy the revision first"
            )
