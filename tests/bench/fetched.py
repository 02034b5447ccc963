"""CPU per record for parsing fetched batches: ours, which steps over damage, and aiokafka's alone.

``python -m tests.bench.fetched``; each figure is the best of ``--runs``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import PartitionRecords
from aiokafka.record.memory_records import MemoryRecords

from bridge.kafka.aiokafka_patches.unreadable_records import FetchedBytes, ReadableRecords
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


def main() -> None:
    """Print both, for large batches and for batches of one record."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    for size in (500, 1):
        data = b"".join(RawBatch(at, [_RECORD] * size).pack() for at in range(0, _RECORDS, size))
        ours = _parse(ReadableRecords, FetchedBytes, data, runs)
        theirs = _parse(_THEIRS, MemoryRecords, data, runs)
        print(f"batches of {size}: {ours:.1f} µs per record; aiokafka alone {theirs:.1f} µs")


if __name__ == "__main__":
    main()
