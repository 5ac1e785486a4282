"""What a batch names, remembered on the disk: memory stays flat, however many rows and files it has.

Each is a temporary SQLite database of its own, which vanishes with it. Text is compared byte by byte.
"""

import sqlite3
from collections.abc import Iterator
from typing import Any

from tasks.ingest.names import folded

CACHE_KIB = 2048


def _database(table: str) -> sqlite3.Connection:
    database = sqlite3.connect("", isolation_level=None)  # "": a file that has no name and goes when it is closed
    for setting in (f"cache_size = -{CACHE_KIB}", "journal_mode = OFF", "synchronous = OFF", "temp_store = FILE"):
        database.execute(f"PRAGMA {setting}")
    database.execute(f"CREATE TABLE seen ({table}) WITHOUT ROWID")
    database.execute("BEGIN")
    return database


class Names:
    """Texts that should be names: finds those used twice, and twins.

    Twins are different spellings that a system blind to case or to Unicode's normal forms takes for the same name.
    """

    def __init__(self) -> None:
        """Start with no names."""
        self._seen = _database("folded TEXT, text TEXT, about TEXT, uses INTEGER, PRIMARY KEY (folded, text, about)")

    def add(self, text: str, about: str = "") -> None:
        """Take note of a spelling, and of what is said of it."""
        self._seen.execute(
            "INSERT INTO seen VALUES (?, ?, ?, 1) ON CONFLICT DO UPDATE SET uses = uses + 1", (folded(text), text, about)
        )

    def twins(self) -> frozenset[str]:
        """The folded forms of all names that have twins."""
        return frozenset(row[0] for row in self._several("folded", "folded", "COUNT(DISTINCT text)"))

    def repeated(self) -> dict[str, tuple[int, bool]]:
        """Each text that was added more than once: how often, and whether different things were said of it."""
        rows = self._several("text, SUM(uses), COUNT(*)", "folded, text", "SUM(uses)")
        return {text: (uses, several > 1) for text, uses, several in rows}

    def _several(self, what: str, by: str, count: str) -> Iterator[Any]:
        return self._seen.execute(f"SELECT {what} FROM seen GROUP BY {by} HAVING {count} > 1")  # noqa: S608 (our own words)


class Digests:
    """The sha256 of each file of a batch."""

    def __init__(self) -> None:
        """Start with no file."""
        self._seen = _database("path TEXT PRIMARY KEY, sha256 BLOB")

    def add(self, path: str, sha256: bytes) -> bool:
        """Take note of a file's digest; say whether it is the one that was known, if any was."""
        self._seen.execute("INSERT INTO seen VALUES (?, ?) ON CONFLICT DO NOTHING", (path, sha256))
        known: bytes = self._seen.execute("SELECT sha256 FROM seen WHERE path = ?", (path,)).fetchone()[0]
        return known == sha256

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        """Yield path and digest, sorted by path."""
        return self._seen.execute("SELECT path, sha256 FROM seen ORDER BY path")
