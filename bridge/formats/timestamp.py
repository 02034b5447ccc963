"""Read and write instants: RFC 3339 in UTC, ending in ``Z``, with the digits that the producer wrote.

Invariant: reading never raises; what is no instant is None. Fraction digits are kept as text, at most
nine: a ``datetime`` holds six of them, and Fineract writes up to nine. ``event_time`` decides which
instants are believed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, Literal

TimeUnit = Literal["s", "ms", "us", "ns"]
DIGITS: dict[TimeUnit, int] = {"s": 0, "ms": 3, "us": 6, "ns": 9}
"""By unit, how many of a number's digits are the fraction of a second."""
_EPOCH = datetime(1970, 1, 1)  # without a zone, so that isoformat adds no offset
_LAST_MS = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z, the last instant RFC 3339 can represent
_UTC = frozenset({None, "Z", "z", "UTC", "GMT", "+00:00", "-00:00", "+0000", "+00"})
_SECOND = re.compile(r"\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3]):\d\d:[0-5]\d", re.ASCII)
_SECOND_SIZE = 19
_INSTANT = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d)(?::(\d\d)(?:[.,](\d{1,9})\d*)?)?"
    r" ?(Z|z|UTC|GMT|[+-]\d\d(?::?\d\d)?)?(?:\[[^\[\]]+\])*",
    re.ASCII,
)
_NUMBER = re.compile(r"\+?(\d{1,25})(?:[.,](\d*))?(?:[eE]\+?(\d\d?))?", re.ASCII)


@lru_cache(maxsize=1024)  # records of one batch mostly share their millisecond
def from_millis(ms: int) -> str:
    """Format milliseconds since 1970, clamped to the years 1970 to 9999 (Kafka writes -1 for "none")."""
    instant = _EPOCH + timedelta(milliseconds=min(max(ms, 0), _LAST_MS))
    return instant.isoformat(timespec="milliseconds") + "Z"


def from_text(text: str) -> str | None:
    """Convert an ISO 8601 date and time to RFC 3339 in UTC; None for other text. Without an offset it is UTC.

    It also reads what libraries write that come close to RFC 3339: a space for the ``T``, a comma for the
    point, offsets as ``+0530`` or ``+05``, ``UTC``, a zone in brackets (RFC 9557), and a leap second.
    """
    utc = text[:-1] if text[-1:] == "Z" else text.removesuffix("+00:00")
    if _is_second(utc[:_SECOND_SIZE]):  # the usual form, which is read first because every event has one
        fraction = utc[_SECOND_SIZE + 1 :]
        if len(utc) == _SECOND_SIZE or (
            utc[_SECOND_SIZE] == "." and len(fraction) <= 9 and fraction.isascii() and fraction.isdigit()
        ):
            return f"{utc}Z"
    return _from_relative(text)


@lru_cache(maxsize=1024)  # events of one batch mostly share their second
def _is_second(text: str) -> bool:
    """Return True for a date and time that exist, in the usual form; 24:00:00 and leap seconds are others."""
    try:
        return _SECOND.fullmatch(text) is not None and bool(datetime.fromisoformat(text))
    except ValueError:
        return False


def _from_relative(text: str) -> str | None:
    parts = _INSTANT.fullmatch(text)
    if parts is None:
        return None
    date, minutes, seconds, fraction, offset = parts.groups()
    try:
        if offset not in _UTC or seconds == "60" or minutes == "24:00":
            clock = _shifted(date, minutes, seconds, offset)
        else:
            clock = f"{date}T{minutes}:{seconds or '00'}"
            datetime.fromisoformat(clock)
    except (ValueError, OverflowError):
        return None
    return f"{clock}.{fraction}Z" if fraction else f"{clock}Z"


def _shifted(date: str, minutes: str, seconds: str | None, offset: str | None) -> str:
    """Return date and time in UTC, to the second. Raises ``ValueError``, ``OverflowError``.

    A leap second exists only at the end of a day in UTC. It becomes the first second of the next day, as
    in POSIX time, because most receivers refuse a 60. ``24:00`` is the end of its day (ISO 8601).
    """
    is_leap, is_end = seconds == "60", minutes == "24:00" and seconds in (None, "00")
    clock = f"{'00:00' if is_end else minutes}:{'59' if is_leap else seconds or '00'}"
    at = datetime.fromisoformat(f"{date}T{clock}") + timedelta(days=is_end)
    if offset not in _UTC:
        assert offset is not None
        hours, rest = int(offset[1:3]), int(offset[3:].lstrip(":") or 0)
        if hours > 23 or rest > 59:
            raise ValueError(offset)
        shift = timedelta(hours=hours, minutes=rest)
        at = at + shift if offset[0] == "-" else at - shift
    if is_leap and (at.hour, at.minute) != (23, 59):
        raise ValueError("a leap second within a day")
    return (at + timedelta(seconds=is_leap)).isoformat()


def from_number(text: str, earliest_s: int, latest_s: float, unit: TimeUnit | None = None) -> str | None:
    """Convert a decimal number since 1970 to RFC 3339, if it is between these seconds since 1970.

    Without a ``unit``, the one that puts the number into this range is used. The range must be shorter
    than a factor of 1,000; then there is at most one.
    """
    parts = _NUMBER.fullmatch(text)
    if parts is None:
        return None
    whole, fraction, exponent = parts[1], parts[2] or "", int(parts[3] or 0)
    if exponent:  # as in 1.7000000001e9
        whole, fraction = whole + fraction[:exponent].ljust(exponent, "0"), fraction[exponent:]
    for digits in DIGITS.values() if unit is None else (DIGITS[unit],):
        padded = whole.rjust(digits + 1, "0")
        at_s = int(padded[: len(padded) - digits])
        if earliest_s <= at_s < latest_s:
            shown = (padded[len(padded) - digits :] + fraction)[:9]
            second = (_EPOCH + timedelta(seconds=at_s)).isoformat()
            return f"{second}.{shown}Z" if shown else f"{second}Z"
    return None


def from_parts(parts: Sequence[Any]) -> str | None:
    """Convert ``[year, month, day, hour, minute, second?, nanosecond?]``, as Jackson writes a Java date.

    None for any other list. The values are in UTC.
    """
    if not 5 <= len(parts) <= 7 or not all(type(part) is int for part in parts):
        return None
    nanoseconds = parts[6] if len(parts) == 7 else 0
    try:
        second = datetime(*parts[:6]).isoformat()
    except (ValueError, OverflowError):
        return None
    if not 0 <= nanoseconds < 1_000_000_000:
        return None
    return f"{second}.{nanoseconds:09d}Z" if nanoseconds else f"{second}Z"


def from_http_date(text: str) -> str | None:
    """Convert an HTTP date (RFC 9110 5.6.7) to RFC 3339; None for other text."""
    try:
        at = parsedate_to_datetime(text[:64])
        utc = at if at.tzinfo is None else at.astimezone(UTC)  # -0000 is UTC, and has no zone there
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return utc.isoformat()[:19] + "Z"
