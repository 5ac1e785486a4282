"""Who was erased: data/erased.json keeps salted hashes of sample ids, so that none of them is ever taken again."""

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from tasks.files import read_json, write_json

ERASED = Path("data/erased.json")
REASON = "this sample was erased; it is not taken again"


@dataclass(frozen=True)
class Erased:
    """The erased samples, by hash."""

    salt: str = ""
    hashes: frozenset[str] = frozenset()

    def has(self, sample: str) -> bool:
        """Say whether this sample was erased."""
        return bool(self.hashes) and self._hash(sample) in self.hashes

    def plus(self, samples: Collection[str]) -> "Erased":
        """These and further samples."""
        salted = self if self.salt else Erased(secrets.token_hex(16))
        return Erased(salted.salt, salted.hashes | {salted._hash(sample) for sample in samples})

    def _hash(self, sample: str) -> str:
        return hashlib.sha256(f"{self.salt}:{sample}".encode()).hexdigest()


def read_erased(path: Path) -> Erased:
    """Read what `write_erased` wrote; nobody when there is no such file."""
    if not path.is_file():
        return Erased()
    found = read_json(path)
    return Erased(found["salt"], frozenset(found["sha256"]))


def write_erased(path: Path, erased: Erased) -> None:
    """Write the hashes, sorted."""
    write_json(path, {"salt": erased.salt, "sha256": sorted(erased.hashes)})
