"""Separate the records of one batch (magic 2) when the client's parser refuses it. Pure, and slow.

Invariant: the pieces cover every offset of the batch, in order, each once. A piece is either a whole
record or a range of offsets whose records cannot be read, with the bytes that are there.

Layout: https://kafka.apache.org/documentation/#recordbatch
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

_SCAN_BYTES = 64 * 1024
"""How far to look for the next record: a position costs some microseconds of the event loop."""
_VARINT_BYTES = 10


class UnreadableError(ValueError):
    """Bytes that are no record; the text is the cause."""


class Content(NamedTuple):
    """The fields of one record. ``delta`` is its distance from the first offset of the batch."""

    delta: int
    timestamp_delta: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[bytes, bytes | None]]


class Piece(NamedTuple):
    """Offsets [first, end) of a batch, as distances from its first offset.

    ``content`` is None if the bytes are no record. ``cause`` is None for a record without fault.
    """

    first: int
    end: int
    content: Content | None
    raw: bytes
    cause: str | None


class _Parsed(NamedTuple):
    content: Content
    length_end: int
    """Where the record ends by its length field."""
    content_end: int
    """Where it ends by its contents."""


def separate(payload: bytes, count: int, last_delta: int, most_delta: int) -> Iterator[Piece]:
    """Yield the pieces of a batch from its uncompressed records.

    ``count`` and ``last_delta`` are those of its header. If they agree, the batch has no gaps and the
    number of a record is its offset; otherwise compaction removed records from it. ``most_delta`` is
    the last offset before the next batch, if that is known, else ``last_delta``. Raises
    ``UnreadableError`` after the last piece if there are more records than offsets.
    """
    no_gaps = count == last_delta + 1
    at = following = 0
    while at < len(payload) and following <= most_delta:
        parsed, cause = _sound(payload, at)
        if parsed is not None and following <= parsed.content.delta <= most_delta:
            delta = parsed.content.delta
            if not no_gaps or delta == following:
                yield Piece(delta, delta + 1, parsed.content, payload[at : parsed.content_end], None)
                at, following = parsed.content_end, delta + 1
                continue
        start, delta = _next_record(payload, at, following, max(last_delta, following))
        yield _damaged(payload[at:start], following, delta, parsed, cause)
        at, following = start, delta
    if following <= last_delta and (no_gaps or at < len(payload)):
        cause = "the batch ends before this record: its number of records is wrong"
        yield Piece(following, last_delta + 1, None, payload[at:], cause)
    elif at < len(payload):
        raise UnreadableError(f"{len(payload) - at} bytes follow its last record")


def _damaged(raw: bytes, first: int, end: int, parsed: _Parsed | None, cause: str) -> Piece:
    """Return the piece for bytes between two records; one whole record keeps its contents."""
    if parsed is not None and end == first + 1:
        wrong = parsed.content.delta
        content = parsed.content._replace(delta=first)
        return Piece(
            first, end, content, raw, f"its offset field is {wrong}, but its place in the batch is {first}"
        )
    return Piece(first, end, None, raw, cause or "the offset fields of these records are out of order")


def _sound(payload: bytes, at: int) -> tuple[_Parsed | None, str]:
    """Return the record at a position if its length and contents agree, else None and the cause."""
    try:
        parsed = _parse(payload, at)
    except UnreadableError as exc:
        return None, str(exc)
    if parsed.length_end != parsed.content_end:
        length, contents = parsed.length_end - at, parsed.content_end - at
        return None, f"its length field is wrong: {length} bytes, but its fields have {contents}"
    return parsed, ""


def _next_record(payload: bytes, at: int, following: int, last_delta: int) -> tuple[int, int]:
    """Return where the next readable record begins, and its delta; the end of the batch if there is none."""
    for candidate in _candidates(payload, at):
        if candidate == len(payload) and following == last_delta:
            break
        parsed, _ = _sound(payload, candidate)
        if parsed is not None and following < parsed.content.delta <= last_delta:
            return candidate, parsed.content.delta
    return len(payload), last_delta + 1


def _candidates(payload: bytes, at: int) -> Iterator[int]:
    """Yield where the next record may begin: by the length, by the contents, then anywhere after."""
    try:
        length, start = _varint(payload, at)
        if length >= 0 and start + length <= len(payload):
            yield start + length
        yield _parse(payload, at).content_end
    except UnreadableError:
        pass
    yield from range(at + 1, min(len(payload), at + _SCAN_BYTES))


def _parse(payload: bytes, at: int) -> _Parsed:
    """Read one record. Raises ``UnreadableError``."""
    length, start = _varint(payload, at)
    timestamp_delta, pos = _varint(payload, start + 1)  # after the attributes, which have no meaning yet
    delta, pos = _varint(payload, pos)
    key, pos = _bytes(payload, pos, "key")
    value, pos = _bytes(payload, pos, "value")
    count, pos = _varint(payload, pos)
    if not 0 <= count <= len(payload) - pos:
        raise UnreadableError(f"its number of headers is wrong: {count}")
    headers = []
    for _ in range(count):
        name, pos = _bytes(payload, pos, "header name")
        if name is None:
            raise UnreadableError("the name of a header is null")
        text, pos = _bytes(payload, pos, "header")
        headers.append((name, text))
    return _Parsed(Content(delta, timestamp_delta, key, value, headers), start + length, pos)


def _bytes(payload: bytes, at: int, what: str) -> tuple[bytes | None, int]:
    length, at = _varint(payload, at)
    if length < 0:  # null, as in Kafka's own clients
        return None, at
    if length > len(payload) - at:
        raise UnreadableError(f"the length of its {what} is wrong: {length}")
    return payload[at : at + length], at + length


def _varint(payload: bytes, at: int) -> tuple[int, int]:
    """Read a zigzag number; return it and the position after it."""
    raw = shift = 0
    for byte in payload[at : at + _VARINT_BYTES]:
        raw |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return (raw >> 1) ^ -(raw & 1), at + shift // 7
    raise UnreadableError("a field runs past the end of the batch")
