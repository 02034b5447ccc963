"""Step 2 of the path: decode a record into events. This module holds what all formats share.

A payload is decoded only when a filter or a body needs it. ``plain_json``, ``cloudevents``, ``fineract``,
``eventuate`` and ``debezium`` are one format each. ``payload_only`` decodes the formats whose value is only
the payload: ``event_reader`` finds the parts of the event, ``registry/framing`` reads the schema id.
``resent`` decodes records of the redrive topic. ``avro/`` holds the Avro decoder and its schemas.
"""

from __future__ import annotations

from collections.abc import Hashable
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Protocol
from zlib import crc32

import orjson

from bridge.core.ordering_key import MAX_PART, shorten
from bridge.errors import DecodeError, Tombstone
from bridge.model import Event, IdKind, Record

_HEX = b"0123456789abcdefABCDEF"
_SHAPES = bytes(byte if byte == ord("-") else ord("x") if byte in _HEX else 0 for byte in range(256))
_UUID = b"xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
"""A UUID's text with each digit replaced."""
_LONGEST_TENANT = 256
"""Characters of a tenant that is kept for the next webhook id: tenants come from outside."""
TYPE_BITS = 32
"""A digest's upper half is the type's, the lower one the data's."""
CHECK_PRODUCER = (
    "the record is damaged or was not written with the schema it names; check the producer of this topic"
)


class Decoder(Protocol):
    """A format, as the pipeline uses it. A record is never half decoded: all its events or an error.

    The format also decides whether a record with a null value is an event without data or a tombstone.
    """

    def decode(self, record: Record) -> tuple[Event, ...]:
        """Return the events of one record, in order.

        Raises ``DecodeError`` and nothing else; as a ``Tombstone`` if a null value contains no event.
        """
        ...


def require_value(record: Record, source: str, max_value_bytes: int) -> bytes:
    """Return the record's value if it is present and no larger than ``max_value_bytes``.

    Every decoder calls this first, because all work after it grows with the size. A decoder whose
    format has events without a value handles those before.
    Raises ``DecodeError``, and ``Tombstone`` for a null value.
    """
    value = record.value
    if value is None:
        raise Tombstone(record.place, source)
    if len(value) > max_value_bytes:
        raise DecodeError(
            record.place,
            f"the value has {len(value)} bytes; the limit is {max_value_bytes}",
            f"raise sources.{source}.max_value_bytes if such events are expected",
        )
    return value


def derive_lane(record: Record, entity: str | None, tenant: str | None) -> Hashable | None:
    """Return the ordering key: the record key, else the entity, else None (no ordering).

    Two tenants never share a lane: the same id names different entities.
    """
    part: bytes | str | None = record.key
    if part is None:
        part = entity
        if part is None:
            return None
    if len(part) > MAX_PART:
        part = shorten(part)
    return record.partition + (part, shorten(tenant) if tenant else "")  # noqa: RUF005  # half as many steps


def webhook_id(
    source: str, topic: str, tenant: str | None, id: str, index: int = 0, kind: IdKind = "text"
) -> str:
    """Return the id by which receivers drop duplicates: deterministic, at most 69 characters, without a dot.

    It is a hash of all that makes an event one: source, topic, tenant, id with its JSON type, and number in
    the record. A UUID precedes the hash, so that people can find it in the producer's tables. The signed
    text is joined with dots (Standard Webhooks), and ids may be long, so no other id is kept. The lengths
    come before the parts, so that no two different events are hashed as the same text.
    """
    size = len(id)
    if index or (tenant and len(tenant) > _LONGEST_TENANT):
        hashed = _before_id.__wrapped__(source, topic, tenant, size, index, kind)
    else:
        hashed = _before_id(source, topic, tenant, size, index, kind).copy()
    encoded = id.encode("utf-8", "surrogatepass")
    hashed.update(encoded)
    known = id.lower() if size == 36 and encoded.translate(_SHAPES) == _UUID else "evt"
    return f"{known}_{hashed.hexdigest()}"


@lru_cache(maxsize=1024)
def _before_id(source: str, topic: str, tenant: str | None, size: int, index: int, kind: IdKind) -> blake2b:
    """Return the hash of what precedes an id of this size in the text of a webhook id."""
    tenant_length = -1 if tenant is None else len(tenant)
    sizes = f"{len(source)},{len(topic)},{tenant_length},{size},{index},{kind}:"
    text = f"{sizes}{source}{topic}{tenant or ''}"
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16)


def digest_of_bytes(type: str, data: bytes) -> int:
    """Return a checksum of what a receiver gets of an event: its type, and its data compared as bytes.

    What an envelope adds, such as the time of publication, is left out. It fits a signed 64-bit integer.
    """
    return _of_type(type) | crc32(data)


def digest_of_document(type: str, document: Any) -> int:
    """Return the digest of an event with parsed data; the order of keys and white space do not count.

    0, which equals nothing, if the data cannot be written as JSON.
    """
    try:
        return _of_type(type) | crc32(orjson.dumps(document, str, orjson.OPT_SORT_KEYS))
    except (orjson.JSONEncodeError, RecursionError):
        return 0


@lru_cache(maxsize=4096)
def _of_type(type: str) -> int:
    return (crc32(type.encode("utf-8", "surrogatepass")) >> 1) << TYPE_BITS
