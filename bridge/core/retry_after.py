"""Decide how many seconds to wait, by a ``Retry-After`` header (RFC 9110 10.2.3).

Invariant: an unreadable value gives no wait, and no value gives a longer one than ``LONGEST_S``.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

LONGEST_S = 366 * 86_400.0
"""The maximum that is returned. The endpoint's settings cap what is really waited."""

_LONGEST_BYTES = 64
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_TIME = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_MONTH = rf"(?P<month>{'|'.join(_MONTHS)})"
_DAY = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_LONG_DAY = "(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day"
_SECONDS = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_DATES = (  # RFC 9110 5.6.7: one form to write, and two obsolete ones that must be read as well
    re.compile(rf"{_DAY}, (?P<day>[0-9]{{2}}) {_MONTH} (?P<year>[0-9]{{4}}) {_TIME} GMT"),
    re.compile(rf"{_LONG_DAY}, (?P<day>[0-9]{{2}})-{_MONTH}-(?P<year>[0-9]{{2}}) {_TIME} GMT"),
    re.compile(rf"{_DAY} {_MONTH} (?P<day>[ 0-9][0-9]) {_TIME} (?P<year>[0-9]{{4}})"),
)


def parse_retry_after(value: bytes | str, now_epoch_s: float) -> float | None:
    """Return the seconds to wait from ``now_epoch_s`` on, 0 to ``LONGEST_S``; None if it is unreadable.

    Accepts whole seconds as in the RFC, fractions as some receivers send them, and dates. A date in
    the past gives 0.
    """
    if len(value) > _LONGEST_BYTES:
        return None
    text = (value.decode("latin-1") if isinstance(value, bytes) else value).strip(" \t")
    if _SECONDS.fullmatch(text):
        return min(float(text), LONGEST_S)
    for form in _DATES:
        if match := form.fullmatch(text):
            at = _epoch_s(match, now_epoch_s)
            return None if at is None else min(max(0.0, at - now_epoch_s), LONGEST_S)
    return None


def _epoch_s(match: re.Match[str], now_epoch_s: float) -> float | None:
    year, second = int(match["year"]), int(match["second"])
    if len(match["year"]) == 2:
        year = _century(year, now_epoch_s)
    leap = second == 60  # allowed by the RFC, unknown to datetime
    try:
        at = datetime(
            year,
            _MONTHS.index(match["month"]) + 1,
            int(match["day"]),
            int(match["hour"]),
            int(match["minute"]),
            59 if leap else second,
            tzinfo=UTC,
        )
    except ValueError:
        return None
    return at.timestamp() + leap


def _century(year: int, now_epoch_s: float) -> int:
    """Return the year of two digits: the latest that is at most 50 years ahead (RFC 9110 5.6.7)."""
    latest = datetime.fromtimestamp(now_epoch_s, UTC).year + 50
    return latest - (latest - year) % 100
