"""All methods on their planted cases: `python -m tests.bench.helps` prints a line of JSON, exit 1 below the bar of any."""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

METHODS = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem not in ("__init__", "__main__", "leads"))


def main() -> int:
    """Run one after another, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("methods", nargs="*", choices=[[], *METHODS], metavar="method", help=", ".join(METHODS))
    found: dict[str, Any] = {}
    missed = []
    for method in parser.parse_args().methods or METHODS:
        command = [sys.executable, "-m", f"tests.bench.helps.{method}"]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode not in (0, 1):
            raise SystemExit(f"{' '.join(command)} ended with exit code {done.returncode}")
        print(done.stdout, end="", flush=True)
        found[method] = json.loads(done.stdout.splitlines()[-1])
        missed += [method] if done.returncode else []
    print(json.dumps({"missed": missed, "methods": found}, sort_keys=True))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
