"""The bare repository that holds runs, `nightly` and the registry; its hook keeps what was written."""

import shutil
import tempfile
from pathlib import Path

from tasks.run.git import git

# What a registry needs: tags are written once, `nightly` only moves on. `receive.deny…` does not protect tags.
HOOK = """#!/bin/sh
# update <ref> <old> <new>: written by tasks/central/repository.py
none=$(printf '%s' "$2" | tr '0-9a-f' '0')
case "$1" in
    refs/tags/*) [ "$2" = "$none" ] || { echo "a tag is written once: $1 stays as it is" >&2; exit 1; } ;;
    refs/heads/nightly)
        [ "$3" != "$none" ] || { echo "nightly cannot be deleted" >&2; exit 1; }
        [ "$2" = "$none" ] || git merge-base --is-ancestor "$2" "$3" ||
            { echo "nightly only moves on: it is at $2 by now" >&2; exit 1; } ;;
esac
"""


def create_central(central: Path) -> bool:
    """Make the bare repository with its hook, whole or not at all; False when it is there."""
    if (central / "HEAD").is_file():
        _hooked(central)
        return False
    central.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{central.name}-", dir=central.parent))
    try:
        _fill(aside, central)
        aside.chmod(0o755)
        aside.rename(central)  # fails over a folder that holds something
    except OSError:
        if (central / "HEAD").is_file():  # another process was faster
            return False
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return True


def _fill(aside: Path, central: Path) -> None:
    git("init", "--quiet", "--bare", "--initial-branch=main", str(aside))
    git("config", "receive.shallowUpdate", "true", cwd=aside)  # a checkout may be a shallow clone
    _hooked(aside)
    hook = aside / "hooks" / "update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(HOOK)
    hook.chmod(0o755)


def _hooked(central: Path) -> None:
    """A person's own core.hooksPath must not switch central's hook off; seen from itself, so that it may be moved."""
    if "hooksPath = hooks\n" not in (central / "config").read_text():
        git("config", "core.hooksPath", "hooks", cwd=central)
