"""Timestamps as users write them."""

import math
import re
from datetime import UTC, datetime

from tasks.errors import ContractBroken

NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]{1,3})?")


def seconds(text: str) -> float | None:
    """Read a timestamp: a bare number is seconds, else ISO 8601 (UTC when it names no zone); None for an empty cell.

    Raises:
        ContractBroken: neither, or not finite.
    """
    if not text.strip():
        return None
    try:
        if NUMBER.fullmatch(text.strip()):
            value = float(text)
        else:
            moment = datetime.fromisoformat(text.strip())
            value = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        value = math.nan
    if not math.isfinite(value):
        raise ContractBroken(f"{text[:40]!r} is no time; expected ISO 8601 (2026-11-05T22:00:00Z) or seconds")
    return value
