"""Step 2 of the path: decode a record into events. This module holds what all formats share.

A payload is decoded only when a filter or a body needs it. ``plain_json``, ``cloudevents``, ``fineract``,
``eventuate`` and ``debezium`` are one format each. ``payload_only`` decodes the formats whose value is only
the payload: ``field_paths`` finds the parts of the event, ``registry/framing`` reads the schema id.
``resent`` decodes records of the redrive topic. ``avro/`` holds the Avro decoder and its schemas.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from hashlib import blake2b
from typing import Protocol

from bridge.core.ordering_key import MAX_PART, shorten
from bridge.errors import DecodeError
from bridge.model import Event, Record

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
CHECK_PRODUCER = (
    "the record is damaged or was not written with the schema it names; check the producer of this topic"
)


class Decoder(Protocol):
    """A format, as the pipeline uses it. A record is never half decoded: all its events or an error."""

    def decode(self, record: Record) -> tuple[Event, ...]:
        """Return the events of one record, in order. Raises ``DecodeError`` and nothing else."""
        ...


def require_value(record: Record, source: str, max_value_bytes: int) -> bytes:
    """Return the record's value if it is present and no larger than ``max_value_bytes``.

    Every decoder calls this first, because all work after it grows with the size.
    Raises ``DecodeError``.
    """
    value = record.value
    if value is None:
        raise DecodeError(
            record.place,
            "the record has no value (a tombstone)",
            "a tombstone holds no event; do not write tombstones to this topic",
        )
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
    topic, number = record.partition
    part = entity if record.key is None else record.key
    if part is None:
        return None
    if len(part) > MAX_PART:
        part = shorten(part)
    return topic, number, part, "" if not tenant else shorten(tenant)


def webhook_id(source: str, tenant: str | None, id: str, index: int) -> str:
    """Return the id by which receivers drop duplicates: deterministic, 36 characters, without a dot.

    A UUID is kept, so that people can find it in the producer's tables. Any other id is hashed: the
    signed text is joined with dots (Standard Webhooks), and ids may be long. The lengths come before
    the parts, so that no two different tuples are hashed as the same text.
    """
    if index == 0 and len(id) == 36 and _UUID.fullmatch(lowered := id.lower()):
        return lowered
    tenant_length = -1 if tenant is None else len(tenant)
    text = f"{len(source)},{tenant_length},{len(id)},{index}:{source}{tenant or ''}{id}"
    return "evt_" + blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
