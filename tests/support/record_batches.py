"""Build record batches byte by byte, as in a fetch response: valid ones, and ones with one wrong field.

Independent of the client library, whose builders refuse to write what these tests need.
"""

from __future__ import annotations

import asyncio
import struct
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from aiokafka.client import AIOKafkaClient
from aiokafka.codec import gzip_encode, lz4_encode, snappy_encode, zstd_encode
from aiokafka.errors import for_code
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.util import calc_crc32c

CODECS = {1: gzip_encode, 2: snappy_encode, 3: lz4_encode, 4: zstd_encode}
RawHeader = tuple[bytes, bytes | None]
HEADER_BYTES = 61
"""The length of the part of a batch (magic 2) before its records."""
BAD_NAME = b"caf\xe9"
"""A header name that is Latin-1, not UTF-8."""


def varint(number: int) -> bytes:
    """Return the zigzag encoding of a signed number."""
    rest, out = (number << 1) ^ (number >> 63), bytearray()
    rest &= 2**64 - 1
    while rest > 127:
        out.append(rest & 127 | 128)
        rest >>= 7
    return bytes([*out, rest])


def sized(raw: bytes | None) -> bytes:
    """Return bytes with their length before them; null has the length -1."""
    return varint(-1) if raw is None else varint(len(raw)) + raw


@dataclass(frozen=True)
class RawRecord:
    """One record of a batch. Each ``wrong_*`` replaces a field by a lie."""

    value: bytes | None = b"{}"
    key: bytes | None = b"k"
    headers: Sequence[RawHeader] = ()
    wrong_length: int | None = None
    wrong_delta: int | None = None
    wrong_key_length: int | None = None
    wrong_value_length: int | None = None
    wrong_header_count: int | None = None
    tail: bytes = b""

    def pack(self, delta: int) -> bytes:
        """Return the record at this distance from the first offset of its batch."""
        key, value = sized(self.key), sized(self.value)
        if self.wrong_key_length is not None:
            key = varint(self.wrong_key_length) + (self.key or b"")
        if self.wrong_value_length is not None:
            value = varint(self.wrong_value_length) + (self.value or b"")
        count = len(self.headers) if self.wrong_header_count is None else self.wrong_header_count
        headers = b"".join(sized(name) + sized(text) for name, text in self.headers)
        body = (
            b"\0"
            + varint(delta)
            + varint(delta if self.wrong_delta is None else self.wrong_delta)
            + key
            + value
            + varint(count)
            + headers
            + self.tail
        )
        return varint(len(body) if self.wrong_length is None else self.wrong_length) + body


@dataclass(frozen=True)
class RawBatch:
    """One batch of magic 2. ``deltas`` are the offset distances; by default without gaps."""

    base: int
    records: Sequence[RawRecord]
    codec: int = 0
    timestamp_ms: int = 1_700_000_000_000
    attributes: int = 0
    producer_id: int = -1
    last_delta: int | None = None
    count: int | None = None
    magic: int = 2
    wrong_crc: bool = False
    wrong_length: int | None = None
    payload: bytes | None = None
    deltas: Sequence[int] | None = None

    def pack(self) -> bytes:
        """Return the bytes of the batch."""
        deltas = range(len(self.records)) if self.deltas is None else self.deltas
        packed = b"".join(one.pack(delta) for one, delta in zip(self.records, deltas, strict=True))
        if self.codec in CODECS:
            packed = CODECS[self.codec](packed)
        if self.payload is not None:
            packed = self.payload
        last = (deltas[-1] if deltas else 0) if self.last_delta is None else self.last_delta
        count = len(self.records) if self.count is None else self.count
        body = (
            struct.pack(
                ">hiqqqhii", self.attributes | self.codec, last, self.timestamp_ms,
                self.timestamp_ms + 9, self.producer_id, 0, 0, count,
            )
            + packed
        )  # fmt: skip
        crc = calc_crc32c(body) ^ (0xFFFF if self.wrong_crc else 0)
        rest = struct.pack(">ibI", 0, self.magic, crc) + body
        length = len(rest) if self.wrong_length is None else self.wrong_length
        return struct.pack(">qi", self.base, length) + rest

    def with_record(self, index: int, record: RawRecord) -> RawBatch:
        """Return the batch with one record replaced."""
        return replace(self, records=[*self.records[:index], record, *self.records[index + 1 :]])


def legacy(offset: int, value: bytes, key: bytes | None = b"k", magic: int = 1, codec: int = 0) -> bytes:
    """Return one message of magic 0 or 1."""

    def part(raw: bytes | None) -> bytes:
        return struct.pack(">i", -1) if raw is None else struct.pack(">i", len(raw)) + raw

    times = struct.pack(">q", 1_700_000_000_000) if magic else b""
    body = struct.pack(">bb", magic, codec) + times + part(key) + part(value)
    message = struct.pack(">I", zlib.crc32(body)) + body
    return struct.pack(">qi", offset, len(message)) + message


def plain(*values: bytes) -> list[RawRecord]:
    """Return valid records with these values."""
    return [RawRecord(value, key=b"k%d" % index) for index, value in enumerate(values)]


def produce_batches(bootstrap: str, topic: str, *batches: bytes, partition: int = 0) -> None:
    """Send batches as they are; return when the broker has appended them. Raises ``KafkaError``."""

    async def append(client: AIOKafkaClient, batch: bytes) -> int:
        request = ProduceRequest(None, -1, 10_000, [(topic, [(partition, batch)])])
        response = await client.send(1, request)  # the test broker's id
        ((_, ((_, code, *_),)),) = response.topics
        return int(code)

    async def send() -> None:
        client = AIOKafkaClient(bootstrap_servers=bootstrap)
        await client.bootstrap()
        try:
            await client.force_metadata_update()
            for batch in batches:
                while code := await append(client, batch):
                    if not for_code(code).retriable:  # a new topic has no leader yet
                        raise for_code(code)
                    await asyncio.sleep(0.1)
        finally:
            await client.close()

    with ThreadPoolExecutor(1) as own_thread:  # a loop of the test may run in this thread
        own_thread.submit(asyncio.run, send()).result(30)
