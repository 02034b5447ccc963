"""Step 3: the dedupe window of each partition, complete across restarts and rebalances.

The index (``bridge/storage/dedupe_index/``) is a function of the log: the part of the window that it does
not cover is read from the log again, keys only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import structlog

from bridge.core.dedupe import (
    Claim,
    Stretch,
    claims_of,
    earliest_ms,
    log_time_ms,
    stretch_to_read,
)
from bridge.errors import DecodeError, KafkaUnavailable, RecordsDeleted
from bridge.kafka.side_reader import SideReader
from bridge.model import Event, Partition, Record, RedriveMark
from bridge.pipeline.ports import RecordDecoder
from bridge.storage.dedupe_index import IndexLostError, KeyIndex
from bridge.telemetry import events

_log = structlog.get_logger()


class DedupeWindow:
    """Makes the index cover the window before a record, and looks up keys in it from then on.

    The window of a reader that catches up may borrow. The ``lender`` is the index of the main reader,
    which is ahead and mostly covers the whole window here. Only if it has forgotten the beginning of
    the window is the log read again, into the index of this window.
    """

    def __init__(
        self,
        index: KeyIndex,
        decoders: Mapping[str, RecordDecoder],
        open_reader: Callable[[], SideReader],
        *,
        window_s: float,
        max_keys: int,
        lender: KeyIndex | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """``now``: seconds since 1970, which bound the timestamps of records."""
        self._now = now
        self._index = index
        self._lender = lender
        self._borrowed: dict[Partition, Stretch] = {}
        """By partition: the offset where the borrowed window begins, and the next offset to claim."""
        self._decoders = decoders
        self._open_reader = open_reader
        self._window_ms = int(window_s * 1000)
        self._max_keys = max_keys

    def claim(self, partition: Partition, claims: Sequence[Claim], end: int, at_ms: int) -> list[Claim]:
        """Return the first event of each claim's key. Raises ``IndexLostError``: call ``cover`` again."""
        borrowed = self._borrowed.get(partition)
        if borrowed is None or self._lender is None:
            return self._index.claim(partition, claims, end, at_ms)
        since, begin = borrowed
        firsts = self._lender.lend(partition, claims, since, Stretch(begin, end), at_ms)
        if firsts is None:
            raise IndexLostError
        self._borrowed[partition] = Stretch(since, end)
        return firsts

    def _borrow(self, partition: Partition, since: int, reader_at: int) -> bool:
        """Return True if the lender covers the log from ``since`` to the reader's offset."""
        if self._lender is None:
            return False
        if self._lender.lend(partition, [], since, Stretch(reader_at, reader_at), 0) is None:
            return False
        self._borrowed[partition] = Stretch(since, reader_at)
        return True

    async def cover(self, partition: Partition, reader_at: int, at_ms: int) -> None:
        """Read the part of the window before ``reader_at`` that the index lacks. Raises ``KafkaUnavailable``.

        ``at_ms`` is the earliest timestamp of the records from there on.
        """
        self._borrowed.pop(partition, None)
        if self._borrow(partition, 0, reader_at):
            return
        covered = self._index.covered(partition)
        if covered is not None and covered.start == 0 and covered.end >= reader_at:
            return
        if reader_at == 0:
            self._index.reset(partition, 0)
            return
        async with self._open_reader() as reader:
            at = await self._window_start(reader, partition, at_ms)
            since = max(reader_at if at is None else at, reader_at - self._max_keys, 0)
            if self._borrow(partition, min(since, reader_at), reader_at):
                return
            lacking = stretch_to_read(covered, reader_at if at is None else at, reader_at, self._max_keys)
            if lacking is None:
                if covered is None or covered.end < reader_at:
                    self._index.reset(partition, reader_at)
                return
            if covered is None or lacking.start != covered.end:
                self._index.reset(partition, lacking.start)
            await self._read(reader, partition, lacking.start, lacking.end)

    async def _window_start(self, reader: SideReader, partition: Partition, at_ms: int) -> int | None:
        """Return the offset where the window before a timestamp begins; None if no record is in it.

        A timestamp ahead of the bridge's clock counts as now: otherwise the window would begin in the
        future. Records without timestamps cannot be found by time, so only their number bounds them.
        """
        if at_ms <= 0:
            return 0
        now_ms = int(self._now() * 1000)
        return await reader.offset_at(partition, log_time_ms(at_ms, now_ms) - self._window_ms)

    def cut(self, partition: Partition, end: int, topic_id: str | None) -> None:
        """Reset the index if it is of another topic, by its id or because it extends past the log's end.

        ``topic_id``: None if the broker does not return it.
        """
        with suppress(IndexLostError):  # a lost index covers nothing
            if topic_id is not None:
                self._index.identify(partition, topic_id)
            covered = self._index.covered(partition)
            if covered is not None and covered.end > end:
                self._index.reset(partition, 0)

    def close(self) -> None:
        """Close the index."""
        self._index.close()

    async def _read(self, reader: SideReader, partition: Partition, start: int, end: int) -> None:
        began = time.monotonic()
        keys, at_ms = 0, -1
        try:
            async for records in reader.stretch(partition, start, end):
                claims = self._claims(partition, records)
                keys += len(claims)
                at_ms = earliest_ms(records)
                self._index.claim(partition, claims, min(records[-1].end, end), at_ms)
        except RecordsDeleted as exc:
            raise KafkaUnavailable(f"{partition}: retention is deleting the dedupe window ({exc})") from exc
        self._index.claim(partition, [], end, at_ms)
        _log.info(
            events.INDEX_REBUILT, partition=str(partition), start=start, end=end, keys=keys,
            duration_s=round(time.monotonic() - began, 2),
        )  # fmt: skip

    def _claims(self, partition: Partition, records: Sequence[Record]) -> list[Claim]:
        decode = self._decoders[partition.topic].decode
        decoded: list[tuple[Record, Sequence[Event | RedriveMark]]] = []
        for record in records:
            try:
                if record.damage is None:
                    decoded.append((record, decode(record)))
            except DecodeError:
                continue  # a tombstone, or parked when it was first read: there is no key to remember
        return claims_of(decoded)
