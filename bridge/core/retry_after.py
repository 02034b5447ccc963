"""Step 10, ``Retry-After``: the seconds a receiver asks us to wait (RFC 9110 10.2.3).

Takes the header's value and the time, gives seconds. Pure; it stands one floor below the rules,
because the verdict reads the header with it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

LONGEST_S = 366 * 86_400.0
"""The most that is ever given back; what is really waited is capped by the endpoint's settings."""

_LONGEST_BYTES = 64
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_TIME = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_MONTH = rf"(?P<month>{'|'.join(_MONTHS)})"
_DAY = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_LONG_DAY = "(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day"
_SECONDS = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_DATES = (  # RFC 9110 5.6.7: one form to write, two obsolete ones that must be read as well
    re.compile(rf"{_DAY}, (?P<day>[0-9]{{2}}) {_MONTH} (?P<year>[0-9]{{4}}) {_TIME} GMT"),
    re.compile(rf"{_LONG_DAY}, (?P<day>[0-9]{{2}})-{_MONTH}-(?P<year>[0-9]{{2}}) {_TIME} GMT"),
    re.compile(rf"{_DAY} {_MONTH} (?P<day>[ 0-9][0-9]) {_TIME} (?P<year>[0-9]{{4}})"),
)


def parse_retry_after(value: bytes | str, now_epoch_s: float) -> float | None:
    """Seconds to wait from ``now_epoch_s`` on, 0 to ``LONGEST_S``; None when the value says nothing.

    Whole seconds as the RFC has them, fractions as some receivers send them, or a date, which
    asks for nothing once it is past.
    """
    if len(value) > _LONGEST_BYTES:
        return None
    text = (value.decode("latin-1") if isinstance(value, bytes) else value).strip(" \t")
    if _SECONDS.fullmatch(text):
        return min(float(text), LONGEST_S)
    for form in _DATES:
        if found := form.fullmatch(text):
            at = _epoch_s(found, now_epoch_s)
            return None if at is None else min(max(0.0, at - now_epoch_s), LONGEST_S)
    return None


def _epoch_s(found: re.Match[str], now_epoch_s: float) -> float | None:
    year, second = int(found["year"]), int(found["second"])
    if len(found["year"]) == 2:
        year = _century(year, now_epoch_s)
    leap = second == 60  # allowed by the RFC, unknown to datetime
    try:
        at = datetime(
            year,
            _MONTHS.index(found["month"]) + 1,
            int(found["day"]),
            int(found["hour"]),
            int(found["minute"]),
            59 if leap else second,
            tzinfo=UTC,
        )
    except ValueError:
        return None
    return at.timestamp() + leap


def _century(year: int, now_epoch_s: float) -> int:
    """The year meant by two digits: the latest that is at most 50 years ahead (RFC 9110 5.6.7)."""
    latest = datetime.fromtimestamp(now_epoch_s, UTC).year + 50
    return latest - (latest - year) % 100
