"""Ask for the coordinators and the offsets of many groups in one request each, as brokers since 3.0 can.

A thousand endpoints are a thousand groups, and a request for each of them costs the bridge and the broker
more than what it returns. aiokafka has neither version (KIP-699, KIP-709). Invariant: an older broker gets
no bytes: ``prepare`` raises ``NotImplementedError``, and the caller asks for one group at a time.

Layout: https://kafka.apache.org/protocol.html#The_Messages_FindCoordinator and …#The_Messages_OffsetFetch
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from io import BytesIO
from struct import Struct
from typing import Any

from aiokafka.client import CoordinationType
from aiokafka.protocol.api import RequestHeader_v2, ResponseHeader_v1
from aiokafka.protocol.commit import OffsetFetchRequest
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.types import UnsignedVarInt32

from bridge.kafka.offset_codec import Written

_COORDINATORS_VERSION, _OFFSETS_VERSION = 4, 8
_BYTE, _SHORT, _LONG = Struct(">b"), Struct(">h"), Struct(">i")
_COMMITTED = Struct(">iqi")
"""Partition, offset, and the epoch of the leader, which no cursor needs."""
_ROW_END = Struct(">hB")
"""The error of a row, and the number of its tags, which is below 128."""
_THROTTLE_BYTES = _LONG.size
_varint: Callable[[int], bytes] = UnsignedVarInt32.encode
_NO_TAGS, _NULL_LIST, _NOT_ONLY_STABLE = b"\0", b"\0", b"\0"

FetchedTopics = list[tuple[str, list[tuple[int, int, str | None, int]]]]
"""By topic, rows of partition, offset, metadata and error."""


class CoordinatorsRequest(FindCoordinatorRequest):  # type: ignore[misc] # aiokafka has no type information
    """Which broker coordinates each of these groups."""

    def __init__(self, groups: Collection[str]) -> None:
        self._groups = groups

    def prepare(self, versions: dict[int, tuple[int, int]]) -> Any:
        """Return what goes over the wire. Raises ``NotImplementedError`` for a broker before 3.0."""
        _require(versions, self.API_KEY, _COORDINATORS_VERSION)
        parts = [_BYTE.pack(CoordinationType.GROUP), _varint(len(self._groups) + 1)]
        parts += [_text(group) for group in self._groups]
        body = b"".join((*parts, _NO_TAGS))
        return _Written(self.API_KEY, body, CoordinatorsResponse)


class OffsetsRequest(OffsetFetchRequest):  # type: ignore[misc] # aiokafka has no type information
    """The offsets of several groups: of these partitions, given by topic, or of all with None."""

    def __init__(
        self, groups: Collection[str], partitions: Sequence[tuple[str, Sequence[int]]] | None
    ) -> None:
        self._groups = groups
        self._numbers = partitions

    def prepare(self, versions: dict[int, tuple[int, int]]) -> Any:
        """Return what goes over the wire. Raises ``NotImplementedError`` for a broker before 3.0."""
        _require(versions, self.API_KEY, _OFFSETS_VERSION)
        topics = self._topics()
        parts = [_varint(len(self._groups) + 1)]
        for group in self._groups:
            parts += (_text(group), topics, _NO_TAGS)
        body = b"".join((*parts, _NOT_ONLY_STABLE, _NO_TAGS))
        return _Written(self.API_KEY, body, OffsetsResponse)

    def _topics(self) -> bytes:
        """Return the list of topics and partitions, which is the same for each group."""
        if self._numbers is None:
            return _NULL_LIST
        parts = [_varint(len(self._numbers) + 1)]
        for topic, numbers in self._numbers:
            packed = Struct(f">{len(numbers)}i").pack(*numbers)
            parts += (_text(topic), _varint(len(numbers) + 1), packed, _NO_TAGS)
        return b"".join(parts)


class CoordinatorsResponse:
    """By group, the node id of its coordinator and an error code."""

    API_VERSION = _COORDINATORS_VERSION

    def __init__(self, nodes: dict[str, tuple[int, int]]) -> None:
        self.nodes = nodes

    @classmethod
    def decode(cls, stream: BytesIO) -> CoordinatorsResponse:
        """Read a response behind its header. Raises ``struct.error`` or ``ValueError`` if it is cut off."""
        read = _Reader(stream)
        nodes = {}
        for _ in range(read.count()):
            group, node = read.text(), read.number(_LONG)
            read.text()  # the host
            read.number(_LONG)  # the port
            nodes[group or ""] = (node, read.number(_SHORT))
            read.text()  # the error in words
            read.skip_tags()
        return cls(nodes)


class OffsetsResponse:
    """By group, its offsets, and an error code of the group as a whole; there are no topics then."""

    API_VERSION = _OFFSETS_VERSION

    def __init__(self, groups: dict[str, tuple[FetchedTopics, int]]) -> None:
        self.groups = groups

    @classmethod
    def decode(cls, stream: BytesIO) -> OffsetsResponse:
        """Read a response behind its header. Raises ``struct.error`` or ``ValueError`` if it is cut off."""
        read = _Reader(stream)
        groups = {}
        for _ in range(read.count()):
            group = read.text()
            topics: FetchedTopics = []
            for _ in range(read.count()):
                topic = read.text()
                topics.append((topic or "", read.rows()))
                read.skip_tags()
            groups[group or ""] = (topics, read.number(_SHORT))
            read.skip_tags()
        return cls(groups)


class _Reader:
    """Reads the flexible form of a response (KIP-482) from behind its throttle time on."""

    def __init__(self, stream: BytesIO) -> None:
        self._data = stream.getvalue()
        self._at = stream.tell() + _THROTTLE_BYTES

    def number(self, form: Struct) -> int:
        number: int = form.unpack_from(self._data, self._at)[0]
        self._at += form.size
        return number

    def count(self) -> int:
        """Return the length of a list; a null one has none."""
        return max(0, self._varint() - 1)

    def text(self) -> str | None:
        length = self._varint() - 1
        return None if length < 0 else self._bytes(length).decode()

    def rows(self) -> list[tuple[int, int, str | None, int]]:
        """Return rows of partition, offset, metadata and error."""
        rows, data = [], self._data
        for _ in range(self.count()):
            number, offset, _epoch = _COMMITTED.unpack_from(data, self._at)
            self._at += _COMMITTED.size
            length = self._varint() - 1
            end = self._at + max(0, length)
            text = None if length < 0 else data[self._at : end].decode()
            code, tags = _ROW_END.unpack_from(data, end)
            rows.append((number, offset, text, code))
            self._at = end + (_SHORT.size if tags else _ROW_END.size)
            if tags:
                self.skip_tags()
        return rows

    def skip_tags(self) -> None:
        for _ in range(self._varint()):
            self._varint()  # which tag
            self._bytes(self._varint())

    def _bytes(self, length: int) -> bytes:
        end = self._at + length
        if end > len(self._data):
            raise ValueError(f"the response ends {end - len(self._data)} bytes too early")
        data, self._at = self._data[self._at : end], end
        return data

    def _varint(self) -> int:
        value, self._at = _read_varint(self._data, self._at)
        return value


class _Written(Written):
    """A request with flexible headers."""

    request_header = RequestHeader_v2
    response_header = ResponseHeader_v1


def _require(versions: dict[int, tuple[int, int]], key: int, version: int) -> None:
    low, high = versions.get(key, (0, 0))
    if not low <= version <= high:
        raise NotImplementedError(f"the broker has versions {low} to {high} of request {key}, not {version}")


def _text(text: str) -> bytes:
    data = text.encode()
    return _varint(len(data) + 1) + data


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the number at ``at``, and where it ends. Raises ``ValueError`` if it is cut off."""
    value = shift = 0
    for index in range(at, len(data)):
        byte = data[index]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, index + 1
        shift += 7
    raise ValueError("the response ends within a number")
