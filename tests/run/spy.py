"""A stage that steals: looks into everything its user may look into for a word, and prints where it was.

`python -m tests.run.spy <folder>…`: the folders are searched as well as /proc and its own environment.
"""

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

WORD = re.compile(b"can" + rb"ary-[a-z]+")  # in two parts, so that it does not find itself
LARGEST = 64 << 20  # bytes of one piece of memory


def found(content: bytes) -> set[str]:
    return {match.decode() for match in WORD.findall(content)}


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def memory(process: Path) -> Iterator[bytes]:
    """What a process holds in memory that it may write to."""
    try:
        with (process / "mem").open("rb", buffering=0) as content:
            for line in (process / "maps").read_text().splitlines():
                span, rights = line.split()[:2]
                first, last = (int(end, 16) for end in span.split("-"))
                if rights.startswith("rw") and last - first <= LARGEST and "[v" not in line:
                    try:
                        content.seek(first)
                        yield content.read(last - first)
                    except (OSError, OverflowError):
                        continue
    except OSError:
        return


def processes() -> Iterator[tuple[str, set[str]]]:
    """Every process but this one: where something was found, and what."""
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        words = read(process / "cmdline").replace(b"\0", b" ").decode(errors="replace")[:60]
        yield f"environ of {words}", found(read(process / "environ"))
        yield f"command of {words}", found(read(process / "cmdline"))
        yield f"memory of {words}", {word for piece in memory(process) for word in found(piece)}
        try:
            opened = list((process / "fd").iterdir())
        except OSError:
            continue
        yield f"files of {words}", {word for file in opened if file.is_file() for word in found(read(file))}


def files(folders: list[Path]) -> Iterator[tuple[str, set[str]]]:
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file():
                yield f"file {path}", found(read(path))


def main(folders: list[Path]) -> None:
    own = "\0".join(f"{name}={value}" for name, value in os.environ.items()).encode()
    looked = [("own environment", found(own)), *processes(), *files(folders)]
    for where, words in looked:
        for word in sorted(words):
            print(f"HIT {word.partition('-')[2]} in {where}", flush=True)  # whole, it would be masked as a secret
    print(f"looked at {len(looked)} places", flush=True)


if __name__ == "__main__":
    main([Path(folder) for folder in sys.argv[1:]])
