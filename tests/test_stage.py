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


def test_a_mistake_is_one_line_and_a_bug_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "requirements.lock").write_text("")
    program = "from tasks.stage import enter\nfrom tasks.errors import NoData\ndef f(): raise {}\nenter(f)"

    def run(error: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", program.format(error)],
            cwd=tmp_path,
            env={"PYTHONPATH": str(Path.cwd())},
            capture_output=True,
            text=True,
            check=False,
        )

    mistake = run("NoData('nothing here: land a batch')")
    assert (mistake.returncode, mistake.stderr) == (2, "nightloom: nothing here: land a batch\n")
    bug = run("ZeroDivisionError()")
    assert bug.returncode == 1
    assert "Traceback" in bug.stderr
