"""The reader outside the group: what is left of an earlier assignment does not reach the next one."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from bridge.errors import RecordsDeleted
from bridge.kafka.aiokafka_patches.failing_fetches import CarefulFetcher
from bridge.kafka.client import KafkaOptions
from bridge.kafka.side_reader import SideReader
from bridge.model import Partition

DELETED, OTHER = Partition("side", 0), Partition("side", 1)


class SilentBroker:
    """A broker that answers no fetch."""

    cluster = SimpleNamespace(leader_for_partition=lambda partition: 0)
    _metadata_max_age_ms = 10_000

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    async def send(self, node_id: int, request: Any, group: int = 0) -> Any:
        await asyncio.Event().wait()


async def with_an_error_of(partition: Partition) -> SideReader:
    """Return a reader of this partition, whose position was just found to be no longer in the log."""
    reader = SideReader(KafkaOptions("127.0.0.1:1"))
    consumer: Any = reader._consumer
    consumer._coordinator = SimpleNamespace(check_errors=lambda: None)
    consumer._fetcher = CarefulFetcher(SilentBroker(), consumer._subscription)
    await reader.read_from({partition: 5}, 0.01)
    place = TopicPartition(*partition)
    consumer._fetcher._set_error(place, OffsetOutOfRangeError({place: 5}))
    return reader


async def closed(reader: SideReader) -> None:
    consumer: Any = reader._consumer
    await consumer._fetcher.close()
    consumer._closed = True  # it was never started


async def test_an_error_of_a_partition_that_is_no_longer_read_does_not_concern_the_others() -> None:
    reader = await with_an_error_of(DELETED)
    batches, reached = await reader.read_from({OTHER: 3}, 0.01)
    assert (batches, reached) == ([], {OTHER: 3})
    await closed(reader)


async def test_an_error_of_a_partition_that_is_read_has_its_position() -> None:
    reader = await with_an_error_of(DELETED)
    with pytest.raises(RecordsDeleted) as raised:
        await reader.read_from({DELETED: 5}, 0.01)
    assert raised.value.positions == {DELETED: 5}
    await closed(reader)
