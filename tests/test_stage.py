import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from tasks.errors import EnvironmentDiffers
from tasks.stage import check_environment, differences


def test_the_locked_environment_is_this_one() -> None:
    check_environment()


def test_what_differs_is_named() -> None:
    lines = [
        "# a comment",
        "",
        f"numpy=={version('numpy')}",
        "numpy==0.1",
        "no-such-package==1",
        "numpy==0.1 ; python_version < '3'",
    ]
    assert list(differences(lines)) == [
        f"numpy is {version('numpy')} (lock: ==0.1)",
        "no-such-package is not installed (lock: ==1)",
    ]


def test_a_lock_that_differs_says_what_to_do(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    with pytest.raises(EnvironmentDiffers, match="run stages from the repository's root"):
        check_environment(lock)
    lock.write_text("numpy==0.1\n")
    with pytest.raises(EnvironmentDiffers, match=r"numpy is .* \(lock: ==0.1\). Run `make install`"):
        check_environment(lock)


def run(folder: Path, program: str) -> subprocess.CompletedProcess[str]:
    (folder / "requirements.lock").write_text("")
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env={"PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_mistake_is_one_line_and_a_bug_a_traceback(tmp_path: Path) -> None:
    program = "from tasks.stage import enter\nfrom tasks.errors import NoData\ndef f(): raise {}\nenter(f)"
    mistake = run(tmp_path, program.format("NoData('nothing here: land a batch')"))
    assert (mistake.returncode, mistake.stderr) == (2, "nightloom: nothing here: land a batch\n")
    bug = run(tmp_path, program.format("ZeroDivisionError()"))
    assert bug.returncode == 1
    assert "Traceback" in bug.stderr


def test_what_would_go_wrong_as_python_ends_does_not_undo_a_stage(tmp_path: Path) -> None:
    """As Arrow's threads do that are just starting then."""
    begin = "import atexit, os\nfrom tasks.stage import enter\natexit.register(os.abort)\n"
    ended = run(tmp_path, begin + "def f(): print('done', end='')\nenter(f)")
    assert (ended.returncode, ended.stdout) == (0, "done")
