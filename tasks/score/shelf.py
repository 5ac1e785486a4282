"""Where predictions lie: `predictions/` beside DVC's objects, on a folder or S3. A file is whole or not there."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tasks.errors import ContractBroken
from tasks.files import write_json

FACTS, QUARANTINE, LIVE = "facts", "quarantine", "live"


class Shelf:
    """The predictions of all versions."""

    def __init__(self, repo: Any) -> None:
        """Take an open DVC repository, whose remote is the place."""
        remote = repo.cloud.get_remote()
        self._fs = remote.fs
        self.place: str = self._fs.join(remote.path, "predictions")

    def facts(self, version: str) -> dict[str, dict[str, Any]]:
        """Batch -> what was found when this version predicted it."""
        names = [name for name in self._listed(FACTS, version) if name.endswith(".json")]
        return {name.removesuffix(".json"): self._json(FACTS, version, name) for name in names}

    def versions(self) -> list[str]:
        """Those that have predicted anything."""
        return self._listed(FACTS)

    def put(self, version: str, batch: str, answers: Path, left_out: Path, facts: dict[str, Any]) -> None:
        """Place what a version says of a batch; the facts come last, so that a killed try is done again."""
        self._put(left_out, QUARANTINE, version, f"{batch}.parquet")
        self._put(answers, version, f"{batch}.parquet")
        self.note(version, batch, facts)

    def note(self, version: str, batch: str, facts: dict[str, Any]) -> None:
        """Place the facts of a batch that has no tables of its own."""
        self._put_json(facts, FACTS, version, f"{batch}.json")

    def answers(self, version: str, batch: str) -> Any:
        """A batch's predictions as an open file."""
        return self._fs.open(self._fs.join(self.place, version, f"{batch}.parquet"), "rb")

    def live(self, version: str) -> dict[str, Any]:
        """What `put_live` wrote; nothing at first."""
        name = f"{version}.json"
        return self._json(LIVE, name) if name in self._listed(LIVE) else {}

    def put_live(self, version: str, found: dict[str, Any], picture: Path) -> None:
        """Place a version's live score and its picture."""
        self._put(picture, LIVE, f"{version}.png")
        self._put_json(found, LIVE, f"{version}.json")

    def files(self) -> Iterator[str]:
        """The paths of all that tells of single samples: tables, and facts."""
        if self._fs.exists(self.place):
            yield from (path for path in sorted(self._fs.find(self.place)) if path.endswith((".parquet", ".json")))

    def open(self, path: str) -> Any:
        """One of `files`, for reading."""
        return self._fs.open(path, "rb")

    def replace(self, path: str, content: Path) -> None:
        """Put another content in place of one of `files`."""
        self._fs.put_file(str(content), path)

    def _put(self, content: Path, *place: str) -> None:
        path = self._fs.join(self.place, *place)
        self._fs.makedirs(self._fs.parent(path), exist_ok=True)
        self._fs.put_file(str(content), path)  # a folder's is copied beside it, then renamed; S3's is whole by itself

    def _put_json(self, value: dict[str, Any], *place: str) -> None:
        with tempfile.TemporaryDirectory(prefix="nightloom-facts-") as folder:
            path = Path(folder, "facts.json")
            write_json(path, value)
            self._put(path, *place)

    def _json(self, *place: str) -> dict[str, Any]:
        path = self._fs.join(self.place, *place)
        try:
            found: dict[str, Any] = json.loads(self._fs.cat_file(path))
        except ValueError as error:
            raise ContractBroken(f"{path} is not JSON ({error}): delete it, and its batch is predicted again") from error
        return found

    def _listed(self, *place: str) -> list[str]:
        try:
            self._fs.fs.invalidate_cache()
            found = [self._fs.name(path.rstrip("/")) for path in self._fs.ls(self._fs.join(self.place, *place), detail=False)]
        except FileNotFoundError:
            return []
        return sorted(name for name in found if not name.startswith("."))  # a copy that is being made
