"""Write the attempts of one endpoint to the topic, in order, while deliveries go on.

Invariant: attempts of one endpoint are written one batch after the other, and a batch is repeated until the
topic has it. So the order of the topic is that of the answers, also across failures.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import accumulate, islice, takewhile
from operator import itemgetter
from typing import NamedTuple, Protocol

from bridge.errors import BrokerError, RecordTooLarge
from bridge.history.batch import Writer
from bridge.history.encoding import batch_headers, encode
from bridge.history.pool import Pool
from bridge.history.row import Entry, Row, without_bodies
from bridge.kafka.producer import NewRecord
from bridge.telemetry import events
from bridge.telemetry.sparse_log import SparseLog

BATCH_BYTES = 256 * 1024
"""Attempts of so many bytes in memory become one record: compressing it takes the loop about a
millisecond, and it fits every topic."""
_DELAYS_S = (0.5, 1.0, 5.0)
_SIZE = Entry._fields.index("size_bytes")
_SIZE_OF = itemgetter(_SIZE)


class RecordWriter(Protocol):
    """Writes records (``bridge.kafka.producer.DurableProducer``)."""

    async def write(self, record: NewRecord) -> None:
        """Return once all replicas have the record. Raises ``BrokerError``."""
        ...


class Outlook(Protocol):
    """Receives how writing goes (``bridge.history.writer.History``)."""

    def wrote(self, endpoint: str, attempts: int) -> None:
        """The topic has so many attempts more."""
        ...

    def failed(self, endpoint: str, error: BrokerError) -> None:
        """The topic did not accept a batch; it is tried again."""
        ...

    def lost(self, attempts: int) -> None:
        """So many attempts will not be written."""
        ...


class _Batch(NamedTuple):
    """Attempts that are written as one record, and its number."""

    number: int
    attempts: Sequence[Row]


class AttemptStream:
    """The attempts of one endpoint on their way to the topic.

    ``add`` is called for every attempt. ``run`` writes what was added once ``due`` is called, or when the
    ``pool`` is pressed; a pass takes what waits when it begins.
    """

    def __init__(
        self, endpoint: str, process: str, topic: str, pool: Pool, producer: RecordWriter, outlook: Outlook
    ) -> None:
        self.endpoint = endpoint
        self._process = process
        self._topic = topic
        self._pool = pool
        self._producer = producer
        self._outlook = outlook
        self._due = asyncio.Event()
        self._queue = pool.join(self._due.set)
        self._written = 0
        self._passes_begun = 0
        self._passes_ended = 0
        self._passed = asyncio.Event()
        self._is_late = False
        self._in_hand: Sequence[Row] = ()
        self._sparse_log = SparseLog()

    def add(self, attempt: Row) -> None:
        """Keep an attempt until it is written."""
        self._queue.append(attempt)
        pool = self._pool
        used_bytes = pool.bytes = pool.bytes + attempt[_SIZE]
        if used_bytes > pool.press_at:
            pool.press()

    def add_all(self, attempts: Sequence[Row]) -> None:
        """Keep attempts, in their order; see ``add``."""
        pool = self._pool
        used_bytes = pool.bytes + sum(map(_SIZE_OF, attempts))
        if used_bytes > pool.press_at:
            for attempt in attempts:
                self.add(attempt)
        else:
            self._queue.extend(attempts)
            pool.bytes = used_bytes

    @property
    def waiting(self) -> int:
        """Return how many attempts the topic does not have."""
        return len(self._queue) + len(self._in_hand)

    def request(self) -> int:
        """Have everything written that was added so far. Return the pass to wait for; 0 for none.

        While the topic lags, there is nothing to wait for: deliveries do not wait for it a second time.
        """
        if not self._queue and not self._in_hand:
            return 0
        self._due.set()
        return 0 if self._is_late else self._passes_begun + 1

    async def wait_for(self, number: int) -> None:
        """Return once this pass has ended."""
        while self._passes_ended < number:
            self._passed.clear()
            await self._passed.wait()

    def note_late(self, number: int) -> None:
        """Do not wait for this stream again until it has written everything, if this pass has not ended."""
        self._is_late = self._is_late or self._passes_ended < number

    async def run(self) -> None:
        """Write what is due, until it is cancelled."""
        while True:
            await self._due.wait()
            self._due.clear()
            self._passes_begun += 1
            left = len(self._queue)
            while left > 0 and self._queue:
                attempts, size_bytes = self._take(left)
                left -= len(attempts)
                await self._write(attempts, size_bytes)
            self._passes_ended = self._passes_begun
            self._is_late = False
            self._passed.set()

    def _take(self, most: int) -> tuple[list[Row], int]:
        """Take the oldest attempts that make one record, at least one, at most ``most``; and their size."""
        queue = self._queue
        sizes = accumulate(map(_SIZE_OF, islice(queue, most)))
        too_few = len([*takewhile(BATCH_BYTES.__gt__, sizes)])
        taken = [queue.popleft() for _ in range(min(too_few + 1, most, len(queue)))]
        return taken, sum(map(_SIZE_OF, taken))

    async def _write(self, attempts: Sequence[Row], size_bytes: int) -> None:
        """Write attempts, and give their memory back. Gives up only what no record of the topic can hold."""
        self._in_hand = attempts
        try:
            batches = [self._number(attempts)]
            while batches:
                batch = batches.pop(0)
                try:
                    await self._write_durably(batch)
                except RecordTooLarge as exc:
                    batches[:0] = map(self._number, self._smaller(batch.attempts, exc))
                else:
                    self._outlook.wrote(self.endpoint, len(batch.attempts))
        except Exception:
            self._sparse_log.exception(events.HISTORY_FAILED_INSIDE, endpoint=self.endpoint)
            self._outlook.lost(len(attempts))
        finally:
            self._in_hand = ()
            self._pool.release(size_bytes)

    def _number(self, attempts: Sequence[Row]) -> _Batch:
        self._written += 1
        return _Batch(self._written, attempts)

    async def _write_durably(self, batch: _Batch) -> None:
        """Repeat a write until the topic has it. Raises ``RecordTooLarge``."""
        writer = Writer(self._process, self.endpoint, batch.number)
        record = NewRecord(
            self._topic,
            encode(writer, batch.attempts),
            self.endpoint.encode(),
            headers=batch_headers(batch.attempts),
        )
        failures = 0
        while True:
            try:
                return await self._producer.write(record)
            except RecordTooLarge:
                raise
            except BrokerError as exc:
                self._outlook.failed(self.endpoint, exc)
                await asyncio.sleep(_DELAYS_S[min(failures, len(_DELAYS_S) - 1)])
                failures += 1

    def _smaller(self, attempts: Sequence[Row], error: RecordTooLarge) -> list[Sequence[Row]]:
        """Return attempts in smaller records: two halves, or one attempt without its bodies, or nothing."""
        if len(attempts) > 1:
            half = len(attempts) // 2
            return [attempts[:half], attempts[half:]]
        smaller = without_bodies(attempts[0])
        if smaller is None:
            self._outlook.failed(self.endpoint, error)
            self._outlook.lost(1)
            return []
        return [[smaller]]
