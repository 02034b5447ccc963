"""Limit what ``getmany`` returns by bytes, as unpacked, and what it keeps of batches that it reads in part.

Upstream: no issue found. aiokafka 0.14 limits it by the number of records alone. A thousand records of one
MiB that compress well are fetched in a few KiB, and would be returned together. An unpacked batch is kept
until its last record was read.
Remove this when ``getmany`` has a limit in bytes. ``bridge/kafka/client.py`` imports this module, so every
consumer of the product has the patch.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import aiokafka.consumer.fetcher
from aiokafka.consumer.fetcher import FetchResult

from bridge.kafka.unpacked_batches import UnpackedBatches
from bridge.model import Record


@dataclass(slots=True)
class _Room:
    """The bytes that a call may still return, and the batches that are kept unpacked."""

    bytes: int
    unpacked: UnpackedBatches


_UNLIMITED = 1 << 62
_room: ContextVar[_Room | None] = ContextVar("room of the batch", default=None)


@contextmanager
def at_most(most_bytes: int, unpacked: UnpackedBatches) -> Iterator[None]:
    """Limit each ``getmany`` inside: it returns records up to this size, the last one may be larger."""
    token = _room.set(_Room(most_bytes, unpacked))
    try:
        yield
    finally:
        _room.reset(token)


class BoundedFetchResult(FetchResult):  # type: ignore[misc] # aiokafka has no type information
    """Returns the records of one partition while there is room. The others stay for the next call."""

    _partition_records: Any

    def getall(self, max_records: int | None = None) -> list[Record]:
        """See aiokafka: return the next records and move the position, or nothing."""
        room = _room.get() or _Room(_UNLIMITED, UnpackedBatches(_UNLIMITED))
        if room.bytes <= 0 or not self.check_assignment(self._topic_partition) or not self.has_more():
            return []
        records: list[Record] = []
        left = before = room.bytes
        count = max_records or _UNLIMITED
        for record in self._partition_records:
            records.append(record)
            value = record.value
            if value is not None:
                left -= len(value)
            count -= 1
            if not count or left <= 0:
                self._update_position()
                each_bytes = (before - left) // len(records)
                room.unpacked.keep(self._partition_records, each_bytes * self._partition_records.in_batch)
                break
        else:
            self._update_position()
            room.unpacked.forget(self._partition_records)
            self._partition_records = None
        room.bytes = left
        return records


aiokafka.consumer.fetcher.FetchResult = BoundedFetchResult
