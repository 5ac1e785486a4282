"""What is refused before anything starts, and what the refusal says."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.embedded import preflight
from tasks.errors import EnvironmentDiffers, Refused, WrongValue
from tasks.run.git import git


def test_a_clean_checkout_passes(checkout: Path) -> None:
    assert preflight.check_checkout(checkout) == git("rev-parse", "HEAD", cwd=checkout)
    assert preflight.left_out(checkout) == ""


def test_a_folder_without_git_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"is not a git repository, and a run is a commit: clone .* `git init"):
        preflight.check_checkout(tmp_path)


def test_a_folder_inside_another_repository_is_refused(checkout: Path) -> None:
    with pytest.raises(Refused, match=r"data is a folder of the git repository .*checkout: run from its root"):
        preflight.check_checkout(checkout / "data")


def test_a_repository_without_a_commit_is_refused(tmp_path: Path) -> None:
    git("init", "--quiet", cwd=tmp_path)
    with pytest.raises(Refused, match="has no commit yet, and a run is a commit: `git add --all"):
        preflight.check_checkout(tmp_path)


def test_another_environment_is_refused(checkout: Path) -> None:
    (checkout / "requirements.lock").write_text("pyyaml==0.1\nno-such-package==1\n")
    with pytest.raises(EnvironmentDiffers, match=r"pyyaml is .* no-such-package is not installed .* Run `make install`"):
        preflight.check_checkout(checkout)


def test_what_is_not_committed_is_named(checkout: Path) -> None:
    (checkout / "params.yaml").write_text("seed: 1\n")
    (checkout / "new file.py").write_text("")
    (checkout / "data/0_landing").mkdir()
    (checkout / "data/0_landing/ignored").write_text("")
    git("rm", "--quiet", "data/recipes/digits/generate.py", cwd=checkout)
    told = preflight.left_out(checkout)
    assert told == (
        "left out, because not committed: 3 changed files (data/recipes/digits/generate.py, new file.py, params.yaml)"
    )


def test_only_one_at_a_time_and_the_second_is_told_who_is_first(tmp_path: Path) -> None:
    holder = (
        "import sys, pathlib; from tasks.embedded.preflight import only_one\n"
        f"with only_one(pathlib.Path({str(tmp_path)!r}), 'make run'): print('held', flush=True); sys.stdin.read()"
    )
    root = Path(__file__).resolve().parents[2]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", holder], cwd=root, **pipes) as first:  # type: ignore[call-overload]
        assert first.stdout.readline() == b"held\n"
        refusal = rf"`make run` \(process {first.pid}\) is at work in .*: wait until it ends, or stop it"
        with pytest.raises(Refused, match=refusal), preflight.only_one(tmp_path, "make up"):
            pytest.fail("two at once")
        first.kill()  # a killed owner leaves nothing locked
        first.communicate()
    with preflight.only_one(tmp_path, "make up"):
        pass


def test_a_taken_port_is_named_with_the_way_to_another(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        monkeypatch.setenv("NIGHTLOOM_PORT", str(number))
        refusal = (
            f"port {number} on 127.0.0.1 is taken by another program; choose another one: `NIGHTLOOM_PORT={number + 1} make"
        )
        with pytest.raises(Refused, match=refusal):
            preflight.port("NIGHTLOOM_PORT")
        assert preflight.named_port("NIGHTLOOM_PORT") == number
        assert preflight.listens(number)
    assert preflight.port("NIGHTLOOM_PORT") == number
    assert not preflight.listens(number)


@pytest.mark.parametrize("text", ["80", "http", "70000", ""])
def test_what_is_no_port_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("NIGHTLOOM_MLFLOW_PORT", text)
    with pytest.raises(WrongValue, match="NIGHTLOOM_MLFLOW_PORT must be a port, 1024 to 65535, got"):
        preflight.port("NIGHTLOOM_MLFLOW_PORT")


def test_the_command_tells_a_mistake_in_one_line(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-m", "tasks.embedded", "run"]
    done = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(root)}, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(f"nightloom: {tmp_path} is not a git repository")
    assert done.stderr.count("\n") == 1
