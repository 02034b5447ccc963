"""Measure what each endpoint has yet to get: the events that are read, and the offsets that are not.

Invariant: nothing here is on the way of an event. The ends of the logs are one request every
``LOOK_EVERY_S``; what is read and not settled is counted by the cursors.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import suppress
from typing import NamedTuple, Protocol

from bridge.clock import Clock
from bridge.errors import KafkaUnavailable
from bridge.model import Partition
from bridge.pipeline.cursor_loader import CursorsByPartition
from bridge.pipeline.cursor_start import EndpointCursor

LOOK_EVERY_S = 10.0
_AT_ONCE = 1_000
"""Cursors that are looked at in one turn of the loop."""
_FEWEST_OFFSETS = 100
"""Below this number of offsets, the share that an endpoint selects is not known: all of them count."""


class Dispatches(Protocol):
    """A dispatcher, as far as its waiting events are read (``bridge.pipeline.dispatcher``)."""

    def oldest_ms(self) -> int | None:
        """Return the record timestamp of the oldest event that waits."""
        ...


class Checkpointed(Protocol):
    """The cursors of the assignment (``bridge.pipeline.checkpoints.Checkpoints``)."""

    cursors: CursorsByPartition
    revision: int
    """Increases when cursors come, or leave the main reader. Otherwise each moves forward with it."""

    def of(self, endpoint: str) -> list[EndpointCursor]:
        """Return the cursors of an endpoint."""
        ...

    def waiting_bytes(self, endpoint: str) -> int:
        """Return the memory of the events that wait for an endpoint; 0 if none does."""
        ...


class Lag(NamedTuple):
    """What an endpoint has yet to get from the partitions of this process.

    ``waiting`` events are read and not settled: an exact number. ``unread`` offsets are not read for it:
    an upper bound of the records in them. ``events`` is ``waiting``, plus the part of ``unread`` that the
    endpoint selects if it selects as many as so far. ``age_s`` is that of the oldest event that waits, by its
    record timestamp, or the time for which unread offsets have not moved; the larger of the two.
    """

    waiting: int
    unread: int
    events: float
    age_s: float


class Backlogs:
    """The backlogs of all endpoints in the partitions of this process."""

    def __init__(
        self,
        checkpoints: Checkpointed,
        dispatchers: Mapping[str, Dispatches],
        ends: Callable[[Collection[Partition]], Awaitable[Mapping[Partition, int]]],
        main_at: Mapping[Partition, int],
        again_topic: str,
        clock: Clock,
    ) -> None:
        """``ends`` returns the next offset of each log; raises ``KafkaUnavailable``.

        ``main_at`` has the next offset of the main reader by partition, and changes with it.
        """
        self._checkpoints = checkpoints
        self._dispatchers = dispatchers
        self._ask = ends
        self._main_at = main_at
        self._again_topic = again_topic
        self._clock = clock
        self._ends: Mapping[Partition, int] = {}
        self._still: dict[EndpointCursor, tuple[int, float]] = {}
        """The cursors with unread offsets: their position, and since when they have had it."""
        self._read: dict[Partition, int] = {}
        """The ends of logs that every cursor has read, as of ``_revision``."""
        self._revision = -1
        self._nothing_unread = False
        """True if the last look has found every log read by every cursor."""

    async def run(self) -> None:
        """Look at the logs until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Ask for the ends of the logs. While the broker does not answer, the last ones count."""
        partitions = list(self._checkpoints.cursors)
        if partitions:
            with suppress(KafkaUnavailable):  # the reader of the partitions logs the outage
                self._ends = await self._ask(partitions)
        now, before, still = self._clock.monotonic(), self._still, dict[EndpointCursor, tuple[int, float]]()
        if self._revision != self._checkpoints.revision:
            self._revision = self._checkpoints.revision
            self._read.clear()
        looks = 0
        for partition, by_name in list(self._checkpoints.cursors.items()):
            end = self._end(partition)
            if self._read.get(partition) == end:  # most of a thousand cursors are at rest
                continue
            behind = [cursor for cursor in by_name.values() if cursor.position < end]
            if behind:
                self._read.pop(partition, None)
            else:
                self._read[partition] = end
            for cursor in behind:
                if cursor.not_settled_below(end):
                    position, since = before.get(cursor, (-1, now))
                    still[cursor] = cursor.position, since if position == cursor.position else now
            looks += len(by_name)
            if looks >= _AT_ONCE:
                looks = 0
                await asyncio.sleep(0)
        self._still = still
        self._nothing_unread = self._read.keys() >= set(partitions)

    def of(self, endpoint: str) -> Lag:
        """Return the backlog of an endpoint. One at rest is not looked at: it may have many cursors."""
        is_as_seen = self._nothing_unread and self._revision == self._checkpoints.revision
        if is_as_seen and not self._checkpoints.waiting_bytes(endpoint):
            return Lag(0, 0, 0.0, 0.0)
        cursors = self._checkpoints.of(endpoint)
        waiting, unread = sum(cursor.unsettled for cursor in cursors), self._unread(cursors)
        opened, passed = sum(cursor.opened for cursor in cursors), sum(cursor.passed for cursor in cursors)
        share = opened / passed if passed >= _FEWEST_OFFSETS else 1.0
        return Lag(waiting, unread, waiting + unread * share, self._age_s(endpoint, cursors))

    def oldest_ms(self, endpoint: str) -> int | None:
        """Return the record timestamp of the oldest event that is read and waits; None if none does."""
        dispatcher = self._dispatchers.get(endpoint)
        return None if dispatcher is None else dispatcher.oldest_ms()

    def again_records(self) -> int:
        """Return how many records to send again some endpoint has not settled."""
        return sum(
            max(0, self._end(partition) - min(cursor.lowest_unsettled for cursor in by_endpoint.values()))
            for partition, by_endpoint in self._checkpoints.cursors.items()
            if partition.topic == self._again_topic and by_endpoint
        )

    def _unread(self, cursors: Iterable[EndpointCursor]) -> int:
        ends = ((cursor, self._end(cursor.partition)) for cursor in cursors)
        return sum(cursor.not_settled_below(end) for cursor, end in ends if cursor.position < end)

    def _end(self, partition: Partition) -> int:
        return max(self._ends.get(partition, 0), self._main_at.get(partition, 0))

    def _age_s(self, endpoint: str, cursors: Iterable[EndpointCursor]) -> float:
        now, oldest_ms = self._clock.monotonic(), self.oldest_ms(endpoint)
        ages = [
            now - since
            for cursor in (cursors if self._still else ())
            for position, since in [self._still.get(cursor, (-1, now))]
            if position == cursor.position
        ]
        if oldest_ms is not None:
            ages.append(self._clock.time() - oldest_ms / 1000)
        return max([0.0, *ages])
