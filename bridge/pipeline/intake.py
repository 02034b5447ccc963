"""Steps 2 to 6: a batch of records becomes events in the lanes of the endpoints that want them.

    decode 2 -> duplicate? 3 -> route 4 -> cursor 5 -> lanes 6

Nothing is awaited between looking up the keys of a batch and enqueuing its events. ``pipeline.py`` reads
the batches, and ``dispatcher.py`` continues from the lanes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter

from bridge.core.dedupe import Claim, claims_of, duplicates, earliest_ms
from bridge.core.routing import Router
from bridge.errors import DecodeError, Tombstone, forget_frames, unreadable
from bridge.model import Event, Partition, Record, RedriveMark
from bridge.pipeline.batch_routes import HANDED_OVER, SWITCHED_OFF, UNWANTED, BatchRoutes
from bridge.pipeline.cursor_start import EndpointCursor
from bridge.pipeline.dispatcher import EndpointDispatcher
from bridge.pipeline.fresh_events import FreshEvents
from bridge.pipeline.oddities import Oddities
from bridge.pipeline.ports import FirstOffsets, RecordDecoder
from bridge.pipeline.undecodable import UndecodableRecords
from bridge.telemetry.counted import Counter
from bridge.telemetry.metrics import Metrics

_damage = attrgetter("damage")
Items = Sequence[Event | RedriveMark]
"""What a record contains, in order; nothing if it cannot be decoded."""
Faults = dict[int, DecodeError]


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
                HANDED_OVER, UNWANTED, SWITCHED_OFF, "duplicate", "tombstone", "rejected"
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
        decoded, faults = self._decode(partition, records)
        end = records[-1].end
        claims = claims_of(zip(records, decoded, strict=True))
        firsts = window.claim(partition, claims, end, earliest_ms(records))
        repeated = None if firsts == claims else iter(duplicates(claims, firsts))
        routes = BatchRoutes(self._router, self._dispatchers, self._left_out, records[0].offset, cursors)
        items = zip(records, decoded, strict=True)
        self._fresh.add(self._hand_over(tasks, items, faults, repeated, len(claims), routes))
        for cursor in cursors:
            cursor.advance(end)

    def _hand_over(
        self,
        tasks: asyncio.TaskGroup,
        decoded: Iterable[tuple[Record, Items]],
        faults: Faults,
        repeated: Iterator[Claim | None] | None,
        count: int,
        routes: BatchRoutes,
    ) -> list[Event]:
        """Act on the items of a batch, and return the events that wait from now on.

        The order is that of the log, because cursors open offsets in ascending order. ``repeated`` has the
        first record of the key for each of the ``count`` items; None if no item is a duplicate.
        """
        known, by_tenant = routes.known, self._router.by_tenant
        routed: list[Event] = []
        handed_over = count
        for record, items in decoded:
            if faults and record.offset in faults:
                routes.flush()
                self._see_fault(tasks, record, faults[record.offset], routes.cursors)
            for item in items:
                if repeated is not None and (first := next(repeated)) is not None:
                    handed_over -= 1
                    self._counts["duplicate"].inc()
                    self._oddities.see_duplicate(item, record, first)
                    continue
                if isinstance(item, RedriveMark):
                    routes.flush()
                    self._hand_over_mark(item, record, routes.cursors)
                    continue
                if item.refused:
                    self._oddities.see_refused(item)
                route = None
                if item.resend is None:
                    route = known.get((item.type, item.tenant) if by_tenant else item.type)
                outcome, takes = route or routes.of(item)
                for take in takes:
                    if take(item):
                        outcome = HANDED_OVER
                if outcome != HANDED_OVER:
                    handed_over -= 1
                    self._counts[outcome].inc()
                if takes:
                    routed.append(item)
        routes.flush()
        self._counts[HANDED_OVER].inc(handed_over)
        return [event for event in routed if (event.first or event).holders]

    def _decode(self, partition: Partition, records: Sequence[Record]) -> tuple[list[Items], Faults]:
        """Return the items of each record, and by offset why a record has none."""
        decode = self._decoders[partition.topic].decode
        if any(map(_damage, records)):
            decode = partial(_decode_readable, decode)
        decoded: list[Items] = []
        faults: Faults = {}
        rest = iter(records)
        while True:
            try:
                decoded.extend(map(decode, rest))  # what was decoded before an error stays
                return decoded, faults
            except DecodeError as exc:
                forget_frames(exc)
                faults[records[len(decoded)].offset] = exc
                decoded.append(())

    def _see_fault(
        self,
        tasks: asyncio.TaskGroup,
        record: Record,
        fault: DecodeError,
        cursors: Mapping[str, EndpointCursor],
    ) -> None:
        if isinstance(fault, Tombstone):
            self._counts["tombstone"].inc()
            self._tombstones.labels(fault.source).inc()
        elif self._undecodable.start_parking(tasks, record, fault, [*cursors.values()]):
            self._counts["rejected"].inc()

    def _hand_over_mark(
        self, mark: RedriveMark, record: Record, cursors: Mapping[str, EndpointCursor]
    ) -> None:
        cursor = cursors.get(mark.endpoint)
        if cursor is not None and cursor.needs(record.offset):
            self._dispatchers[mark.endpoint].enqueue_mark(mark, record, cursor)


def _decode_readable(decode: Callable[[Record], Items], record: Record) -> Items:
    """Decode a record that may be damaged. Raises ``DecodeError``."""
    if record.damage is not None:
        raise unreadable(record, record.damage)
    return decode(record)
