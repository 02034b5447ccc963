"""Instants as people write them: RFC 3339, with a time zone. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_INSTANT = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)  # RFC 3339 5.6


def instant_ms(text: str) -> int | None:
    """Return an RFC 3339 instant from 1970 on in Unix milliseconds; None for other text."""
    if not _INSTANT.fullmatch(text):
        return None
    try:
        at = datetime.fromisoformat(text.upper())
    except ValueError:
        return None
    since = at - datetime(1970, 1, 1, tzinfo=UTC)
    return since // timedelta(milliseconds=1) if since >= timedelta() else None


def instant_text(at_s: float) -> str:
    """Return Unix seconds as RFC 3339 text in UTC, to the second."""
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def precise_instant(at_ms: int) -> str:
    """Return Unix milliseconds as RFC 3339 text in UTC, to the millisecond."""
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)
    return at.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
