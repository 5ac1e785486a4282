"""Where the time of a task goes: seconds of wall time by part."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic


class Laps:
    """Adds up the seconds of named parts; a part may come again.

    Attributes:
        spent_s: part -> seconds so far.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self.spent_s: dict[str, float] = {}

    @contextmanager
    def of(self, part: str) -> Iterator[None]:
        """Count the time inside the block to a part, however the block ends."""
        began = monotonic()
        try:
            yield
        finally:
            self.spent_s[part] = round(self.spent_s.get(part, 0.0) + monotonic() - began, 3)
