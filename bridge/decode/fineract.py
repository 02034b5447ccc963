"""Apache Fineract's external events: an envelope, and in it a payload of any of a hundred types.

A format of step 2. Takes a record, gives one event. Rule floor, pure. Both are in Avro
single-object encoding; the envelope is read at once by hand, since it never changes and every
record needs it; the payload waits until a filter or a template asks for it.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

from bridge.decode import checked_value, lane_of, webhook_id
from bridge.decode.careful import HostileBytes, read_long
from bridge.decode.instant import from_millis, from_text
from bridge.decode.schema_set import SchemaSet
from bridge.decode.single_object import HEADER_BYTES, MARKER, read, writer_schema
from bridge.errors import DecodeError
from bridge.model import Event, Record

ENVELOPE_HEADERS = (
    bytes.fromhex("c3011fd07bcc226c7826"),  # id is an int: releases up to 1.10.1
    bytes.fromhex("c301c11abf2966626748"),  # id is a long: since January 2025; encoded the same
)
BULK = "org.apache.fineract.avro.BulkMessagePayloadV1"

_NO_AGGREGATE = b"\xff" * 8
_DAMAGED = "the record is damaged or was not written by Fineract; look at what writes to this topic"


class Envelope(NamedTuple):
    """``org.apache.fineract.avro.MessageV1``, in the order of the wire."""

    id: int
    source: str
    type: str
    category: str
    created_at: str
    business_date: str
    tenant_id: str
    idempotency_key: str
    dataschema: str
    data: bytes


class FineractDecoder:
    """Reads Fineract's records; the writer's schema is chosen by fingerprint, never by name.

    A V1 schema changes in place, and with a wrong layout bytes decode into shifted fields without
    an error; so an unknown fingerprint is an error and a similar schema never stands in.
    """

    def __init__(self, source: str, schemas: SchemaSet, *, max_value_bytes: int) -> None:
        self._source = source
        self._schemas = schemas
        self._max_value_bytes = max_value_bytes

    def decode(self, record: Record) -> tuple[Event, ...]:
        """One event; a bulk record is one event too. Raises ``DecodeError``."""
        value = checked_value(record, self._source, self._max_value_bytes)
        try:
            envelope = read_envelope(value)
        except HostileBytes as exc:
            raise DecodeError(record.place, f"Fineract's envelope: {exc}", _DAMAGED) from exc
        return (self._event(record, envelope),)

    def _event(self, record: Record, envelope: Envelope) -> Event:
        id_, tenant, key = envelope.idempotency_key, envelope.tenant_id, record.key
        if not id_ or not envelope.type:
            name = "type" if id_ else "idempotencyKey"
            raise DecodeError(record.place, f"Fineract's envelope: {name} is empty", _DAMAGED)
        time = from_text(envelope.created_at) if envelope.created_at else from_millis(record.timestamp_ms)
        if time is None:
            raise DecodeError(record.place, "Fineract's envelope: createdAt is not a date and time", _DAMAGED)
        ordered = key is not None and key != _NO_AGGREGATE
        aggregate = key if ordered and key and len(key) == 8 else None
        return Event(
            record=record,
            source=self._source,
            id=id_,
            type=envelope.type,
            time=time,
            entity=None if aggregate is None else str(int.from_bytes(aggregate, "big", signed=True)),
            tenant=tenant,
            lane=lane_of(record, None, tenant) if ordered else None,
            decode_payload=partial(self._payload, record, envelope.data, envelope.dataschema),
            context={
                "category": envelope.category,
                "businessDate": envelope.business_date,
                "dataschema": envelope.dataschema,
                "id": str(envelope.id),
                "source": envelope.source,
            },
            webhook_id=webhook_id(self._source, tenant, id_, 0),
        )

    def _payload(self, record: Record, data: bytes, dataschema: str) -> Any:
        place = record.place
        schema = writer_schema(data, self._schemas, place, dataschema, self._source)
        payload = read(data, schema, place)
        if schema.name == BULK:
            for number, item in enumerate(payload["datas"]):
                item["data"] = self._item(f"{place} datas[{number}]", item["data"])
        return payload

    def _item(self, place: str, data: bytes) -> Any:
        """Decode an item of a bulk event; it stays bytes when its schema is not known. Never bulk again."""
        schema = self._schemas.by_fingerprint.get(data[2:HEADER_BYTES])
        if schema is None or data[:2] != MARKER:
            return data
        return read(data, schema, place)


def read_envelope(value: bytes) -> Envelope:
    """Read the fields of the envelope. Raises ``HostileBytes``.

    Written out for speed: nearly every length is one byte. Slices never fail and the position only grows,
    so one comparison at the end finds every length that went too far.
    """
    if value[:HEADER_BYTES] not in ENVELOPE_HEADERS:
        raise HostileBytes(_not_an_envelope(value))
    number, at = read_long(value, HEADER_BYTES)
    parts: list[bytes] = []
    try:
        for _ in range(9):
            length = value[at]
            if length & 0x81:  # two bytes or more, or negative
                length, at = read_long(value, at)
                if length < 0:
                    raise HostileBytes(f"a length of {length} bytes")
            else:
                length >>= 1
                at += 1
            end = at + length
            parts.append(value[at:end])
            at = end
    except IndexError:
        raise HostileBytes("the bytes end inside it") from None
    if at != len(value):
        raise HostileBytes(
            "the bytes end inside it" if at > len(value) else f"bytes behind it: {len(value) - at}"
        )
    data = parts.pop()
    try:
        return Envelope(number, *map(bytes.decode, parts), data)  # type: ignore[call-arg, arg-type]
    except UnicodeDecodeError as exc:
        raise HostileBytes(f"a text is not UTF-8 ({exc.reason})") from exc


def _not_an_envelope(value: bytes) -> str:
    """Say what the first bytes look like instead, so that the operator need not find out."""
    if value[:2] == MARKER:
        return f"its fingerprint {value[2:HEADER_BYTES].hex()} is not one of MessageV1"
    if value[:1] == b"\0":
        return "the first byte is 0, as in the formats of schema registries, not c301"
    if value[:1] in (b"{", b"["):
        return "the value looks like JSON, not like Avro (c301)"
    return f"the value begins with {value[:2].hex() or 'nothing'}, not with c301"
