"""Steps 2 to 6: a batch of records becomes events in the lanes of the endpoints that want them.

    decode 2 -> duplicate? 3 -> route 4 -> cursor 5 -> lanes 6

Nothing is awaited between looking up the keys of a batch and enqueuing its events. ``pipeline.py`` reads
the batches, and ``dispatcher.py`` continues from the lanes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bridge.core.dedupe import claims_of, duplicates, earliest_ms
from bridge.core.routing import Route, Router
from bridge.errors import DecodeError, FilterError, Tombstone, unreadable
from bridge.model import Event, Partition, Record, RedriveMark
from bridge.pipeline.cursor_start import EndpointCursor
from bridge.pipeline.dispatcher import EndpointDispatcher
from bridge.pipeline.fresh_events import FreshEvents
from bridge.pipeline.oddities import Oddities
from bridge.pipeline.ports import FirstOffsets, RecordDecoder
from bridge.pipeline.undecodable import UndecodableRecords
from bridge.telemetry.counted import Counter
from bridge.telemetry.metrics import Metrics


@dataclass(slots=True, eq=False)
class Feed:
    """One source of batches: the main reader, or the reader of one endpoint that catches up.

    Each has a dedupe window of its own, because the window belongs to a position in the log.
    ``covered`` are the partitions whose window the index covers.
    """

    window: FirstOffsets
    covered: set[Partition] = field(default_factory=set)


class Intake:
    """Accepts the batches of all readers.

    Invariant: for every cursor it was accepted for, a record is skipped (the endpoint does not select
    it), or open (and settles only by a 2xx or a parking), or was settled before.
    """

    def __init__(
        self,
        *,
        decoders: Mapping[str, RecordDecoder],
        router: Router[str],
        dispatchers: Mapping[str, EndpointDispatcher],
        undecodable: UndecodableRecords,
        fresh: FreshEvents,
        metrics: Metrics,
    ) -> None:
        self._decoders = decoders
        self._fresh = fresh
        self._router = router
        self._dispatchers = dispatchers
        self._undecodable = undecodable
        self._counts = {
            outcome: metrics.records.labels(outcome)
            for outcome in (
                "handed_over", "unwanted", "switched_off", "duplicate", "tombstone", "rejected"
            )
        }  # fmt: skip
        self._tombstones = metrics.tombstones
        self._oddities = Oddities(metrics)
        self._events_off = metrics.events_off
        self._left_out: dict[str, Counter] = {}
        for endpoint in dispatchers:
            self.admit(endpoint)

    def admit(self, endpoint: str) -> None:
        """Accept events for an endpoint, too."""
        self._left_out[endpoint] = self._events_off.labels(endpoint)

    def accept(
        self,
        tasks: asyncio.TaskGroup,
        window: FirstOffsets,
        partition: Partition,
        records: Sequence[Record],
        cursors: Sequence[EndpointCursor],
    ) -> None:
        """Run steps 2 to 6 for the batch and advance these cursors past it.

        Records that cannot be decoded are parked by ``tasks``. Raises ``SchemaNeeded`` and
        ``IndexLostError``; the batch is not accepted then.
        """
        by_endpoint = {cursor.endpoint: cursor for cursor in cursors}
        decoded = self._decode(partition, records)
        end = records[-1].end
        claims = claims_of((record, items) for record, items in decoded if not isinstance(items, DecodeError))
        firsts = window.claim(partition, claims, end, earliest_ms(records))
        repeated = iter(duplicates(claims, firsts))
        waiting: list[Event] = []
        for record, items in decoded:  # in the order of the log: cursors open offsets in ascending order
            if isinstance(items, Tombstone):
                self._counts["tombstone"].inc()
                self._tombstones.labels(items.source).inc()
                continue
            if isinstance(items, DecodeError):
                if self._undecodable.start_parking(tasks, record, items, cursors):
                    self._counts["rejected"].inc()
                continue
            for item in items:
                if (first := next(repeated)) is not None:
                    self._counts["duplicate"].inc()
                    self._oddities.see_duplicate(item, record, first)
                elif isinstance(item, RedriveMark):
                    self._hand_over_mark(item, record, by_endpoint)
                else:
                    self._hand_over(item, by_endpoint)
                    if (item.first or item).holders:
                        waiting.append(item)
        self._fresh.add(waiting)
        for cursor in cursors:
            cursor.advance(end)

    def _decode(
        self, partition: Partition, records: Sequence[Record]
    ) -> list[tuple[Record, Sequence[Event | RedriveMark] | DecodeError]]:
        decode = self._decoders[partition.topic].decode
        decoded: list[tuple[Record, Sequence[Event | RedriveMark] | DecodeError]] = []
        for record in records:
            try:
                if record.damage is not None:
                    raise unreadable(record, record.damage)
                decoded.append((record, decode(record)))
            except DecodeError as exc:
                _forget_frames(exc)
                decoded.append((record, exc))
        return decoded

    def _hand_over(self, event: Event, cursors: Mapping[str, EndpointCursor]) -> None:
        """Enqueue an event at each endpoint that selects it."""
        if event.refused:
            self._oddities.see_refused(event)
        resend, offset, part = event.resend, event.record.offset, event.index
        if resend is not None and resend.endpoint:
            candidates, off = Route.to(resend.endpoint)
        else:
            candidates, off = self._router.route(event)
        outcome = "unwanted"
        for endpoint in off:
            outcome = "switched_off"
            if (cursor := cursors.get(endpoint)) is not None and cursor.needs(offset, part):
                self._left_out[endpoint].inc()
        for endpoint, passes in candidates:
            cursor = cursors.get(endpoint)
            if cursor is None or not cursor.needs(offset, part):  # another reader feeds it, or it is settled
                outcome = "handed_over"
                continue
            fault: DecodeError | FilterError | None = None
            try:
                if passes is not None and not passes(event):
                    continue
            except (DecodeError, FilterError) as exc:
                _forget_frames(exc)
                fault = exc
            outcome = "handed_over"
            self._dispatchers[endpoint].enqueue(event, cursor, fault)
        self._counts[outcome].inc()

    def _hand_over_mark(
        self, mark: RedriveMark, record: Record, cursors: Mapping[str, EndpointCursor]
    ) -> None:
        cursor = cursors.get(mark.endpoint)
        if cursor is not None and cursor.needs(record.offset):
            self._dispatchers[mark.endpoint].enqueue_mark(mark, record, cursor)
        self._counts["handed_over"].inc()


def _forget_frames(error: Exception) -> None:
    """Keep the error alone: its traceback and its cause would keep decoded data while it waits."""
    error.__traceback__ = error.__cause__ = error.__context__ = None
