"""THE PATH: from a record on Kafka to a settled event. Read it from top to bottom.

    source 1      bridge/source/    records of the partitions that are ours, in batches
    decode 2      bridge/decode/    bytes -> events, or a rejection that is parked
    duplicate? 3  bridge/dedupe.py  the same key earlier in the same partition: passed by
    route 4       bridge/route.py   which endpoints want it
    cursor 5      bridge/cursor.py  has this endpoint had it already? if not, it is open now
    lanes 6       bridge/lanes.py   in line behind the earlier events of its entity
    ------------- from here per endpoint, by its workers: bridge/outlet.py ------------------
    render 7      bridge/render.py  the body
    sign 8        bridge/sign.py    the webhook-* headers
    deliver 9     bridge/deliver.py one attempt over bridge/transport/
    verdict 10    bridge/verdict.py delivered, again (bridge/retry.py), or parked (bridge/parked.py)
    settle 11     bridge/cursor.py  settled; bridge/completion.py packs it, bridge/checkpoint.py commits

The first half is here: ``Pipeline.run`` reads, ``Pipeline.take`` is steps 2 to 6. Nothing is awaited
between the look-up of a batch's keys and its hand-over, so no event can slip between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

import structlog

from bridge.checkpoint import Bounds, Checkpoints, report_deleted
from bridge.cursor import Cursor
from bridge.decode import Decoder
from bridge.dedupe import Claim, claim, is_duplicate
from bridge.errors import CommitError, DecodeError, KafkaUnavailable
from bridge.model import Event, Partition, Record
from bridge.outlet import Outlet, Parks, park_until_safe
from bridge.parked import Reason
from bridge.route import Router
from bridge.source.reader import Batch, RecordsDeleted
from bridge.telemetry import events
from bridge.telemetry.metrics import Metrics

_log = structlog.get_logger()
_POLL_S = 0.1
_TROUBLE_S = 1.0


class Reads(Protocol):
    """The member of the consumer group (``bridge.source.reader.Reader``)."""

    epoch: int

    @property
    def unprepared(self) -> frozenset[Partition]:
        """Assigned partitions whose start is not told yet."""
        ...

    def start_at(self, positions: Mapping[Partition, int]) -> None:
        """Read these partitions from these offsets on."""
        ...

    async def read(self, full: Collection[Partition], timeout_s: float) -> Sequence[Batch]:
        """The next records, none of ``full`` partitions."""
        ...

    async def bounds(self, partitions: Collection[Partition]) -> dict[Partition, tuple[int, int]]:
        """First and next offset of each log."""
        ...


class FirstOffsets(Protocol):
    """The dedupe index (``bridge.window.DedupeWindow``)."""

    async def cover(self, partition: Partition, first: Record) -> None:
        """Make the index know the window before this record, reading the log again where it must."""
        ...

    def claim(self, partition: Partition, claims: Sequence[Claim], end: int, at_ms: int) -> list[int]:
        """The first offset of each claim's key."""
        ...


class Pipeline:
    """Reads, and hands each event to every endpoint that wants it.

    Invariant: a record that was read is, for every cursor of its partition, passed by (nobody
    wants it), open (and settled only by a 2xx or a parking), or was settled before.
    """

    def __init__(
        self,
        *,
        source: Reads,
        decoders: Mapping[str, Decoder],
        window: FirstOffsets,
        router: Router[str],
        outlets: Mapping[str, Outlet],
        checkpoints: Checkpoints,
        parks: Parks,
        metrics: Metrics,
        drain_timeout_s: float,
    ) -> None:
        self._source = source
        self._decoders = decoders
        self._window = window
        self._router = router
        self._outlets = outlets
        self._checkpoints = checkpoints
        self._parks = parks
        self._drain_timeout_s = drain_timeout_s
        self._covered: set[Partition] = set()
        self._draining = False
        self._tasks: asyncio.TaskGroup | None = None
        self._rejections: set[asyncio.Task[None]] = set()
        self._room = asyncio.Event()
        self._stopping = asyncio.Event()
        self._counts = {
            outcome: metrics.records.labels(outcome)
            for outcome in ("handed_over", "unwanted", "duplicate", "tombstone", "rejected")
        }
        for outlet in outlets.values():
            outlet.on_room = self.has_room

    async def run(self) -> None:
        """Read and hand over until ``stop``; then drain. A broker in trouble is waited for."""
        async with asyncio.TaskGroup() as self._tasks:
            while not self._stopping.is_set():
                try:
                    if self._source.unprepared:
                        await self._prepare()
                    await self._read_once()
                except (KafkaUnavailable, CommitError) as exc:
                    await self._trouble(exc)
            await self.drain()

    def stop(self) -> None:
        """End ``run`` after the batch in hand."""
        self._stopping.set()
        self._room.set()

    def has_room(self) -> None:
        """Some cursor takes more again: do not wait any longer."""
        self._room.set()

    async def _prepare(self) -> None:
        """Begin with newly assigned partitions: load their cursors, start at the lowest of each."""
        epoch, partitions = self._source.epoch, self._source.unprepared
        bounds: Bounds = await self._source.bounds(partitions)
        cursors = await self._checkpoints.load(bounds)
        if epoch != self._source.epoch or partitions != self._source.unprepared:
            return
        starts = {
            partition: min(cursor.position for cursor in by_endpoint.values())
            for partition, by_endpoint in cursors.items()
        }
        self._checkpoints.install(cursors)
        self._covered -= partitions
        self._source.start_at(starts)
        _log.info(
            events.SOURCE_ASSIGNED, epoch=epoch, next_offsets={str(one): at for one, at in starts.items()}
        )

    async def _read_once(self) -> None:
        cursors = self._checkpoints.cursors
        full = {one for one, by_endpoint in cursors.items() if any(c.full for c in by_endpoint.values())}
        if full and len(full) == len(cursors):
            self._room.clear()
            await self._wait(self._room, _POLL_S * 5)
        try:
            batches = await self._source.read(full, _POLL_S)
        except RecordsDeleted as exc:
            await self._skip_deleted(exc.positions)
            return
        for partition, records in batches:
            await self.take(partition, records)

    async def take(self, partition: Partition, records: Sequence[Record]) -> None:
        """Steps 2 to 6 for a batch of one partition."""
        if partition not in self._covered:
            await self._cover(partition, records[0])
        cursors = self._checkpoints.cursors.get(partition)
        if cursors is None or self._draining or partition not in self._covered:
            return  # revoked or stopped: whoever has the partition next takes it from its cursors
        decoded = self._decode(partition, records)
        end = records[-1].offset + 1
        claims = [
            claim(event) for _, found in decoded if not isinstance(found, DecodeError) for event in found
        ]
        firsts = iter(self._window.claim(partition, claims, end, records[-1].timestamp_ms))
        for record, found in decoded:
            if isinstance(found, DecodeError):
                self._reject(record, found, cursors.values())
                continue
            for event in found:
                if is_duplicate(next(firsts), record.offset):
                    self._counts["duplicate"].inc()
                else:
                    self._hand_over(event, cursors)
        for cursor in cursors.values():
            cursor.advance(end)

    async def _cover(self, partition: Partition, first: Record) -> None:
        """Have the dedupe window before a batch known; for as long as the partition is ours."""
        while partition in self._checkpoints.cursors and not self._stopping.is_set():
            try:
                await self._window.cover(partition, first)
            except KafkaUnavailable as exc:
                await self._trouble(exc)
            else:
                self._covered.add(partition)
                return

    def _decode(
        self, partition: Partition, records: Sequence[Record]
    ) -> list[tuple[Record, Sequence[Event] | DecodeError]]:
        decode = self._decoders[partition.topic].decode
        decoded: list[tuple[Record, Sequence[Event] | DecodeError]] = []
        for record in records:
            if record.value is None:
                self._counts["tombstone"].inc()
                continue
            try:
                decoded.append((record, decode(record)))
            except DecodeError as exc:
                decoded.append((record, exc))
        return decoded

    def _hand_over(self, event: Event, cursors: Mapping[str, Cursor]) -> None:
        wanted = self._router.targets(event.source, event.type)
        self._counts["handed_over" if wanted else "unwanted"].inc()
        for endpoint in wanted:
            cursor = cursors[endpoint]
            if cursor.wants(event.record.offset):
                self._outlets[endpoint].put(event, cursor)

    def _reject(self, record: Record, error: DecodeError, cursors: Collection[Cursor]) -> None:
        """Park what cannot be decoded; it stays open at every cursor that had not passed it until then."""
        waiting = [cursor for cursor in cursors if cursor.wants(record.offset)]
        if not waiting:
            return
        self._counts["rejected"].inc()
        size_bytes = len(record.value or b"")
        for cursor in waiting:
            cursor.open(record.offset, size_bytes)
        assert self._tasks is not None, "records are taken inside run()"
        parking = self._park_rejected(record, error, waiting, size_bytes)
        task = self._tasks.create_task(parking, name=f"park {record.place}")
        self._rejections.add(task)
        task.add_done_callback(self._rejections.discard)

    async def _park_rejected(
        self, record: Record, error: DecodeError, waiting: Sequence[Cursor], size_bytes: int
    ) -> None:
        _log.warning(
            events.RECORD_REJECTED,
            record=record.place,
            place=error.place,
            cause=error.cause,
            remedy=error.remedy,
        )
        reason = Reason(cause=f"{error.place}: {error.cause}", remedy=error.remedy)
        await park_until_safe(self._parks, record, reason)
        for cursor in waiting:
            if cursor.live and cursor.settle(record.offset, size_bytes):
                self._room.set()

    async def _skip_deleted(self, positions: Mapping[Partition, int]) -> None:
        """Retention was faster than we were: say what is gone and go on where the log begins."""
        bounds = await self._source.bounds(positions)
        for partition, (first, _) in bounds.items():
            for endpoint, cursor in self._checkpoints.cursors.get(partition, {}).items():
                if cursor.position < first:
                    report_deleted(endpoint, partition, cursor.position, first)
                    cursor.advance(first)
        self._source.start_at({partition: first for partition, (first, _) in bounds.items()})

    async def drain(self) -> None:
        """Let what is in flight finish, within the deadline, commit, and give the assignment up.

        On revoke and on shutdown. Returns when nothing more can be committed by this process.
        """
        self._draining = True
        try:
            async with asyncio.timeout(self._drain_timeout_s):
                await asyncio.gather(*(outlet.drain() for outlet in self._outlets.values()))
                await asyncio.gather(*self._rejections)
        except TimeoutError:
            in_flight = sum(outlet.in_flight for outlet in self._outlets.values())
            _log.warning(events.BRIDGE_DRAINED, unfinished=in_flight, remedy="these requests are sent again")
        for task in self._rejections:
            task.cancel()
        await self._checkpoints.commit_or_say()
        self._checkpoints.clear()
        for outlet in self._outlets.values():
            outlet.forget()
        self._draining = False

    async def _trouble(self, exc: Exception) -> None:
        _log.warning(events.SOURCE_FAILED, cause=str(exc), remedy=f"trying again in {_TROUBLE_S:g} s")
        await self._wait(self._stopping, _TROUBLE_S)

    @staticmethod
    async def _wait(event: asyncio.Event, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                await event.wait()
        except TimeoutError:
            return
