"""The size of a record as the broker counts it: one compressed batch.

Invariant: what is computed here is what the producer sends, with the same codec and the same overhead.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiokafka.record.default_records import DefaultRecordBatchBuilder

from bridge.model import Header

CODECS = {"zstd": 4, "gzip": 1, "snappy": 2}
"""The codecs and their numbers in a batch. The window of zstd covers a whole record of some MiB, and that of
gzip 32 KiB. Brokers support zstd since 2.1; Azure Event Hubs accepts gzip alone."""
LARGE_BYTES = 1024 * 1024
"""From this size on, a record is compressed in a thread, and written alone."""
HISTORY_CODEC = "snappy"
"""For attempts, unless brokers refuse zstd: half of its time, 1.7 times the size. Every client reads it."""
_MIB = 1024 * 1024


def plain_bytes(key: bytes | None, value: bytes | None, headers: Sequence[Header]) -> int:
    """Return the size of a record before compression, at most."""
    return int(DefaultRecordBatchBuilder.estimate_size_in_bytes(key, value, list(headers)))


async def batch_bytes(codec: str, key: bytes | None, value: bytes | None, headers: Sequence[Header]) -> int:
    """Return the size of a record in a batch of its own, compressed with one of ``CODECS``."""
    if plain_bytes(key, value, headers) < LARGE_BYTES:
        return _batch_bytes(codec, key, value, headers)
    return await asyncio.to_thread(_batch_bytes, codec, key, value, headers)


def _batch_bytes(codec: str, key: bytes | None, value: bytes | None, headers: Sequence[Header]) -> int:
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=CODECS[codec],
        is_transactional=0,
        producer_id=0,
        producer_epoch=0,
        base_sequence=0,
        batch_size=0,
    )
    builder.append(0, 0, key, value, list(headers))
    return len(builder.build())


def limit_for(needed_bytes: int) -> int:
    """Return a ``max.message.bytes`` with room for the record: the next MiB, and one to spare."""
    return (needed_bytes // _MIB + 2) * _MIB
