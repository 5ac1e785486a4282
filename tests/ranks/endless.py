"""Two ranks that meet again and again: `python -m tests.ranks.endless FOLDER`; each leaves its process id there."""

import os
import sys
from pathlib import Path

from tasks.ranks.start import joined
from tasks.stage import die_with_parent, leave


def main(folder: str) -> None:
    with joined("tests.ranks.endless", folder, 2, "cpu") as ranks:
        Path(folder, f"{ranks.number}").write_text(str(os.getpid()))
        while True:
            ranks.meet()


if __name__ == "__main__":
    die_with_parent()
    try:
        main(sys.argv[1])
    except SystemExit as told:
        leave(told.code)
