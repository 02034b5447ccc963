"""One call of ``getmany`` returns no more bytes than it may, and the next call continues there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any

import aiokafka.consumer.fetcher
from aiokafka import TopicPartition

from bridge.kafka.aiokafka_patches.batch_bytes import BoundedFetchResult, at_most
from bridge.kafka.unpacked_batches import UnpackedBatches

P0, P1 = TopicPartition("orders", 0), TopicPartition("orders", 1)


class Fetched:
    """The records of a partition as aiokafka's ``PartitionRecords`` yields them."""

    def __init__(self, sizes: Iterable[int | None]) -> None:
        values = [None if size is None else b"x" * size for size in sizes]
        self._records = iter([SimpleNamespace(offset=at, value=value) for at, value in enumerate(values)])
        self.next_fetch_offset = 0
        self.in_batch = len(values)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        record = next(self._records)
        self.next_fetch_offset = record.offset + 1
        return record


class Assignment:
    active = True

    def __init__(self) -> None:
        self.states = {partition: self._state() for partition in (P0, P1)}

    @staticmethod
    def _state() -> Any:
        state = SimpleNamespace(paused=False, position=0)
        state.consumed_to = lambda position: setattr(state, "position", position)
        return state

    def state_value(self, partition: TopicPartition) -> Any:
        return self.states[partition]


def result(assignment: Assignment, partition: TopicPartition, *sizes: int | None) -> Any:
    return BoundedFetchResult(partition, assignment=assignment, partition_records=Fetched(sizes), backoff=0)


def offsets(records: list[Any]) -> list[int]:
    return [record.offset for record in records]


def test_aiokafka_uses_the_bounded_result() -> None:
    assert aiokafka.consumer.fetcher.FetchResult is BoundedFetchResult


def test_records_up_to_the_limit_are_returned_and_the_next_call_continues() -> None:
    assignment = Assignment()
    fetched = result(assignment, P0, 400, 400, 400, 400, 400)
    found = []
    while fetched.has_more():
        with at_most(1000, UnpackedBatches(1 << 30)):
            found.append(offsets(fetched.getall(500)))
    assert found == [[0, 1, 2], [3, 4]]
    assert assignment.states[P0].position == 5


def test_all_partitions_of_a_call_share_the_limit() -> None:
    assignment = Assignment()
    first, second = result(assignment, P0, 600, 600), result(assignment, P1, 10)
    with at_most(1000, UnpackedBatches(1 << 30)):
        assert offsets(first.getall(500)) == [0, 1]
        assert second.getall(498) == []
    assert second.has_more(), "it is kept for the next call"
    with at_most(1000, UnpackedBatches(1 << 30)):
        assert offsets(second.getall(500)) == [0]


def test_a_record_larger_than_the_limit_is_returned_alone() -> None:
    fetched = result(Assignment(), P0, 5000, 5000)
    with at_most(1000, UnpackedBatches(1 << 30)):
        assert offsets(fetched.getall(500)) == [0]


def test_without_a_limit_the_number_of_records_counts_and_null_values_have_no_size() -> None:
    fetched = result(Assignment(), P0, None, None, 10**6, 10**6)
    assert offsets(fetched.getall(3)) == [0, 1, 2]
    assert offsets(fetched.getall(3)) == [3]
    assert not fetched.has_more()


def test_a_paused_partition_returns_nothing_and_forgets_what_was_fetched() -> None:
    assignment = Assignment()
    fetched = result(assignment, P0, 10)
    assignment.states[P0].paused = True
    with at_most(1000, UnpackedBatches(1 << 30)):
        assert fetched.getall(500) == []
    assert not fetched.has_more()
