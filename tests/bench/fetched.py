"""CPU of fetches: per record of parsed batches, and per partition of a request and its response.

Each time ours, and aiokafka's alone. Ours steps over damaged batches, and returns records of our own type.

``python -m tests.bench.fetched``; each figure is the best of ``--runs``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from io import BytesIO
from typing import Any

from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import PartitionRecords
from aiokafka.protocol.fetch import FetchRequest, FetchResponse_v11
from aiokafka.record.memory_records import MemoryRecords

from bridge.kafka.aiokafka_patches.fetch_codec import FetchResponse, LeanFetchRequest
from bridge.kafka.aiokafka_patches.unreadable_records import FetchedBytes, ReadableRecords
from tests.bench.cpu import cpu_us
from tests.support.record_batches import RawBatch, RawRecord

_RECORDS = 20_000
_RECORD = RawRecord(b"v" * 500, b"key", [(b"id", b"x")])
_THEIRS: type[Any] = next(one for one in PartitionRecords.__mro__ if one.__module__.startswith("aiokafka"))


def _parse(parts: type[Any], batches: Callable[[bytes], Any], data: bytes, runs: int) -> float:
    """Return the microseconds of CPU per record."""
    best = float("inf")
    for _ in range(runs):
        began = time.process_time()
        records = parts(TopicPartition("t", 0), batches(data), None, 0, None, None, True, 1)
        assert sum(1 for _ in records) == _RECORDS
        best = min(best, time.process_time() - began)
    return best / _RECORDS * 1e6


def _exchange(request: type[Any], response: type[Any], partitions: int) -> float:
    """Return the microseconds of CPU per partition: write a request, read a response without records."""
    asked = [("orders", [(number, 1_000_000, 1_048_576) for number in range(partitions)])]
    row = (0, 1_000_000, 1_000_000, 0, [], -1, b"")
    data = FetchResponse_v11(0, 0, 0, [("orders", [(number, *row) for number in range(partitions)])]).encode()

    def exchange() -> None:
        request(500, 1, 1 << 25, 1, asked).prepare({1: (0, 11)}).encode()
        response.decode(BytesIO(data))

    return cpu_us(exchange, 2_000 // partitions) / partitions


def main() -> None:
    """Print all of them, for large batches and batches of one record, for few and many partitions."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    for size in (500, 1):
        data = b"".join(RawBatch(at, [_RECORD] * size).pack() for at in range(0, _RECORDS, size))
        ours = _parse(ReadableRecords, FetchedBytes, data, runs)
        theirs = _parse(_THEIRS, MemoryRecords, data, runs)
        print(f"batches of {size}: {ours:.1f} µs per record; aiokafka alone {theirs:.1f} µs")
    for partitions in (4, 100):
        ours = _exchange(LeanFetchRequest, FetchResponse, partitions)
        theirs = _exchange(FetchRequest, FetchResponse_v11, partitions)
        print(
            f"fetch of {partitions} partitions: {ours:.1f} µs per partition; aiokafka alone {theirs:.1f} µs"
        )


if __name__ == "__main__":
    main()
