"""In a child process: `dvc repro`, a line per stage as it begins, and what stages print below it."""

import subprocess
import sys
from collections.abc import Iterable
from time import monotonic

from tasks.reproduce.compare import RUNNING, counted
from tasks.run.child import MISTAKE, answer, request, scrubbed_environment
from tasks.run.settings import settings

COMMAND = [sys.executable, "-m", "dvc", "repro"]
LAST = 30  # lines that are shown of a pipeline that failed unseen
NOISE = ("> ", "Updating lock file", "Generating lock file", "Use `dvc push`", "To track the changes", "To enable auto staging")


def main() -> None:
    """Answer `work` (by stage), `stages` (how many began) and `seconds`."""
    asked = request()
    began = monotonic()
    with subprocess.Popen(
        [*COMMAND, *asked["words"]],
        cwd=asked["folder"],
        env=scrubbed_environment(settings().home / "stages"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        source = process.stdout or ()
        lines = shown(source) if asked["shown"] else [line.rstrip("\n") for line in source]
    running = [found["stage"] for line in lines if (found := RUNNING.match(line))]
    if process.returncode != 0:
        if not asked["shown"]:
            shown(lines[-LAST:])
        print(f"the pipeline stopped at stage {running[-1]}" if running else "no stage of the pipeline began", flush=True)
        sys.exit(MISTAKE)
    answer(asked["answer"], {"work": counted(lines), "stages": len(running), "seconds": monotonic() - began})


def shown(source: Iterable[str]) -> list[str]:
    """Print DVC's lines, shortened, with the time since the start at each stage; return them whole."""
    lines: list[str] = []
    began = monotonic()
    for line in source:
        lines.append(line.rstrip("\n"))
        if running := RUNNING.match(line):
            print(f"{clock(monotonic() - began):>6}  {running['stage']}", flush=True)
        elif line.strip() and not line.strip().startswith(NOISE):
            print(f"        {line.rstrip()}", flush=True)
    return lines


def clock(seconds: float) -> str:
    """Minutes and seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


if __name__ == "__main__":
    main()
