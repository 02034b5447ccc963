"""Decode Apache Fineract's external events: an envelope with a payload of any of a hundred types.

Both are in Avro single-object encoding. The envelope is read immediately by hand-written code, because
it never changes and every record needs it. The payload is decoded only when a filter or a body needs it, and
only the fields that some endpoint reads.
A bulk record (``bulk``) contains several events.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial
from typing import Any, NamedTuple

from bridge.errors import DecodeError
from bridge.formats import derive_lane, digest_of_bytes, require_value, webhook_id
from bridge.formats.avro.bounds import MalformedBytes, read_long
from bridge.formats.avro.partial import PartPlan
from bridge.formats.avro.schema_set import Schema, SchemaSet
from bridge.formats.avro.single_object import HEADER_BYTES, MARKER, read, writer_schema
from bridge.formats.event_time import EventTimes
from bridge.formats.fineract.bulk import BULK, BULK_HEADERS, MAX_ITEMS, Item, read_items
from bridge.formats.lazy_payload import LazyPayload, PayloadAgain
from bridge.formats.non_finite import Mode, replace_non_finite
from bridge.model import WHOLE, Event, FieldSet, Record

ENVELOPE_HEADERS = (
    bytes.fromhex("c3011fd07bcc226c7826"),  # id is an int: releases up to 1.10.1
    bytes.fromhex("c301c11abf2966626748"),  # id is a long: since January 2025; the encoding is the same
)

_NO_AGGREGATE = b"\xff" * 8
_CHECK_PRODUCER = "the record is damaged or was not written by Fineract; check the producer of this topic"


class Envelope(NamedTuple):
    """``org.apache.fineract.avro.MessageV1``, in wire order."""

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
    """Decodes Fineract's records; the writer's schema is chosen by fingerprint, never by name.

    Fineract changes V1 schemas in place, and with a wrong layout bytes decode into shifted fields without
    an error. So an unknown fingerprint is an error, and a similar schema is never used instead.
    With ``split_bulk`` a bulk record becomes one event per item, in order, in the lane of the aggregate,
    with its own type and payload and an id derived from the record's. Without it the record is one event.
    """

    def __init__(
        self,
        source: str,
        schemas: SchemaSet,
        *,
        max_value_bytes: int,
        split_bulk: bool = True,
        non_finite: Mode = "park",
        asked: Callable[[str], FieldSet] = lambda type_: WHOLE,
    ) -> None:
        """``asked`` returns the fields of a payload that endpoints ask for, by event type."""
        self._source = source
        self._schemas = schemas
        self._max_value_bytes = max_value_bytes
        self._split_bulk = split_bulk
        self._non_finite: Mode = non_finite
        self._asked = asked
        self._parts: dict[tuple[bytes, FieldSet], PartPlan] = {}
        self._times = EventTimes()

    def decode(self, record: Record) -> tuple[Event, ...]:
        """Return one event, or the events of a bulk record. Raises ``DecodeError``."""
        value = require_value(record, self._source, self._max_value_bytes)
        try:
            envelope = read_envelope(value)
        except MalformedBytes as exc:
            raise DecodeError(record.place, f"Fineract's envelope: {exc}", _CHECK_PRODUCER) from exc
        is_bulk = _is_bulk(envelope)
        event = self._event(record, envelope, is_bulk)
        if is_bulk and self._split_bulk:
            return tuple(self._items(event, envelope))
        return (event,)

    def _event(self, record: Record, envelope: Envelope, is_bulk: bool) -> Event:
        id_, tenant, key = envelope.idempotency_key, envelope.tenant_id, record.key
        if not id_ or not envelope.type:
            name = "type" if id_ else "idempotencyKey"
            raise DecodeError(record.place, f"Fineract's envelope: {name} is empty", _CHECK_PRODUCER)
        time, time_source, refused = self._times.read(record, envelope.created_at or None)
        ordered = key is not None and key != _NO_AGGREGATE
        aggregate = key if ordered and key and len(key) == 8 else None
        return Event(  # by position: by name it takes longer
            record,
            self._source,
            id_,
            envelope.type,
            time,
            None if aggregate is None else str(int.from_bytes(aggregate, "big", signed=True)),
            tenant,
            derive_lane(record, None, tenant) if ordered else None,
            self._payload(record.place, envelope, is_bulk),
            {
                "category": envelope.category,
                "businessDate": envelope.business_date,
                "dataschema": envelope.dataschema,
                "id": str(envelope.id),
                "source": envelope.source,
            },
            0,
            webhook_id(self._source, record.partition.topic, tenant, id_),
            None,
            None,
            "text",
            time_source,
            digest_of_bytes(envelope.type, envelope.data),
            refused,
            PayloadAgain(partial(self._payload_again, record)),
        )

    def _items(self, bulk: Event, envelope: Envelope) -> list[Event]:
        """Return the events of a bulk record; without an aggregate they share a lane of their own."""
        record, events = bulk.record, list[Event]()
        lane: Hashable = (*record.partition, record.offset, "bulk") if bulk.lane is None else bulk.lane
        for number, item in enumerate(self._read_bulk(record.place, envelope), start=1):
            place = f"{record.place} item {number}"
            if not item.type:
                raise DecodeError(place, "the item's type is empty", _CHECK_PRODUCER)
            id_ = f"{bulk.id}:{item.id}"
            read = partial(self._read, place, item.data, item.dataschema)
            payload = partial(LazyPayload, read, self._asked, item.type)
            events.append(
                Event(
                    record=record,
                    source=self._source,
                    id=id_,
                    type=item.type,
                    time=bulk.time,
                    entity=bulk.entity,
                    tenant=bulk.tenant,
                    lane=lane,
                    payload=payload(),
                    context={**bulk.context, "category": item.category, "dataschema": item.dataschema},
                    index=number,
                    webhook_id=webhook_id(self._source, record.partition.topic, bulk.tenant, id_, number),
                    time_source=bulk.time_source,
                    digest=digest_of_bytes(item.type, item.data),
                    refused=bulk.refused,
                    decode_again=PayloadAgain(payload),
                    first=events[0] if events else None,
                )
            )
        return events

    def _payload_again(self, record: Record) -> LazyPayload:
        envelope = read_envelope(record.value or b"")
        return self._payload(record.place, envelope, _is_bulk(envelope))

    def _payload(self, place: str, envelope: Envelope, is_bulk: bool) -> LazyPayload:
        if is_bulk:
            return LazyPayload(partial(self._read_all, place, envelope), lambda type_: WHOLE, envelope.type)
        read = partial(self._read, place, envelope.data, envelope.dataschema)
        return LazyPayload(read, self._asked, envelope.type)

    def _read_all(self, place: str, envelope: Envelope, _: FieldSet) -> Any:
        """Return the payloads of all items of a bulk record."""
        return {
            "datas": [
                item._asdict() | {"data": self._read(f"{place} item {number}", item.data, item.dataschema)}
                for number, item in enumerate(self._read_bulk(place, envelope), start=1)
            ]
        }

    def _read(self, place: str, data: bytes, dataschema: str, paths: FieldSet = WHOLE) -> Any:
        """Decode at least these paths. Raises ``DecodeError``, the same for any paths."""
        schema = writer_schema(data, self._schemas, place, dataschema, self._source)
        if () not in paths:
            try:
                return self._part(schema, paths).read(data, HEADER_BYTES)
            except MalformedBytes:  # decode everything: that decides, and finds the cause
                pass
        document = read(data, schema, place)
        if schema.plan.has_fractions:
            return replace_non_finite(document, self._non_finite, place)
        return document

    def _part(self, schema: Schema, paths: FieldSet) -> PartPlan:
        plan = self._parts.get((schema.fingerprint, paths))
        if plan is None:
            plan = self._parts[schema.fingerprint, paths] = PartPlan(schema.plan, paths)
        return plan

    def _read_bulk(self, place: str, envelope: Envelope) -> list[Item]:
        """Read the items, in a layout that this release contains or that was imported."""
        data = envelope.data
        try:
            if data[:HEADER_BYTES] in BULK_HEADERS:
                return read_items(data)
            items = self._read(place, data, BULK)["datas"]
            if len(items) > MAX_ITEMS:
                raise MalformedBytes(f"{len(items)} items; the limit is {MAX_ITEMS}")
            return [_imported_item(fields) for fields in items]
        except (MalformedBytes, KeyError, TypeError) as exc:
            raise DecodeError(place, f"{BULK}: {exc}", _CHECK_PRODUCER) from exc


def _imported_item(fields: Any) -> Item:
    item = Item(*(fields[name] for name in Item._fields))
    if not isinstance(item.data, bytes) or not all(isinstance(text, str) for text in item[1:4]):
        raise TypeError("an item has a field of the wrong type")
    return item


def _is_bulk(envelope: Envelope) -> bool:
    return envelope.dataschema == BULK or envelope.data[:HEADER_BYTES] in BULK_HEADERS


def read_envelope(value: bytes) -> Envelope:
    """Read the fields of the envelope. Raises ``MalformedBytes``.

    Inlined for speed: nearly every length is one byte. Slices never fail and the position only grows, so
    one comparison at the end detects every length that is too large.
    """
    if value[:HEADER_BYTES] not in ENVELOPE_HEADERS:
        raise MalformedBytes(_not_an_envelope(value))
    number, at = read_long(value, HEADER_BYTES)
    parts: list[bytes] = []
    add = parts.append
    try:
        for _ in range(9):
            length, start = value[at], at + 1
            if length & 0x81:  # two bytes or more, or negative
                length, start = read_long(value, at)
                if length < 0:
                    raise MalformedBytes(f"a length of {length} bytes")
                at = start + length
            else:
                at = start + (length >> 1)
            add(value[start:at])
    except IndexError:
        raise MalformedBytes("the bytes end inside it") from None
    if at != len(value):
        raise MalformedBytes(
            "the bytes end inside it"
            if at > len(value)
            else f"{len(value) - at} bytes are left over after it"
        )
    data = parts.pop()
    try:
        return Envelope._make((number, *map(bytes.decode, parts), data))
    except UnicodeDecodeError as exc:
        raise MalformedBytes(f"a text is not UTF-8 ({exc.reason})") from exc


def _not_an_envelope(value: bytes) -> str:
    """Describe what the first bytes are instead, to save the operator the analysis."""
    if value[:2] == MARKER:
        return f"its fingerprint {value[2:HEADER_BYTES].hex()} is not a fingerprint of MessageV1"
    if value[:1] == b"\0":
        return "the value begins with 00, as with a schema registry, not with c301"
    if value[:1] in (b"{", b"["):
        return "the value looks like JSON, not Avro (c301)"
    return f"the value begins with {value[:2].hex() or 'nothing'}, not with c301"
