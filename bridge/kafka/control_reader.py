"""Read the records of ``<group>.control`` in order: switches and holds are records of one partition.

Two readers of it exist at a time, for two different needs. ``ControlTopic`` follows the topic for as
long as the bridge runs. ``HoldRegister`` reads it again from its first offset at each assignment,
because a hold that was missed would break the order of a lane: that read depends on nothing but
the log as it is after the assignment.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self

from bridge.kafka.side_reader import SideReader
from bridge.model import Partition, Record
from bridge.telemetry import events
from bridge.telemetry.sparse_log import SparseLog

POLL_S = 0.5
FOLLOW_S = 2.0
"""How long the broker may wait for a record of a topic that is followed. The record itself does not wait."""


class ControlReader:
    """Calls ``apply`` for each record of the control topic, in order, and keeps the position.

    All records are in partition 0, whatever other partitions the topic has, so there is one order:
    the last record of a key is valid. An asynchronous context manager, which opens ``reader``.
    """

    def __init__(
        self, reader: SideReader, topic: str, apply: Callable[[Record], None], start: int | None
    ) -> None:
        """``start`` is the first offset to read; with None, ``rewind`` finds it."""
        self._partition = Partition(topic, 0)
        self._reader = reader
        self._apply = apply
        self._position = start
        self._sparse_log = SparseLog()

    @property
    def position(self) -> int | None:
        """The next offset to read; None before the first ``rewind``."""
        return self._position

    async def __aenter__(self) -> Self:
        """Connect; raises ``KafkaUnavailable``."""
        await self._reader.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._reader.__aexit__(kind, exc, trace)

    async def rewind(self) -> None:
        """Move to the first record of the log. Raises ``KafkaUnavailable``."""
        self._position = (await self._reader.begins([self._partition]))[self._partition]

    async def read_to_end(self) -> None:
        """Apply every record that is in the topic now. Raises ``KafkaUnavailable``, ``RecordsDeleted``.

        Waits for open transactions of bulk re-sends: records after their first one, such as holds, can be
        read only once they have ended. That takes 20 s at most (``transactions.OPEN_S``).
        """
        end = (await self._reader.written([self._partition]))[self._partition]
        if self._position is None:
            await self.rewind()
        while self._position is not None and self._position < end:
            await self.read_on(POLL_S)

    async def read_on(self, timeout_s: float) -> None:
        """Apply the next records, if any come within this time.

        Raises ``KafkaUnavailable``, and ``RecordsDeleted`` if the position is no longer in the log.
        """
        assert self._position is not None, "rewind() or a start comes first"
        batches, reached = await self._reader.read_from({self._partition: self._position}, timeout_s)
        for _, records in batches:
            for record in records:
                if record.damage is None or not record.damage.raw_of:  # else it has no key
                    self._apply(record)
                    continue
                self._sparse_log.error(
                    events.CONTROL_UNREADABLE,
                    place=record.place,
                    cause=record.damage.cause,
                    remedy="the states and holds in it are not known: set switches again, and see"
                    " `hookferry parked list` for held lanes",
                )
        self._position = reached[self._partition]
