"""THE PATH, steps 2 to 6: a batch of records becomes events in line at the endpoints that want them.

    decode 2 -> duplicate? 3 -> route 4 -> cursor 5 -> lanes 6

Nothing is awaited between the look-up of a batch's keys and its hand-over, so no event can slip
between. ``pipeline.py`` reads the batches; ``dispatcher.py`` goes on from the lanes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from bridge.core.dedupe import claim, is_duplicate
from bridge.core.routing import Route, Router
from bridge.errors import DecodeError, FilterError, Tombstone
from bridge.formats import Decoder
from bridge.model import Event, Partition, Record
from bridge.pipeline.cursor_start import EndpointCursor
from bridge.pipeline.dispatcher import Outlet
from bridge.pipeline.ports import FirstOffsets
from bridge.pipeline.undecodable import Rejects
from bridge.telemetry.metrics import Metrics


class Intake:
    """Takes what was read, for all the readers.

    Invariant: a record that was taken is, for every cursor it was taken for, passed by (nobody wants
    it), open (and settled only by a 2xx or a parking), or was settled before.
    """

    def __init__(
        self,
        *,
        decoders: Mapping[str, Decoder],
        router: Router[str],
        outlets: Mapping[str, Outlet],
        rejects: Rejects,
        metrics: Metrics,
    ) -> None:
        self._decoders = decoders
        self._router = router
        self._outlets = outlets
        self._rejects = rejects
        self._counts = {
            outcome: metrics.records.labels(outcome)
            for outcome in (
                "handed_over", "unwanted", "switched_off", "duplicate", "tombstone", "rejected"
            )
        }  # fmt: skip
        self._tombstones = metrics.tombstones
        self._left_out = {endpoint: metrics.events_off.labels(endpoint) for endpoint in outlets}

    def take(
        self,
        tasks: asyncio.TaskGroup,
        window: FirstOffsets,
        partition: Partition,
        records: Sequence[Record],
        cursors: Sequence[EndpointCursor],
    ) -> None:
        """A batch, for these cursors: steps 2 to 6 in one go, and then they stand behind it.

        ``tasks`` park what cannot be decoded. Raises ``SchemaNeeded`` and ``IndexLostError``, and then
        nothing was taken.
        """
        by_endpoint = {cursor.endpoint: cursor for cursor in cursors}
        decoded = self._decode(partition, records)
        end = records[-1].offset + 1
        claims = [
            claim(event) for _, found in decoded if not isinstance(found, DecodeError) for event in found
        ]
        firsts = iter(window.claim(partition, claims, end, records[0].timestamp_ms))
        for record, found in decoded:
            if isinstance(found, Tombstone):
                self._counts["tombstone"].inc()
                self._tombstones.labels(found.source).inc()
                continue
            if isinstance(found, DecodeError):
                if self._rejects.take(tasks, record, found, cursors):
                    self._counts["rejected"].inc()
                continue
            for event in found:
                if is_duplicate(next(firsts), record.offset):
                    self._counts["duplicate"].inc()
                else:
                    self._hand_over(event, by_endpoint)
        for cursor in cursors:
            cursor.advance(end)

    def _decode(
        self, partition: Partition, records: Sequence[Record]
    ) -> list[tuple[Record, Sequence[Event] | DecodeError]]:
        decode = self._decoders[partition.topic].decode
        decoded: list[tuple[Record, Sequence[Event] | DecodeError]] = []
        for record in records:
            try:
                decoded.append((record, decode(record)))
            except DecodeError as exc:
                decoded.append((record, exc))
        return decoded

    def _hand_over(self, event: Event, cursors: Mapping[str, EndpointCursor]) -> None:
        candidates, off = Route.to(event.only) if event.only else self._router.route(event)
        outcome, offset, part = "unwanted", event.record.offset, event.index
        for endpoint in off:
            outcome = "switched_off"
            if (cursor := cursors.get(endpoint)) is not None and cursor.needs(offset, part):
                self._left_out[endpoint].inc()
        for endpoint, passes in candidates:
            cursor = cursors.get(endpoint)
            if cursor is None or not cursor.needs(offset, part):  # it has had it, or is fed by its own reader
                outcome = "handed_over"
                continue
            fault: DecodeError | FilterError | None = None
            try:
                if passes is not None and not passes(event):
                    continue
            except (DecodeError, FilterError) as exc:
                fault = exc.with_traceback(None)  # which would keep these frames while the event waits
            outcome = "handed_over"
            self._outlets[endpoint].put(event, cursor, fault)
        self._counts[outcome].inc()
