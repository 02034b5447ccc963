"""An event that waits keeps its record and nothing that was decoded from the data, in every format."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from itertools import repeat
from types import FunctionType
from typing import Any

import pytest

from bridge.demo.fineract_wire import encode_envelope, encode_single_object
from bridge.formats import Decoder
from bridge.formats.avro.schema import avro_schema
from bridge.formats.cloudevents import CloudEventsDecoder
from bridge.formats.debezium import DebeziumDecoder
from bridge.formats.event_reader import EventReader
from bridge.formats.eventuate import EventuateDecoder
from bridge.formats.field_paths import FieldPaths
from bridge.formats.fineract import FineractDecoder
from bridge.formats.fineract.bulk import BULK, Item
from bridge.formats.payload_only import AvroValueReader, JsonValueReader, PayloadDecoder
from bridge.formats.plain_json import PlainJsonDecoder
from bridge.model import Event, Header, Record
from bridge.rendering import standard_body
from tests.support.fineract_bulk import encode_bulk
from tests.support.fineract_records import DEMO, LOAN, VALUE, envelope
from tests.support.records import record

MARK = "a text that only the data contains"
DATA = {"lines": [{"text": MARK, "quantity": 2}]}
LIMIT = 1_000_000
ROUTER = FieldPaths("header:id", "header:eventType", "record:key")
ID = (("id", b"1"), ("eventType", b"Paid"))
TEXT = avro_schema(
    {"type": "record", "name": "Paid", "fields": [{"name": "text", "type": "string"}]}, (), "test"
)


def debezium(envelope: bool, paths: FieldPaths = ROUTER) -> DebeziumDecoder:
    reader = EventReader("s", paths)
    return DebeziumDecoder("s", JsonValueReader("s"), reader, envelope=envelope, max_value_bytes=LIMIT)


def to_bytes(document: Any) -> bytes:
    return json.dumps(document).encode()


CLOUD = {"specversion": "1.0", "id": "1", "source": "/s", "type": "Paid", "data": DATA}
BINARY = tuple((f"ce_{name}", str(CLOUD[name]).encode()) for name in ("specversion", "id", "source", "type"))
CASES: dict[str, tuple[Decoder, bytes, tuple[Header, ...]]] = {
    "json": (
        PlainJsonDecoder("s", id="id", type="type", max_value_bytes=LIMIT),
        to_bytes({"id": "1", "type": "Paid", **DATA}),
        (),
    ),
    "json with data": (
        PlainJsonDecoder("s", id="id", type="type", data="x", max_value_bytes=LIMIT),
        to_bytes({"id": "1", "type": "Paid", "x": DATA}),
        (),
    ),
    "cloudevents structured": (
        CloudEventsDecoder("s", max_value_bytes=LIMIT),
        to_bytes(CLOUD),
        (("content-type", b"application/cloudevents+json"),),
    ),
    "cloudevents binary": (CloudEventsDecoder("s", max_value_bytes=LIMIT), to_bytes(DATA), BINARY),
    "debezium": (debezium(envelope=False), to_bytes(DATA), ID),
    "debezium encoded twice": (debezium(envelope=False), to_bytes(json.dumps(DATA)), ID),
    "debezium envelope": (
        debezium(envelope=True, paths=FieldPaths("header:id", "kind", None, None, "payload")),
        to_bytes({"payload": json.dumps(DATA), "kind": "Paid"}),
        ID,
    ),
    "eventuate": (
        EventuateDecoder("s", tenant=None, max_value_bytes=LIMIT),
        to_bytes(
            {
                "payload": json.dumps(DATA),
                "headers": {"ID": "1", "event-type": "Paid", "event-aggregate-id": "7"},
            }
        ),
        (),
    ),
    "modulith": (
        PayloadDecoder("s", JsonValueReader("s"), EventReader("s", ROUTER), max_value_bytes=LIMIT),
        to_bytes(DATA),
        ID,
    ),
    "avro": (
        PayloadDecoder("s", AvroValueReader(TEXT), EventReader("s", ROUTER), max_value_bytes=LIMIT),
        bytes([2 * len(MARK)]) + MARK.encode(),
        ID,
    ),
}


(LOAN_SCHEMA,) = DEMO.named(LOAN)
LOAN_DATA = encode_single_object(LOAN_SCHEMA.parsed, LOAN_SCHEMA.fingerprint, {**VALUE, "clientName": MARK})
FINERACT = FineractDecoder("bank", DEMO, max_value_bytes=LIMIT)
CASES["fineract"] = (FINERACT, encode_envelope(envelope(data=LOAN_DATA)), ())


def kept(event: Event) -> Iterator[Any]:
    """Yield what the event keeps alive, without the decoders and what belongs to all events."""
    seen: set[int] = set()
    stack: list[Any] = [event]
    while stack:
        one = stack.pop()
        if id(one) in seen or isinstance(one, type):
            continue
        seen.add(id(one))
        yield one
        if isinstance(one, FunctionType):
            stack.extend(cell.cell_contents for cell in one.__closure__ or ())
        elif isinstance(one, Event | Record | tuple | list | dict | repeat) or callable(one):
            stack.extend(each for each in gc.get_referents(one) if not isinstance(each, type(json)))


def decoded_texts(event: Event) -> list[str]:
    return [one for one in kept(event) if isinstance(one, str) and MARK in one]


@pytest.mark.parametrize("case", CASES)
def test_a_waiting_event_keeps_its_record_and_returns_the_same_data_again(case: str) -> None:
    decoder, value, headers = CASES[case]
    (event,) = decoder.decode(record(value, headers=headers))
    data, body = event.payload(), standard_body(event)
    assert MARK in str(data)
    assert decoded_texts(event), "the test finds decoded data where it is kept"
    event.forget_decoded()
    assert decoded_texts(event) == []
    assert sum(len(one) for one in kept(event) if isinstance(one, bytes)) < len(value) + 200
    assert event.payload() == data
    assert standard_body(event) == body
    event.rendered = None
    assert decoded_texts(event) == [], "data that was decoded again is not kept either"


def test_the_items_of_a_bulk_record_keep_its_bytes_once_more_and_no_decoded_data() -> None:
    items = [Item(number, "LoanPaid", "loans", LOAN, LOAN_DATA) for number in range(1, 4)]
    value = encode_envelope(envelope(data=encode_bulk(items), dataschema=BULK))
    events = FINERACT.decode(record(value))
    data = [event.payload() for event in events]
    for event in events:
        event.forget_decoded()
    assert [decoded_texts(event) for event in events] == [[], [], []]
    bytes_kept = {id(one): len(one) for event in events for one in kept(event) if isinstance(one, bytes)}
    assert sum(bytes_kept.values()) < 2 * len(value) + 200
    assert [event.payload() for event in events] == data
    assert [event.first for event in events] == [None, events[0], events[0]]
