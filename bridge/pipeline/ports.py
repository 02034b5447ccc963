"""What the path reads from: the member of the group, and the dedupe window of each way in.

Protocols and one value; between the path and the edges.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from bridge.core.dedupe import Claim
from bridge.model import Batch, Partition, Record


class Reads(Protocol):
    """The member of the consumer group (``bridge.kafka.group_reader.Reader``)."""

    epoch: int

    @property
    def unprepared(self) -> frozenset[Partition]:
        """Assigned partitions whose start is not told yet."""
        ...

    @property
    def share(self) -> float:
        """The part of all partitions that is ours, above 0."""
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

    def begin_again(self) -> None:
        """All assigned partitions are unprepared again."""
        ...


class FirstOffsets(Protocol):
    """The dedupe window (``bridge.pipeline.dedupe_window.DedupeWindow``)."""

    async def cover(self, partition: Partition, first: Record) -> None:
        """Make the index know the window before this record, reading the log again where it must."""
        ...

    def cut(self, partition: Partition, end: int) -> None:
        """Forget what is known of a log that turns out to end at ``end``, before it: it was made anew."""
        ...

    def claim(self, partition: Partition, claims: Sequence[Claim], end: int, at_ms: int) -> list[int]:
        """The first offset of each claim's key."""
        ...


@dataclass(slots=True)
class Feed:
    """A way in which records come: the main reader, or the reader of one endpoint that catches up.

    Each has a dedupe window of its own, because the window belongs to a place in the log.
    """

    window: FirstOffsets
    covered: set[Partition] = field(default_factory=set)
