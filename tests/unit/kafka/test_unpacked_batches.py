"""Batches that are read in part: few are kept unpacked, and each record is read once and in order."""

from __future__ import annotations

from dataclasses import replace
from itertools import count, cycle
from random import Random
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from hypothesis import given, settings
from hypothesis import strategies as st

import bridge.kafka.client  # noqa: F401 - applies the patches
from bridge.kafka.fetch_budget import FetchBudget
from bridge.kafka.suspect_batches import TRIES
from bridge.kafka.unpacked_batches import UnpackedBatches
from tests.support.record_batches import CODECS, RawBatch, plain

_topics = (f"unpacked{number}" for number in count())


class Batch:
    """Stands for records in the middle of a batch."""

    packed = 0

    def pack_again(self) -> None:
        self.packed += 1


def test_the_batches_that_were_read_longest_ago_give_way() -> None:
    unpacked, batches = UnpackedBatches(30), [Batch() for _ in range(4)]
    for batch in (*batches[:3], batches[0], batches[3]):
        unpacked.keep(batch, 10)
    assert [batch.packed for batch in batches] == [0, 1, 0, 0]
    assert unpacked.used_bytes == 30


def test_one_batch_is_kept_whatever_its_size() -> None:
    unpacked, small, large = UnpackedBatches(30), Batch(), Batch()
    unpacked.keep(small, 10)
    unpacked.keep(large, 1000)
    assert (small.packed, large.packed) == (1, 0)
    assert unpacked.used_bytes == 1000


def test_records_that_were_read_to_their_end_or_dropped_count_nothing() -> None:
    unpacked, read, dropped = UnpackedBatches(30), Batch(), Batch()
    unpacked.keep(read, 10)
    unpacked.keep(dropped, 10)
    unpacked.forget(read)
    del dropped
    assert unpacked.used_bytes == 0


def test_a_quarter_of_the_memory_for_fetched_records_is_for_unpacked_batches() -> None:
    budget = FetchBudget(40)
    budget.unpacked.keep(batch := Batch(), 10)
    assert (budget.used_bytes, batch.packed) == (10, 0)
    budget.unpacked.keep(other := Batch(), 1)
    assert (batch.packed, other.packed) == (1, 0)


def partition(data: bytes, topic: str = "", position: int = 0) -> Any:
    """Return the records of one response, as the fetcher makes them."""
    place, response = TopicPartition(topic or next(_topics), 0), fetcher.MemoryRecords(data)
    return fetcher.PartitionRecords(place, response, None, position, None, None, True, 1)


def values(first: int, number: int) -> list[bytes]:
    return [b"%d" % value for value in range(first, first + number)]


def drain(random: Random, all_records: list[Any], unpacked: UnpackedBatches) -> list[list[bytes | None]]:
    """Read all partitions in turns, a few records at once."""
    found: list[list[bytes | None]] = [[] for _ in all_records]
    left = set(range(len(all_records)))
    for number in cycle(range(len(all_records))):
        if not left:
            return found
        if number not in left:
            continue
        records = all_records[number]
        for _ in range(random.randint(1, 4)):
            record = next(records, None)
            if record is None:
                left.discard(number)
                unpacked.forget(records)
                break
            found[number].append(record.value)
        else:
            unpacked.keep(records, 10)
    raise AssertionError


@settings(deadline=None)
@given(seed=st.integers(0, 2**32), most_bytes=st.sampled_from((0, 10, 25)))
def test_reading_several_batches_in_turns_returns_every_record_once_and_in_order(
    seed: int, most_bytes: int
) -> None:
    random = Random(seed)
    logs = []
    for _ in range(4):
        first, data = 0, b""
        for _ in range(3):
            size = random.randint(1, 9)
            codec = random.choice((0, *CODECS))
            data += replace(RawBatch(first, plain(*values(first, size))), codec=codec).pack()
            first += size
        logs.append((data, first))
    found = drain(random, [partition(data) for data, _ in logs], UnpackedBatches(most_bytes))
    assert found == [values(0, end) for _, end in logs]


@pytest.mark.parametrize("codec", CODECS)
def test_a_batch_that_gave_way_is_not_in_memory(codec: int) -> None:
    batch = replace(RawBatch(0, plain(*values(0, 50))), codec=codec)
    records = partition(batch.pack())
    assert next(records).value == b"0"
    assert records._records_iterator.gi_yieldfrom is not None, "the batch is unpacked"
    records.pack_again()
    assert records._records_iterator.gi_yieldfrom is None
    assert next(records).value == b"1"


def test_a_damaged_batch_is_not_read_again() -> None:
    """Its records were separated one by one, and the position is inside of it."""
    raw = bytearray(RawBatch(0, plain(*values(0, 5))).pack())
    damaged = bytes(raw[:-1]) + bytes([raw[-1] ^ 1])
    after = RawBatch(5, plain(b"after")).pack()
    topic, position, found, fetches = next(_topics), 0, [], 0
    while position < 6:
        fetches += 1
        records = partition(damaged + after, topic, position)
        for record in records:
            found.append(record.offset)
            records.pack_again()
        position = records.next_fetch_offset
    assert found == [0, 5]
    assert fetches == TRIES
