"""Follow the history: every attempt as it arrives in the topic, in order, each once.

Invariant: memory is bounded by what one read returns. The next read begins only after the caller has used it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from bridge.errors import RecordsDeleted
from bridge.history.attempt import Kept
from bridge.history.batch import UnreadableBatch, WrittenBefore, decode
from bridge.history.scan import CLOCKS_DIFFER_MS
from bridge.kafka.side_reader import SideReader
from bridge.model import Partition, Record

POLL_S = 0.5
_REMEMBERED = 10_000


class AttemptFollower:
    """Follows all partitions of the history through ``reader``. Methods raise ``KafkaUnavailable``."""

    def __init__(self, reader: SideReader, topic: str, partitions: int) -> None:
        self._reader = reader
        self._partitions = [Partition(topic, number) for number in range(partitions)]
        self._before = WrittenBefore(_REMEMBERED)

    async def attempts(self, endpoint: str, since_ms: int | None) -> AsyncIterator[list[Kept]]:
        """Yield the attempts of an endpoint forever: those from now on, or those made since an instant.

        Yields an empty list about twice per second while there are none.
        """
        positions = await self._reader.ends(self._partitions)
        if since_ms is not None:
            since = await self._reader.offsets_at(self._partitions, max(0, since_ms - CLOCKS_DIFFER_MS))
            positions |= since
        while True:
            try:
                batches, reached = await self._reader.read_from(positions, POLL_S)
            except RecordsDeleted as exc:  # slower than the retention
                positions |= exc.positions
                begins = await self._reader.begins(self._partitions)
                positions = {place: max(begins[place], at) for place, at in positions.items()}
                continue
            positions = reached
            yield [
                kept
                for _, records in batches
                for record in records
                for kept in self._attempts(record, endpoint)
                if since_ms is None or kept.attempt.sent_s * 1000 >= since_ms
            ]

    def _attempts(self, record: Record, endpoint: str) -> list[Kept]:
        """Return the attempts of a record; none if it was written before, or is no batch."""
        if record.damage is not None or record.key != endpoint.encode():
            return []
        try:
            writer, attempts = decode(record)
        except UnreadableBatch:
            return []
        return [] if self._before.has(writer, record) else attempts
