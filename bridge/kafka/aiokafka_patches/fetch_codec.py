"""Write fetch requests and read their responses with one call per partition, not one per field.

Upstream: no issue found. aiokafka 0.14 encodes and decodes every field of every partition by a function
call of its own: 11 to 19 µs per partition and fetch, with or without records. This one takes 2 to 3
(``tests/bench/fetched.py``). Other versions of the request than 11 are left to aiokafka. Remove this when
its codec is as fast.
``bridge/kafka/client.py`` imports this module, so every consumer of the product has the patch.

Layout: https://kafka.apache.org/protocol.html#The_Messages_Fetch
"""

from __future__ import annotations

from io import BytesIO
from struct import Struct
from typing import Any

import aiokafka.consumer.fetcher
from aiokafka.protocol.api import ResponseHeader_v0
from aiokafka.protocol.fetch import FetchRequest

_KEY, _VERSION = 1, 11
_CONSUMER, _NO_SESSION, _NO_EPOCH = -1, 0, -1
_HEADER = Struct(">hhih").pack
_BODY = Struct(">iiiibiii").pack
_SHORT, _LONG = Struct(">h"), Struct(">i")
_ASKED = Struct(">iiqqi").pack
_ANSWER, _ABORTED, _SIZE = Struct(">ihqqqi"), Struct(">qq"), Struct(">ii")
_RESPONSE = Struct(">ihii")
_BATCH_LENGTH_AT, _BATCH_MAGIC_AT, _BATCH_COUNT_AT = 8, 16, 57

Row = tuple[int, int, int, int, int, list[tuple[int, ...]], int, bytes | None]
"""Partition, error, high watermark, last stable offset, first offset, aborted transactions (producer and
first offset), preferred replica, record batches."""


class LeanFetchRequest(FetchRequest):  # type: ignore[misc] # aiokafka has no type information
    """A fetch request that is written by this module, if the broker has version 11."""

    def prepare(self, versions: dict[int, tuple[int, int]]) -> Any:
        """Return what goes over the wire, by the lowest and highest version that the broker has."""
        low, high = versions.get(_KEY, (0, 0))
        return FetchV11(self) if low <= _VERSION <= high else super().prepare(versions)


class FetchResponse:
    """The response to ``FetchV11``, with what aiokafka reads of it."""

    API_VERSION = _VERSION

    def __init__(self, topics: list[tuple[str, list[Row]]]) -> None:
        self.topics = topics

    @classmethod
    def decode(cls, stream: BytesIO) -> FetchResponse:
        """Read a response behind its header. Raises ``ValueError`` if it is cut off."""
        data, at = stream.getvalue(), stream.tell()
        _, _, _, count = _RESPONSE.unpack_from(data, at)
        at += _RESPONSE.size
        topics = []
        for _ in range(count):
            (length,) = _SHORT.unpack_from(data, at)
            name = data[at + 2 : at + 2 + length].decode()
            rows, at = _rows(data, at + 2 + length)
            topics.append((name, rows))
        return cls(topics)


def _rows(data: bytes, at: int) -> tuple[list[Row], int]:
    """Return the partitions of a topic, and where the next topic begins."""
    (count,) = _LONG.unpack_from(data, at)
    at += 4
    rows: list[Row] = []
    for _ in range(count):
        number, code, high, stable, first, transactions = _ANSWER.unpack_from(data, at)
        at += _ANSWER.size
        aborted: list[tuple[int, ...]] = []
        for _ in range(transactions):
            aborted.append(_ABORTED.unpack_from(data, at))
            at += _ABORTED.size
        replica, size = _SIZE.unpack_from(data, at)
        at += _SIZE.size
        batches = None
        if size >= 0:
            batches = data[at : at + size]
            if len(batches) != size:
                raise ValueError(f"the response ends {size - len(batches)} bytes too early")
            at += size
        rows.append((number, code, high, stable, first, aborted, replica, batches))
    return rows, at


def count_records(batches: bytes, most: int) -> int:
    """Return how many records the headers of these batches count, or ``most`` once it is reached.

    A message of an old broker counts as one, and so does a batch whose header is damaged.
    """
    at, found, end = 0, 0, len(batches) - _BATCH_COUNT_AT - 4
    while at <= end and found < most:
        (length,) = _LONG.unpack_from(batches, at + _BATCH_LENGTH_AT)
        count = (
            _LONG.unpack_from(batches, at + _BATCH_COUNT_AT)[0] if batches[at + _BATCH_MAGIC_AT] == 2 else 1
        )
        found += count if count > 0 else 1
        if length <= 0:
            break
        at += _BATCH_LENGTH_AT + 4 + length
    return min(found, most) if found else int(bool(batches))


class FetchV11:
    """A fetch request, version 11, as aiokafka's connection uses requests."""

    API_KEY, API_VERSION, RESPONSE_TYPE = _KEY, _VERSION, FetchResponse

    def __init__(self, request: LeanFetchRequest) -> None:
        self._request = request

    def build_request_header(self, correlation_id: int, client_id: str) -> _Header:
        """Return the header, which has ``encode``."""
        return _Header(correlation_id, client_id)

    def encode(self) -> bytes:
        """Return the body."""
        asked = self._request
        parts = [
            _BODY(
                _CONSUMER, asked._max_wait_ms, asked._min_bytes, asked._max_bytes, asked._isolation_level,
                _NO_SESSION, _NO_EPOCH, len(asked._topics),
            )
        ]  # fmt: skip
        for topic, rows in asked._topics:
            name = topic.encode()
            parts += (_SHORT.pack(len(name)), name, _LONG.pack(len(rows)))
            parts += [_ASKED(number, -1, offset, -1, most) for number, offset, most in rows]
        rack = asked._rack_id.encode()
        parts += (_LONG.pack(0), _SHORT.pack(len(rack)), rack)  # no partition is forgotten
        return b"".join(parts)

    def parse_response_header(self, stream: BytesIO) -> Any:
        """Read the header of the response."""
        return ResponseHeader_v0.decode(stream)


class _Header:
    def __init__(self, correlation_id: int, client_id: str) -> None:
        self._correlation_id = correlation_id
        self._client_id = client_id

    def encode(self) -> bytes:
        client = self._client_id.encode()
        return _HEADER(_KEY, _VERSION, self._correlation_id, len(client)) + client


aiokafka.consumer.fetcher.FetchRequest = LeanFetchRequest
