"""README.md and docs/ say what works: who executes each command, params.yaml as it may be, docs/extend.md written and used.

The commands themselves are run in a project that has had nights: tests/test_night.py.
"""

import ast
import os
import re
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.params import Params, check
from tests import pages
from tests.pages import BY_HAND, COMMAND, ELSEWHERE, PAGES, ROOT, amended, blocks, commands, executed_by, spans

EXTEND = "docs/extend.md"
PYTHON = {"README.md": f"{pages.NIGHT}the_champion_predicts", "docs/models.md": "tests/test_zero_shot.py::test_"}
MAKE = re.compile(r"(?:[A-Z_]+=\S+ )*make ")
MODULE = re.compile(r"python -m ((?:tasks|tests)\.[\w.]+)")
BASE: dict[str, Any] = {
    "modalities": {"audio": {"kind": "audio"}, "photo": {"kind": "image"}},
    "targets": {"label": {}},
    "validate": {"domain": "site"},
}


@pytest.mark.parametrize("page", PAGES)
def test_what_looks_like_a_command_is_marked_as_one(page: str) -> None:
    for block in blocks(page):
        assert block.language in {"", "sh", "yaml", "python", "diff"}, f"{page}:{block.line}"
        if block.language != "":
            continue
        for number, line in enumerate(block.lines, start=block.line):
            assert not COMMAND.fullmatch(pages.COMMENT.sub("", line).strip()), f"{page}:{number}: mark this block sh: {line}"


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_leads_to_is_there(page: str) -> None:
    for place in re.findall(r"\]\(([^)\s]+)\)", (ROOT / page).read_text()):
        path, _, title = place.partition("#")
        if not place.startswith("http"):
            found = (ROOT / page).parent / path
            assert found.exists(), f"{page}: {place}"
            heads = (
                [line.lstrip("# ").lower() for line in found.read_text().splitlines() if line.startswith("#")] if title else []
            )
            assert not title or title in {re.sub(r"[^\w\- ]", "", head).replace(" ", "-") for head in heads}, f"{page}: {place}"


@pytest.mark.parametrize("place", ELSEWHERE.values())
def test_who_is_said_to_execute_a_command_is_there(place: str) -> None:
    path, name = place.split("::")
    names = {node.name for node in ast.parse((ROOT / path).read_text()).body if isinstance(node, ast.FunctionDef)}
    assert name in names


def test_no_command_is_said_to_be_executed_that_stands_nowhere() -> None:
    said = {executed_by(part) for page in PAGES for command in commands(page) for part in command.parts}
    assert {*ELSEWHERE.values(), *BY_HAND.values()} <= said


def test_make_knows_each_target_and_who_executes_it_runs_the_same_module() -> None:
    for page in PAGES:
        for command in commands(page):
            for part in filter(MAKE.match, command.parts):
                planned(part, command.place)


def planned(part: str, place: str) -> None:
    """Hold what `make` would do against the code, and the test that is said to do it."""
    words = ["bash", "-c", part.replace("make ", "make --dry-run ")]
    plan = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert plan.returncode == 0, f"{place}\n{plan.stderr}"
    who = executed_by(part)
    folder = (ROOT / who.split("::")[0]).parent
    told = "".join(path.read_text() for path in folder.glob("*.py")) if who in ELSEWHERE.values() else ""
    for module in MODULE.findall(plan.stdout):
        path = ROOT / module.replace(".", "/")
        assert path.is_dir() or path.with_suffix(".py").is_file(), f"{place}: {module} is not there"
        assert not told or module in told, f"{place}: {who} does not run {module}"


@pytest.mark.parametrize("page", [page for page in PAGES if any(block.language == "python" for block in blocks(page))])
def test_python_is_executed_by_a_test(page: str) -> None:
    if page != EXTEND:
        path, name = PYTHON[page].split("::")
        assert f"def {name}" in (ROOT / path).read_text()


def said(text: str) -> Any:
    """YAML as it stands in a page, what a reader fills in being filled in."""
    return yaml.safe_load(re.sub(r"<[^<>]* (\d\d)(?: digits)?>", lambda found: "a" * int(found[1]), text))


def loaded(body: dict[str, Any]) -> Params:
    merged = {key: {**BASE.get(key, {}), **value} if isinstance(value, dict) else value for key, value in body.items()}
    if "targets" in body:
        merged["targets"] = body["targets"]
    return check({**BASE, **merged})


@pytest.mark.parametrize("page", PAGES)
def test_what_stands_of_params_yaml_can_be_loaded(page: str) -> None:
    for block in blocks(page):
        if block.language == "yaml":
            assert loaded(said(block.text))
    known = "|".join(field.name for field in fields(Params))
    for line, text in spans(page):
        if page == EXTEND or not re.fullmatch(rf"(?:{known}): [\[{{].*[\]}}]", text) or "…" in text:
            continue
        try:
            loaded(said(text))
        except Exception as error:
            raise AssertionError(f"{page}:{line}: {text}: {error}") from error


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the code with all that docs/extend.md adds."""
    folder = tmp_path_factory.mktemp("extended")
    unwanted = shutil.ignore_patterns("__pycache__")
    for name in ("tasks", "tests", "data/recipes"):
        shutil.copytree(ROOT / name, folder / name, ignore=unwanted)
    for name in ("pyproject.toml", "params.yaml", "dvc.yaml", "requirements.lock"):
        shutil.copy(ROOT / name, folder)
    for block in blocks(EXTEND):
        if block.language == "python":
            (folder / block.lines[0].removeprefix("# ")).write_text("\n".join(block.lines[1:]) + "\n")
        elif block.language == "diff":
            amended(folder, block)
    return folder


def run(tree: Path, *words: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(words, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def test_what_extend_adds_works_and_our_tests_hold_it_to_what_ours_promise(tree: Path) -> None:
    (command,) = [one for one in commands(EXTEND) if " pytest " in one.text]
    files = ["tests/extended.py", *command.text.split(" pytest ")[1].split()]
    quick = "extended or maximum and not interaction or registry or named or first_night"
    run(tree, sys.executable, "-m", "pytest", *files, "-p", "no:cacheprovider", "-p", "no:xdist", "-k", quick)


def test_what_extend_adds_is_in_our_style(tree: Path) -> None:
    added = [block.lines[0].split()[-1] for block in blocks(EXTEND) if block.language in {"python", "diff"}]
    ruff = str(Path(sys.executable).with_name("ruff"))
    run(tree, ruff, "check", "--no-cache", *added)
    run(tree, ruff, "format", "--check", "--no-cache", *added)
