"""Read the bytes of a partition as a consumer does: through the fetcher's classes, with our patches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from aiokafka import TopicPartition
from aiokafka.consumer import fetcher

import bridge.kafka.client  # noqa: F401 - applies the patches
from bridge.model import Record

_FETCHES = 50


class Fetched(NamedTuple):
    """What a consumer got: the records, the position after them, and the number of fetches."""

    records: list[Record]
    position: int
    fetches: int

    @property
    def values(self) -> list[bytes | None]:
        """The values of the records that could be read."""
        return [record.value for record in self.records if record.damage is None]

    @property
    def damaged(self) -> list[tuple[int, int]]:
        """The offsets [first, end) of each damaged record."""
        return [(record.offset, record.end) for record in self.records if record.damage is not None]


def read_log(
    data: bytes | Callable[[int], bytes], end: int, *, topic: str, aborted: Any = None, position: int = 0
) -> Fetched:
    """Fetch from ``position`` until ``end``; ``data``: the bytes of a response, or those for a position."""
    partition = TopicPartition(topic, 0)
    records: list[Record] = []
    for fetches in range(1, _FETCHES):
        response = data(position) if callable(data) else data
        batches = fetcher.MemoryRecords(response)
        assert batches.has_next()
        parts = fetcher.PartitionRecords(partition, batches, aborted, position, None, None, True, 1)
        records += parts
        position = parts.next_fetch_offset
        if position >= end:
            return Fetched(records, position, fetches)
    raise AssertionError(f"{topic}: still at {position} after {_FETCHES} fetches")
