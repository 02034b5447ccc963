"""Write instants for receivers: RFC 3339 in UTC, ending in ``Z``, with every digit the producer wrote.

Fraction digits are kept as text: a ``datetime`` holds six of them, and Fineract writes up to nine.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1)  # without a zone, so that isoformat adds no offset
_LAST_MS = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z, the last instant RFC 3339 can represent
_UTC = frozenset({"Z", "z", "+00:00", "-00:00"})
_PARTS = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d)(?:(:\d\d)(?:(\.\d{1,9})\d*)?)?([Zz]|[+-]\d\d:\d\d)?", re.ASCII
)


@lru_cache(maxsize=1024)  # records of one batch mostly share their millisecond
def from_millis(ms: int) -> str:
    """Format milliseconds since 1970, clamped to the years 1970 to 9999 (Kafka writes -1 for "none")."""
    instant = _EPOCH + timedelta(milliseconds=min(max(ms, 0), _LAST_MS))
    return instant.isoformat(timespec="milliseconds") + "Z"


def from_text(text: str) -> str | None:
    """Convert an ISO 8601 date-time to RFC 3339 in UTC; None for other text. Without a zone it is UTC."""
    parts = _PARTS.fullmatch(text)
    if parts is None:
        return None
    date, minutes, seconds, fraction, zone = parts.groups()
    clock = minutes + (seconds or ":00")
    try:
        at = datetime.fromisoformat(f"{date}T{clock}")
        if zone is not None and zone not in _UTC:
            at = datetime.fromisoformat(f"{date}T{clock}{zone}")
            date, clock = at.astimezone(UTC).isoformat()[:19].split("T")
    except (ValueError, OverflowError):
        return None
    return f"{date}T{clock}{fraction or ''}Z"
