"""The layout keeps its promises: stages declare the code that they import, order is the order of the flow, outs are outs."""

import ast
import re
import shutil
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.repo import Repo

# Networks live in extract, which is why pretrain comes after it here.
ORDER = (
    "profile",
    "validate",
    "probe",
    "extract",
    "pretrain",
    "damage",
    "train",
    "finetune",
    "select",
    "evaluate",
    "robustness",
    "explain",
    "champion",
    "gate",
)


def resolved() -> dict[str, Any]:
    """The stages as they are when a fusion is fitted end to end too: there is one more."""
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["train"]["finetune"] = ["concat"]
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy("dvc.yaml", folder)
        Path(folder, "params.yaml").write_text(yaml.safe_dump(params))
        repo = Repo.init(folder, no_scm=True)
        return {
            stage.name: {
                "cmd": stage.cmd,
                "deps": [dep.def_path for dep in stage.deps],
                "outs": [(out.def_path, out.use_cache) for out in stage.outs],
            }
            for stage in repo.index.stages
            if hasattr(stage, "name")
        }


STAGES = resolved()
KINDS = {name: body["kind"] for name, body in yaml.safe_load(Path("params.yaml").read_text())["modalities"].items()}


@cache
def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text())


def imported(file: Path, kinds: set[str]) -> Iterator[str]:
    """The modules below tasks/ that a file imports, at its top or later; `tasks.profile.{kind}` stands for each kind."""
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tasks"):
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("tasks"))
        elif isinstance(node, ast.JoinedStr) and (found := re.match(r"f'(tasks\.\w+)\.\{[^}]*kind\}'", ast.unparse(node))):
            yield from (f"{found[1]}.{kind}" for kind in kinds)


def file_of(module: str) -> list[Path]:
    """A module's file and the packages it lies in."""
    path = Path(*module.split("."))
    files = [parent / "__init__.py" for parent in path.parents if parent.name]
    return [f for f in [*files, path.with_suffix(".py"), path / "__init__.py"] if f.is_file()]


@cache
def closure(stage: str) -> set[Path]:
    found = re.search(r"python -m (\S+)(?: (\S+))?$", STAGES[stage]["cmd"])
    assert found
    kinds = {KINDS[found[2]]} if found[2] in KINDS else set(KINDS.values())
    package = Path(*found[1].split("."))
    waiting = [package / "__main__.py", *file_of(found[1])]
    seen: set[Path] = set()
    while waiting:
        file = waiting.pop()
        if file not in seen:
            seen.add(file)
            waiting += [f for module in imported(file, kinds) for f in file_of(module)]
    return seen


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_declares_all_the_code_it_imports(stage: str) -> None:
    declared = [Path(dep) for dep in STAGES[stage]["deps"]]
    undeclared = [f for f in closure(stage) if not any(dep == f or dep in f.parents for dep in declared)]
    assert undeclared == []
    assert Path("requirements.lock") in declared


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_declares_no_code_that_it_does_not_import(stage: str) -> None:
    declared = [Path(dep) for dep in STAGES[stage]["deps"] if dep.startswith("tasks/")]
    unused = [dep for dep in declared if not any(dep == f or dep in f.parents for f in closure(stage))]
    assert unused == []


@pytest.mark.parametrize("stage", ORDER)
def test_a_stage_imports_only_stages_before_it(stage: str) -> None:
    later = set(ORDER[ORDER.index(stage) + 1 :])
    for file in Path("tasks", stage).rglob("*.py"):
        for module in imported(file, set()):
            assert not later & set(module.split(".")[1:2]), f"{file}: {module}"


def test_every_out_is_kept_by_dvc_and_ignored_by_git() -> None:
    from tasks.run.git import git

    for stage, facts in STAGES.items():
        for path, cached in facts["outs"]:
            assert cached, f"{stage}: {path}"
            assert git("check-ignore", "--no-index", path) == path


def test_no_stage_reads_clock_or_network() -> None:
    for stage in ORDER:
        for file in Path("tasks", stage).rglob("*.py"):
            forbidden = r"^\s*(?:import|from) (time|datetime|requests|urllib|socket|uuid|pickle)\b"
            found = re.search(forbidden, file.read_text(), re.M)
            assert not found, f"{file}: {found and found[0]}"
