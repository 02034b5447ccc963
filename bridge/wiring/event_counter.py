"""Count the events of unsettled records, per cursor. Pure.

Invariant: an event counts once at an endpoint that selects it and has not settled it, however often it is
repeated.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from bridge.core.dedupe import claims_of
from bridge.core.lag import Backlog, Bound, CursorLag
from bridge.errors import DecodeError, FilterError
from bridge.model import Event, Partition, Record, RedriveMark

if TYPE_CHECKING:
    from bridge.core.routing import Router


class EventCounter:
    """Counts, per cursor, the unsettled events that its endpoint selects."""

    def __init__(self, router: Router[str], rows: Iterable[CursorLag]) -> None:
        """``rows``: the cursors of configured endpoints that have a committed offset."""
        self._router = router
        self._rows: defaultdict[Partition, list[CursorLag]] = defaultdict(list)
        for row in rows:
            if row.completion is not None:
                self._rows[row.partition].append(row)
        self._events: defaultdict[tuple[str, Partition], int] = defaultdict(int)
        self._oldest: dict[tuple[str, Partition], int] = {}
        self._seen: set[tuple[Partition, int, int]] = set()

    def needs(self, record: Record) -> bool:
        """Return True if any endpoint has not settled the record, so that it must be decoded."""
        return record.damage is None and any(self._open(record))

    def take(self, record: Record, decoded: Sequence[Event | RedriveMark]) -> None:
        """Count the events of a record at every endpoint that has yet to get them."""
        claims = claims_of([(record, decoded)])
        for event, claim in zip(decoded, claims, strict=True):
            key = (record.partition, claim.key_high, claim.key_low)
            if isinstance(event, RedriveMark) or key in self._seen:
                continue
            self._seen.add(key)
            wanted = self._wanted(event)
            for row in self._open(record):
                done = row.completion.parts.get(record.offset, ()) if row.completion else ()
                if row.endpoint in wanted and event.index not in done:
                    self._count(row, record)

    def take_unknown(self, record: Record) -> None:
        """Count a record without a schema at every endpoint: it waits for all of them."""
        for row in self._open(record):
            self._count(row, record)

    def backlog(self, row: CursorLag, bound: Bound) -> Backlog:
        """Return what was counted for a cursor."""
        key = (row.endpoint, row.partition)
        return Backlog(self._events[key], bound, self._oldest.get(key))

    def _open(self, record: Record) -> list[CursorLag]:
        rows = self._rows[record.partition]
        return [row for row in rows if row.completion and not row.completion.settled(record.offset)]

    def _count(self, row: CursorLag, record: Record) -> None:
        key = (row.endpoint, row.partition)
        self._events[key] += 1
        self._oldest.setdefault(key, record.timestamp_ms)

    def _wanted(self, event: Event) -> set[str]:
        if event.resend is not None and event.resend.endpoint is not None:
            return {event.resend.endpoint}
        return {
            candidate.target
            for candidate in self._router.route(event).candidates
            if candidate.passes is None or _passes(candidate.passes, event)
        }


def _passes(passes: Any, event: Event) -> bool:
    """Return True if an event passes a filter, or will be parked because it cannot be evaluated."""
    try:
        return bool(passes(event))
    except (DecodeError, FilterError):
        return True
