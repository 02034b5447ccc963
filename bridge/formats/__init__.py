"""Step 2 of the path: a record becomes events.

Takes a ``Record``, gives its ``Event`` objects with the payload still undecoded. Rule floor, pure. Here
stands what every format shares; formats have files of their own: ``plain_json``, ``cloudevents``,
``fineract``, ``eventuate``, ``debezium``, and ``placed`` for the rest, where ``places`` says what to find in
a value and ``framing`` where its schema is named; ``again`` is what is sent again. Below ``fineract`` lie
``single_object`` (the Avro framing), ``schema_set`` (writers' schemas by fingerprint), ``definitions``
(schema files to schemas), ``avro_plan`` (the values) and ``careful`` (hostile bytes).
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from hashlib import blake2b
from typing import Protocol

from bridge.core.ordering_key import shorten
from bridge.errors import DecodeError
from bridge.model import Event, Record

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class Decoder(Protocol):
    """What the pipeline knows of a format. A record is never half decoded: all events or an error."""

    def decode(self, record: Record) -> tuple[Event, ...]:
        """Return the events of one record, in order. Raises ``DecodeError`` and nothing else."""
        ...


def checked_value(record: Record, source: str, max_value_bytes: int) -> bytes:
    """Return the record's value, once it is known to be there and no larger than allowed.

    The first thing every decoder asks, because all work after it grows with the size.
    Raises ``DecodeError``.
    """
    value = record.value
    if value is None:
        raise DecodeError(
            record.place, "the record has no value (a tombstone)", "tombstones carry no event: leave them out"
        )
    if len(value) > max_value_bytes:
        raise DecodeError(
            record.place,
            f"the value has {len(value)} bytes, the limit is {max_value_bytes}",
            f"raise sources.{source}.max_value_bytes if such events are expected",
        )
    return value


def lane_of(record: Record, entity: str | None, tenant: str | None) -> Hashable | None:
    """Return the ordering key: the record key, else the entity, else None (no order asked for).

    Two tenants never share a lane: their ids mean different things.
    """
    topic, number = record.partition
    part = entity if record.key is None else record.key
    return None if part is None else (topic, number, shorten(part), shorten(tenant or ""))


def webhook_id(source: str, tenant: str | None, id: str, index: int) -> str:
    """Return the id a receiver drops duplicates by: the same on every run, 36 characters, never a dot.

    A UUID stays itself, so that people find it in the producer's tables; anything else is hashed,
    since the signature's text is joined with dots (Standard Webhooks) and ids may be long. Lengths stand
    before the parts, so that no two different tuples are hashed as the same text.
    """
    if index == 0 and len(id) == 36 and _UUID.fullmatch(lowered := id.lower()):
        return lowered
    tenant_length = -1 if tenant is None else len(tenant)
    text = f"{len(source)},{tenant_length},{len(id)},{index}:{source}{tenant or ''}{id}"
    return "evt_" + blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
