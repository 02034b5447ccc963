"""Decide how much of the work above a committed offset a restart can skip: all that fits 4096 bytes.

Kafka stores one offset per partition, and a metadata string with it. The offset is the lowest
unsettled one. This package encodes what is settled above it into the string, and decodes it again.
Invariant: what does not fit is forgotten and delivered again; nothing unsettled is ever decoded as
settled.

The text is ``h1`` and the base64 of: CRC-32 (4 bytes, over the committed offset and the rest) · form
(1 byte) · length of the offsets (varint) · offsets · parts · failures. The CRC covers the committed
offset, so that a map is never applied to another position in the log. Offsets at and above ``end``
are unread. If the topic's id is known, the text is ``h2``, and the id (16 bytes) follows the CRC: a
commit for a topic that was deleted since is not one for its successor of the same name.

- The offsets (``offsets.py``) list what is open between the committed offset and ``end``.
- The parts (``extras.py``) are the settled events of records that hold several and are still open.
- The failures (``extras.py``) count the attempts of deliveries that wait for a retry. So "20
  attempts" means 20 in all, not 20 after every restart.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from bridge.core.completion_map.completion import NO_ANSWER, Completion, DamagedMapError, Failures
from bridge.core.completion_map.extras import decode_failures, decode_parts, encode_failures, encode_parts
from bridge.core.completion_map.offsets import decode_offsets, encode_offsets
from bridge.core.completion_map.varint import decode_varint, encode_varints
from bridge.model import Spot

__all__ = [
    "LIMIT_BYTES", "NO_ANSWER", "Completion", "DamagedMapError", "Encoded", "Failures", "decode", "encode",
    "topic_id_of",
]  # fmt: skip

_PREFIX = "h1"
_PREFIX_WITH_TOPIC = "h2"
_TOPIC_ID_BYTES = 16
"""A topic id of Kafka is a UUID (KIP-516)."""
LIMIT_BYTES = 4096
"""``offset.metadata.max.bytes`` of a broker with default settings: one byte more is error 12."""
_PARTS = 4
"""Flag of the form: a section with parts follows the offsets."""
_CRC_BYTES = 4


class Encoded(NamedTuple):
    """A completion map as text. ``fits`` is False if settled offsets had to be left out."""

    text: str
    fits: bool


def encode(
    offset: int,
    open_offsets: Sequence[int],
    end: int,
    failures: Mapping[Spot, Failures] | None = None,
    parts: Mapping[int, Collection[int]] | None = None,
    limit_bytes: int = LIMIT_BYTES,
    topic_id: str | None = None,
) -> Encoded:
    """Encode [offset, end) with its ascending open offsets, in at most ``limit_bytes``.

    ``offset`` must be the lowest open one, or equal to ``end``. Failures are left out first, then
    parts, then offsets from the far end. If there is nothing to store, the text is empty.
    ``topic_id``: as Kafka's tools print it, 22 characters of base64.
    """
    head = b"" if topic_id is None else _topic_bytes(topic_id)
    kept = list(open_offsets)
    while kept and kept[-1] == end - 1:
        end = kept.pop()
    room = _room_bytes(limit_bytes) - len(head)
    body = _offsets_section(offset, kept, max(end, offset))
    fits = len(body) <= room
    while len(body) > room and end > offset:
        end = offset + (end - offset) * 3 // 4
        kept = [open_offset for open_offset in kept if open_offset < end]
        body = _offsets_section(offset, kept, end)
    parts_section = encode_parts(offset, parts, room - len(body)) if parts else b""
    if parts_section:
        body[0] |= _PARTS
        body += parts_section
    failures_section = encode_failures(offset, failures, room - len(body)) if failures else b""
    if end <= offset and not parts_section and not failures_section and not head:
        return Encoded("", fits)
    body += failures_section
    body[:0] = head
    prefix = _PREFIX_WITH_TOPIC if head else _PREFIX
    return Encoded(prefix + base64.b64encode(_checksum(offset, body) + body).decode("ascii"), fits)


def decode(offset: int, text: str) -> Completion:
    """Return what ``encode`` stored for this committed offset. Raises ``DamagedMapError``."""
    if not text:
        return Completion(offset, offset)
    raw, start = _checked(offset, text)
    form = raw[start]
    offsets, at = _section(raw, start + 1)
    parts: dict[int, frozenset[int]] = {}
    if form & _PARTS:
        section, at = _section(raw, at)
        parts = decode_parts(offset, section)
    failures = decode_failures(offset, raw[at:])
    return decode_offsets(offset, form, offsets)._replace(failures=failures, parts=parts)


def topic_id_of(offset: int, text: str) -> str | None:
    """Return the id of the topic that a commit is for; None if the text does not contain it."""
    if not text.startswith(_PREFIX_WITH_TOPIC):
        return None
    try:
        raw, start = _checked(offset, text)
    except DamagedMapError:
        return None
    return base64.urlsafe_b64encode(raw[start - _TOPIC_ID_BYTES : start]).decode("ascii").rstrip("=")


def _checked(offset: int, text: str) -> tuple[bytes, int]:
    """Return the bytes of a text, and the index of the form in them. Raises ``DamagedMapError``."""
    prefix = text[: len(_PREFIX)]
    if prefix not in (_PREFIX, _PREFIX_WITH_TOPIC):
        raise DamagedMapError(
            f"it does not begin with {_PREFIX!r} or {_PREFIX_WITH_TOPIC!r}: another program or a newer"
            " release wrote it"
        )
    try:
        raw = base64.b64decode(text[len(prefix) :], validate=True)
    except (binascii.Error, ValueError) as exc:
        raise DamagedMapError("it is not base64") from exc
    start = _CRC_BYTES + (_TOPIC_ID_BYTES if prefix == _PREFIX_WITH_TOPIC else 0)
    if len(raw) <= start or raw[:_CRC_BYTES] != _checksum(offset, raw[_CRC_BYTES:]):
        raise DamagedMapError("its checksum does not match its offset and content")
    return raw, start


def _topic_bytes(topic_id: str) -> bytes:
    return base64.urlsafe_b64decode(topic_id + "==")


def _section(raw: bytes, at: int) -> tuple[bytes, int]:
    """Return the section whose length (varint) is at ``at``, and the index after it."""
    length, start = decode_varint(raw, at)
    return raw[start : start + length], start + length


def _room_bytes(limit_bytes: int) -> int:
    """Return the bytes of all sections that fit a text of ``limit_bytes``: base64 makes 4 of 3."""
    return (limit_bytes - len(_PREFIX)) // 4 * 3 - _CRC_BYTES


def _offsets_section(offset: int, open_offsets: Sequence[int], end: int) -> bytearray:
    form, data = encode_offsets(offset, open_offsets, end)
    return bytearray((form, *encode_varints([len(data)]), *data))


def _checksum(offset: int, body: bytes | bytearray) -> bytes:
    return zlib.crc32(body, zlib.crc32(offset.to_bytes(8, "big", signed=True))).to_bytes(_CRC_BYTES, "big")
