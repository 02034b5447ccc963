"""Commit and read offsets with one call per partition on the wire, not one per field.

aiokafka encodes and decodes every field of every partition by a function call of its own, as
``fetch_codec`` says of fetches. A thousand endpoints read and write the offsets of all partitions at the
start. Invariant: the bytes are those of version 3 of both requests, which every broker since 0.11 has; an
older one gets aiokafka's.

Layout: https://kafka.apache.org/protocol.html#The_Messages_OffsetCommit and …#The_Messages_OffsetFetch
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from struct import Struct
from typing import Any, TypeVar

from aiokafka.protocol.api import RequestHeader_v1, ResponseHeader_v0
from aiokafka.protocol.commit import OffsetCommitRequest, OffsetFetchRequest

_VERSION = 3
_SHORT, _LONG = Struct(">h"), Struct(">i")
_NULL_LIST = _LONG.pack(-1)
_RETENTION = Struct(">q").pack
_COMMITTED, _ACCEPTED = Struct(">iqh"), Struct(">ih")
_Row = TypeVar("_Row")


class LeanOffsetCommit(OffsetCommitRequest):  # type: ignore[misc] # aiokafka has no type information
    """A commit that is written by this module, if the broker has version 3."""

    def prepare(self, versions: dict[int, tuple[int, int]]) -> Any:
        """Return what goes over the wire, by the lowest and highest version that the broker has."""
        low, high = versions.get(self.API_KEY, (0, 0))
        if not low <= _VERSION <= high:
            return super().prepare(versions)
        parts = [
            _text(self._consumer_group),
            _LONG.pack(self._consumer_group_generation_id),
            _text(self._consumer_id),
            _RETENTION(self._retention_time),
            _LONG.pack(len(self._topics)),
        ]
        for topic, rows in self._topics:
            parts += (_text(topic), _LONG.pack(len(rows)))
            for number, offset, text in rows:
                note = text.encode()
                parts += (_COMMITTED.pack(number, offset, len(note)), note)
        return Written(self.API_KEY, b"".join(parts), CommitResponse)


class LeanOffsetFetch(OffsetFetchRequest):  # type: ignore[misc] # aiokafka has no type information
    """A request for offsets that is written by this module, if the broker has version 3."""

    def prepare(self, versions: dict[int, tuple[int, int]]) -> Any:
        """Return what goes over the wire, by the lowest and highest version that the broker has."""
        low, high = versions.get(self.API_KEY, (0, 0))
        if not low <= _VERSION <= high:
            return super().prepare(versions)
        parts = [_text(self._consumer_group)]
        if self._partitions is None:
            parts.append(_NULL_LIST)
        else:
            parts.append(_LONG.pack(len(self._partitions)))
            for topic, numbers in self._partitions:
                parts += (_text(topic), Struct(f">i{len(numbers)}i").pack(len(numbers), *numbers))
        return Written(self.API_KEY, b"".join(parts), FetchedResponse)


class CommitResponse:
    """The response to a commit: by topic, pairs of partition and error."""

    API_VERSION = _VERSION

    def __init__(self, topics: list[tuple[str, list[tuple[int, ...]]]]) -> None:
        self.topics = topics

    @classmethod
    def decode(cls, stream: BytesIO) -> CommitResponse:
        """Read a response behind its header. Raises ``struct.error`` or ``ValueError`` if it is cut off."""
        return cls(_topics(stream.getvalue(), stream.tell() + _LONG.size, _accepted)[0])


class FetchedResponse:
    """The response with offsets: by topic, rows of partition, offset, metadata and error.

    ``error_code`` is about the whole group; there are no topics then.
    """

    API_VERSION = _VERSION

    def __init__(self, topics: list[tuple[str, list[tuple[int, int, str | None, int]]]], code: int) -> None:
        self.topics = topics
        self.error_code = code

    @classmethod
    def decode(cls, stream: BytesIO) -> FetchedResponse:
        """Read a response behind its header. Raises ``struct.error`` if it is cut off."""
        data = stream.getvalue()
        topics, at = _topics(data, stream.tell() + _LONG.size, _fetched)
        return cls(topics, _SHORT.unpack_from(data, at)[0])


class Written:
    """A request that is written, as aiokafka's connection uses requests.

    ``response`` is the class of its response, of the same version.
    """

    request_header: Any = RequestHeader_v1
    response_header: Any = ResponseHeader_v0

    def __init__(self, key: int, body: bytes, response: Any) -> None:
        self.API_KEY = key
        self.API_VERSION = response.API_VERSION
        self.RESPONSE_TYPE = response
        self._body = body

    def build_request_header(self, correlation_id: int, client_id: str) -> Any:
        """Return the header, which has ``encode``."""
        return self.request_header(self, correlation_id=correlation_id, client_id=client_id)

    def encode(self) -> bytes:
        """Return the body."""
        return self._body

    def parse_response_header(self, stream: BytesIO) -> Any:
        """Read the header of the response."""
        return self.response_header.decode(stream)


def _text(text: str) -> bytes:
    data = text.encode()
    return _SHORT.pack(len(data)) + data


def _topics(
    data: bytes, at: int, rows: Callable[[bytes, int, int], tuple[list[_Row], int]]
) -> tuple[list[tuple[str, list[_Row]]], int]:
    """Return the topics from ``at`` on, and where they end. ``rows`` reads those of one topic."""
    (count,) = _LONG.unpack_from(data, at)
    at += _LONG.size
    topics = []
    for _ in range(count):
        (length,) = _SHORT.unpack_from(data, at)
        at += _SHORT.size
        name, at = data[at : at + length].decode(), at + length
        (number,) = _LONG.unpack_from(data, at)
        of_topic, at = rows(data, at + _LONG.size, number)
        topics.append((name, of_topic))
    return topics, at


def _accepted(data: bytes, at: int, count: int) -> tuple[list[tuple[int, ...]], int]:
    end = at + count * _ACCEPTED.size
    if len(data) < end:
        raise ValueError(f"the response ends {end - len(data)} bytes too early")
    return list(_ACCEPTED.iter_unpack(data[at:end])), end


def _fetched(data: bytes, at: int, count: int) -> tuple[list[tuple[int, int, str | None, int]], int]:
    rows = []
    for _ in range(count):
        number, offset, length = _COMMITTED.unpack_from(data, at)
        at += _COMMITTED.size
        text = None
        if length >= 0:
            text, at = data[at : at + length].decode(), at + length
        (code,) = _SHORT.unpack_from(data, at)
        at += _SHORT.size
        rows.append((number, offset, text, code))
    return rows, at
