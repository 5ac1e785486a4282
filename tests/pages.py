"""What README.md and docs/ hold: commands, each with the place where it stands and who executes it, and other blocks.

A block of commands is marked `sh`; between two backticks what begins with a program's name is one too, unless it holds an
ellipsis. `carry_out` runs a page's commands in a project that has had a night, all but those that another test executes
(`ELSEWHERE`) or that are measurements and the like (`BY_HAND`).
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from tasks.run.git import git

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")))
FENCE = re.compile(r"^ *```(\w*)$")
PROGRAMS = (
    *("aws", "cp", "curl", "docker", "dvc", "export", "git", "gto", "helm", "make", "mkdir", "mlflow", "mv", "printf"),
    *("python", "rm", "set", "torchrun"),
)
COMMAND = re.compile(rf"(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?(?:{'|'.join(PROGRAMS)}) [^`…]+")
INLINE = re.compile(r"`([^`]+)`")
COMMENT = re.compile(r"\s+#\s.*$")
SAMPLE = "uci-0004"  # a digit of the sample's first night, with a picture and a sound

NIGHT = "tests/test_night.py::test_"
RECIPE = "tests/recipes/test_whole.py::test_"
DOCS = "tests/test_docs.py::test_"
VARY = "tests/vary/test_vary.py::test_"
SERVER = "tests/score/test_serve.py::test_the_server_answers_what_the_bundle_says"
CLUSTER = "tests/cluster/test_nights.py::test_three_workers_give_what_one_gives"

# What takes minutes or starts servers, as a glob -> the test that executes it.
ELSEWHERE = {
    "make run": f"{NIGHT}first_night_promotes_a_fused_model",
    "make up": f"{NIGHT}next_night_faces_the_champion_and_fits_no_encoder",
    "NIGHTLOOM_VIEWERS=ada make up": f"{NIGHT}a_viewer_may_do_nothing_and_sees_nothing_that_is_not_shown_to_viewers",
    "make pictures": f"{NIGHT}the_person_sees_it_end",
    "make run RECIPE=diagnosis": f"{RECIPE}make_run_brings_a_recipes_model_to_the_throne_of_its_own_project",
    "NIGHTLOOM_LANDING=/path make run RECIPE=terrain": (
        "tests/embedded/test_recipe.py::test_a_recipe_that_makes_no_data_asks_where_it_is"
    ),
    "make reproduce VERSION=v1.0.0": ("tests/reproduce/test_reproduce.py::test_same_bytes_by_the_same_work_from_nothing"),
    "python -m tasks.vary split.fold *": f"{VARY}every_fold_is_run_once_and_pooled_and_nothing_else_changes",
    "python -m tasks.vary *": f"{VARY}the_commits_own_value_costs_nothing_and_what_a_night_would_stop_at_is_said",
    "dvc repro -f": f"{NIGHT}a_version_is_verified_bit_for_bit_and_the_registry_says_so",
    '.venv/bin/python -m tasks.embedded approve --reason "labels checked"': (
        "tests/embedded/test_answer.py::test_a_person_answers_from_a_shell"
    ),
    "python -m tasks.score age=47 sex=f --json": "tests/score/test_files.py::test_words_become_a_sample",
    "mlflow models serve *": SERVER,
    "python -m tasks.score.export head.onnx": (
        "tests/score/test_export.py::test_the_command_writes_a_bundles_head_and_says_what_it_answers"
    ),
    "curl http://127.0.0.1:5002/invocations *": SERVER,
    "NIGHTLOOM_CPU_QUEUES=cpu,gpu docker compose *": CLUSTER,
    "docker compose *": CLUSTER,
    "helm upgrade *": "tests/cluster/test_files.py::test_the_values_have_keys_that_the_chart_knows",
    "torchrun *": "tests/ranks/test_start.py::test_a_stage_starts_its_processes_and_torchrun_starts_the_same",
    "make scale": "tests/bench/test_scale.py::test_the_page_shows_the_tables",
    "python -m tests.bench.scale --write": "tests/bench/test_scale.py::test_the_page_shows_the_tables",
    "make bench-incremental": "tests/bench/test_incremental.py::test_the_second_night_costs_what_is_new",
    "python -m tests.bench.units": "tests/bench/test_scale.py::test_a_first_night_pays_for_all_and_the_next_for_what_is_new",
    ".venv/bin/python -m pytest tests/train/*": f"{DOCS}what_extend_adds_works_and_our_tests_hold_it_to_what_ours_promise",
}

# What no test executes -> why.
BY_HAND = {
    "make bench-*": "measures, for minutes to hours",
    "python -m tests.bench.objectives *": "measures, for minutes",
    "make chaos *": "kills what it likes for hours",
    "make check": "is what looks at this code, before any test",
    "make test": "is what runs this",
    "aws s3 cp *": "a program of others; tests/cluster lands the same objects, the table last",
}


@dataclass(frozen=True)
class Block:
    """A fenced block: where it stands, its language, and its lines."""

    page: str
    line: int  # of the first of its lines
    language: str
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """Its content."""
        return "\n".join(self.lines) + "\n"


@dataclass(frozen=True)
class Command:
    """A command of a page, without its comment; one that goes on over several lines is one.

    Attributes:
        page: where it stands.
        line: likewise.
        text: of the command.
        block: where the block begins in which it stands; in running text its own line.
    """

    page: str
    line: int
    text: str
    block: int

    @property
    def parts(self) -> tuple[str, ...]:
        """What is done one after another."""
        return tuple(self.text.split(" && "))

    @property
    def place(self) -> str:
        """Where it stands, for a message."""
        return f"{self.page}:{self.line}: {self.text}"


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page."""
    found: list[Block] = []
    begun: tuple[int, str] | None = None
    lines = (ROOT / page).read_text().splitlines()
    for number, line in enumerate(lines):
        if not (fence := FENCE.match(line)):
            continue
        if begun is None:
            begun = number + 1, fence[1]
        else:
            inside = lines[begun[0] : number]
            indent = min((len(one) - len(one.lstrip()) for one in inside if one.strip()), default=0)
            found.append(Block(page, begun[0] + 1, begun[1], tuple(one[indent:] for one in inside)))
            begun = None
    assert begun is None, f"{page}: the block of line {begun and begun[0]} has no end"
    return found


def spans(page: str) -> list[tuple[int, str]]:
    """What stands between backticks outside of blocks, with its line."""
    inside = {block.line + number for block in blocks(page) for number in range(-1, len(block.lines) + 1)}
    lines = enumerate((ROOT / page).read_text().splitlines(), start=1)
    return [(number, text) for number, line in lines if number not in inside for text in INLINE.findall(line)]


def commands(page: str) -> list[Command]:
    """A page's commands in the order in which they stand there; of those in running text what begins no command of a block."""
    blocked = {part for each in PAGES for command in _blocked(each) for part in command.parts}
    said = [Command(page, line, text, line) for line, text in spans(page) if COMMAND.fullmatch(text)]
    loose = [command for command in said if not all(any(b.startswith(part) for b in blocked) for part in command.parts)]
    return sorted([*_blocked(page), *loose], key=lambda command: command.line)


def _blocked(page: str) -> list[Command]:
    found = []
    for block in blocks(page):
        if block.language != "sh":
            continue
        whole, begun = "", block.line
        for number, line in enumerate(block.lines, start=block.line):
            whole, begun = (whole + line.strip(), begun) if whole else (COMMENT.sub("", line), number)
            if whole.endswith("\\"):
                whole = whole[:-1]
            elif whole.strip():
                found.append(Command(page, begun, whole.strip(), block.line))
                whole = ""
    return found


def executed_by(part: str) -> str:
    """The test that executes it, why none does, or "" where `carry_out` does."""
    return next((who for known, who in {**ELSEWHERE, **BY_HAND}.items() if fnmatchcase(part, known)), "")


def restored(folder: Path, home: Path, landing: Path) -> Path:
    """A fresh clone with a copy of what has to be kept of a home (docs/recover.md), and the first night's batch."""
    git("clone", "--quiet", str(ROOT), str(folder))
    for name in ("central.git", "remote"):
        shutil.copytree(home / name, folder / ".nightloom" / name)
    shutil.copytree(landing / "night-1", folder / "data/0_landing/night-1")
    for kind, suffix, name in (("image", "png", "a"), ("image", "png", "b"), ("audio", "wav", "b")):
        shutil.copy(landing / f"night-1/{kind}/{SAMPLE}-2.{suffix}", folder / f"{name}.{suffix}")
    shutil.copystat(ROOT / "requirements.lock", folder / "requirements.lock")  # make installs nothing
    (folder / ".venv").symlink_to((ROOT / ".venv").resolve())
    return folder


def carry_out(page: str, folder: Path) -> str:
    """Run a page's commands in a project, one after another in one shell, each block from its root; what they said.

    Raises:
        AssertionError: one failed; it names its line.
    """
    script = ["set -eu -o pipefail", "trap 'echo \"FAILED $at\"' ERR"]
    block = 0
    for command in commands(page):
        mine = [part for part in command.parts if not executed_by(part)]
        if mine:
            text = (
                " && ".join(mine).replace("/path/to/another", f"{folder}-another").replace("/data/other-site", "data/0_landing")
            )
            script += [f"cd {folder}"] if command.block != block else []
            block = command.block
            script += [f"at={_quoted(command.place)}", text.replace("/path/to/", f"{folder}/")]
    own = {name: value for name, value in os.environ.items() if not name.startswith(("NIGHTLOOM_", "AWS_", "MAKE", "MLFLOW_"))}
    own |= {"PATH": f"{Path(sys.executable).parent}:{own['PATH']}", "HOME": str(folder.parent), "GIT_PAGER": "cat"}
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=folder,
        env=own,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def amended(tree: Path, diff: Block) -> None:
    """Carry out a block of docs/extend.md: lines that are there, then those that go (-) and come (+).

    Raises:
        AssertionError: a line is not there; it names it.
    """
    path = tree / diff.lines[0].removeprefix(" # ")
    lines, at = path.read_text().splitlines(), 0
    for number, line in enumerate(diff.lines[1:], start=diff.line + 1):
        sign, text = line[:1], line[1:]
        if sign == "+":
            lines.insert(at, text)
            at += 1
            continue
        assert text in lines[at:], f"{diff.page}:{number}: {path} has no such line: {text}"
        at = lines.index(text, at)
        if sign == "-":
            del lines[at]
        else:
            at += 1
    path.write_text("\n".join(lines) + "\n")
