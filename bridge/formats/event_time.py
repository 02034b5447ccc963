"""Decide the time of an event: its own, else the timestamp of its record, else the bridge's clock.

Invariant: the result is an instant between ``EARLIEST`` and a few days from now, and nothing raises. A time
outside of that range is refused, and the reason is recorded on the event.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from bridge.formats.timestamp import TimeUnit, from_millis, from_number, from_parts, from_text
from bridge.model import ExactNumber, Record, RefusedField, TimeSource

EARLIEST = "2000"
"""No event of a Kafka topic is older. Zero, -1 and a wrong unit all give years before it."""
EARLIEST_S = 946_684_800
MAX_AHEAD_S = 7 * 24 * 3600
"""A clock that is wrong by hours, a missing offset or a posting date of next week are believed; what is
further ahead is a wrong unit or a placeholder. Within 2000 to now, at most one unit fits a number."""
_LONGEST_EXCERPT = 60
_SHOWN = re.compile(r"[\dTtZz:+\-.,/ ]{1,40}", re.ASCII)
"""Texts that may be logged: a wrong place may hold anything, but a person is no time."""
_INT_64 = range(-(2**63), 2**64)

_OUT_OF_RANGE = "it is before 2000 or more than seven days ahead of the bridge's clock"

EventTime = tuple[str, TimeSource, tuple[RefusedField, ...]]
"""The instant, where it comes from, and the times that were refused before it."""


class EventTimes:
    """Reads the times of one source's events."""

    def __init__(self, unit: TimeUnit | None = None, now: Callable[[], float] = time.time) -> None:
        """``unit``: of numbers; None to infer it. ``now``: seconds since 1970."""
        self._unit: TimeUnit | None = unit
        self._now = now
        self.believed_ms = range(0)
        """Timestamps that are believed, in milliseconds; the end was set when a later time was last read."""
        self._latest = ""
        self._see_latest()

    def read(self, record: Record, value: Any) -> EventTime:
        """Return the time of an event whose own time is ``value``; None if it has none."""
        if value is None or value == "":
            return self._time_of_record(record, ())
        instant = from_text(value.strip()) if isinstance(value, str) else None
        if instant is None:
            instant = self._of_other(value)
        if instant is not None:
            if instant >= self._latest:
                self._see_latest()
            if EARLIEST <= instant < self._latest:
                return instant, "event", ()
        cause = self._cause(value) if instant is None else _OUT_OF_RANGE
        return self._time_of_record(record, (("time", _excerpt(value), cause),))

    def _of_other(self, value: Any) -> str | None:
        """Read a number, a text with a number, or a date of Java as a list."""
        kind = type(value)
        if kind is str:
            text = value.strip()
        elif (kind is int and value in _INT_64) or isinstance(value, ExactNumber | float | Decimal):
            text = str(value)
        else:
            return from_parts(value) if kind is list else None
        self._see_latest()
        return from_number(text, EARLIEST_S, self.believed_ms.stop // 1000, self._unit)

    def _time_of_record(self, record: Record, refused: tuple[tuple[str, str, str], ...]) -> EventTime:
        at_ms = record.timestamp_ms
        if at_ms not in self.believed_ms:
            self._see_latest()
        source: TimeSource = "record"
        instead = "the timestamp of the record"
        if at_ms not in self.believed_ms:
            if at_ms > 0:  # Kafka writes -1 for none
                refused = (*refused, ("timestamp", str(at_ms), _OUT_OF_RANGE))
            source, at_ms, instead = "clock", int(self._now() * 1000), "the bridge's clock"
        fields = tuple(RefusedField(*facts, instead) for facts in refused) if refused else ()
        return from_millis(at_ms), source, fields

    def _see_latest(self) -> None:
        """Move the upper bound to the clock's now; as text it has seconds and no zone."""
        latest_ms = int((self._now() + MAX_AHEAD_S) * 1000)
        self.believed_ms = range(EARLIEST_S * 1000, latest_ms)
        self._latest = from_millis(latest_ms)[:19]

    def _cause(self, value: Any) -> str:
        if isinstance(value, str | list | dict | bool | bytes):
            return "it is neither an instant (RFC 3339) nor a number of seconds, ms, µs or ns since 1970"
        unit = "any unit" if self._unit is None else f"the source's time_unit {self._unit}"
        return f"as a number in {unit}, {_OUT_OF_RANGE}"


def _excerpt(value: Any) -> str:
    """Return a value for messages, if it looks like a time; else what it is."""
    if isinstance(value, int) and value not in _INT_64:
        return "an integer of more than 64 bits"
    if isinstance(value, list | dict):
        return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value)} values"
    if isinstance(value, bytes) or (isinstance(value, str) and not _SHOWN.fullmatch(value)):
        return f"{'a text' if isinstance(value, str) else 'bytes'} of {len(value)}"
    return str(value)[:_LONGEST_EXCERPT]
