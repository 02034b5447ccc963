"""The Protocols of what the path needs from outside it; ``bridge/wiring`` passes in the implementations."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from bridge.core.dedupe import Claim
from bridge.model import Batch, Event, Partition, Record, RedriveMark


class Reads(Protocol):
    """The reader of the group's member (``bridge.kafka.group_reader.Reader``)."""

    epoch: int

    @property
    def unprepared(self) -> frozenset[Partition]:
        """Assigned partitions for which ``start_at`` was not called yet."""
        ...

    @property
    def share(self) -> float:
        """The fraction of all partitions that is assigned here; above 0."""
        ...

    def start_at(self, positions: Mapping[Partition, int]) -> None:
        """Read these partitions from these offsets on."""
        ...

    async def read(self, full: Collection[Partition], timeout_s: float) -> Sequence[Batch]:
        """Return the next records, none of the ``full`` partitions."""
        ...

    def passed(self) -> Mapping[Partition, int]:
        """Return the next offset of each started partition, past all that holds no readable record."""
        ...

    async def bounds(self, partitions: Collection[Partition]) -> dict[Partition, tuple[int, int]]:
        """Return the first and the next offset of each log."""
        ...

    def begin_again(self) -> None:
        """Make all assigned partitions unprepared again."""
        ...


class SideReads(Protocol):
    """A reader outside the group (``bridge.kafka.side_reader.SideReader``)."""

    async def __aenter__(self) -> SideReads:
        """Connect; raises ``KafkaUnavailable``."""
        ...

    async def __aexit__(self, *exc: object) -> None: ...

    async def read_from(
        self, positions: Mapping[Partition, int], timeout_s: float
    ) -> tuple[list[Batch], dict[Partition, int]]:
        """Return the next records, and the next offset to read of each partition."""
        ...

    async def begins(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """Return the first offset of each log."""
        ...


class RecordDecoder(Protocol):
    """A decoder of one topic (``bridge.formats.Decoder``, or the one for records that are sent again)."""

    def decode(self, record: Record) -> Sequence[Event | RedriveMark]:
        """Return the events of one record, in order. Raises ``DecodeError`` and ``SchemaNeeded``."""
        ...


class ParkedRecords(Protocol):
    """The undecodable records that are parked (``bridge.dead_letters.parked_before.ParkedBefore``)."""

    async def contains(self, record: Record) -> bool:
        """Return True if the record is parked for all endpoints, or was discarded."""
        ...

    def add(self, record: Record) -> None:
        """Remember a record that was just parked."""
        ...

    def forget(self) -> None:
        """Forget everything: the assignment has ended."""
        ...


class FirstOffsets(Protocol):
    """The dedupe window (``bridge.pipeline.dedupe_window.DedupeWindow``)."""

    async def cover(self, partition: Partition, reader_at: int, at_ms: int) -> None:
        """Make the index cover the window before an offset; read the log again where it must.

        ``at_ms`` is the earliest timestamp of the records from there on.
        """
        ...

    def cut(self, partition: Partition, end: int, topic_id: str | None) -> None:
        """Reset the index if it is of another topic, by its id or because it extends past the log's end."""
        ...

    def claim(self, partition: Partition, claims: Sequence[Claim], end: int, at_ms: int) -> list[Claim]:
        """Return the first event of each claim's key."""
        ...

    def close(self) -> None:
        """Give back what the index uses."""
        ...


class Alongside(Protocol):
    """What works on the partitions of an assignment next to the path (``bridge.pipeline.replay.replays``)."""

    async def drain(self) -> None:
        """Send nothing more, and return when nothing is in flight."""
        ...

    async def end(self) -> None:
        """Commit for the last time, while the live cursors still exist."""
        ...
