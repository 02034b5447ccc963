"""The format decides what a null value means: an event whose parts are elsewhere, or a tombstone."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from bridge.core.filter import Filter
from bridge.errors import DecodeError, Tombstone
from bridge.formats.resent import AgainDecoder, ResentDecodeError, packed
from bridge.model import Event, Header, Partition, Record, Resend
from bridge.rendering import standard_body
from bridge.rendering.template import TemplateBody
from bridge.settings import (
    ApicurioSource,
    AvroSource,
    CloudEventsSource,
    ConfluentSource,
    DebeziumSource,
    EventuateSource,
    FineractSource,
    JsonSource,
    ModulithSource,
    RegistrySettings,
)
from bridge.wiring.decoders import build_decoder
from tests.support.records import record

UUID = "406c07f3-26f0-4eea-a50c-109940064b8f"
CE: tuple[Header, ...] = (
    ("ce_specversion", b"1.0"),
    ("ce_id", b"A1"),
    ("ce_source", b"/loans"),
    ("ce_type", b"loan.closed"),
)
OUTBOX: tuple[Header, ...] = (("id", UUID.encode()), ("eventType", b"OrderDeleted"))
JSON_HEADERS: tuple[Header, ...] = (("event-id", b"e-1"), ("event-type", b"OrderDeleted"))
REGISTRY = RegistrySettings(url="http://registry:8081")


def source(model: Any, **keys: Any) -> Any:
    return model(topics=("topic",), format=model.model_fields["format"].annotation.__args__[0], **keys)


JSON = source(JsonSource, id="header:event-id", type="header:event-type", entity="order", data="payload")


def decode(settings: Any, headers: tuple[Header, ...], value: bytes | None = None, **keys: Any) -> Event:
    (event,) = build_decoder("things", settings).decode(record(value, headers=headers, **keys))
    return event


@pytest.mark.parametrize(
    ("settings", "headers", "id_", "type_"),
    [
        (source(CloudEventsSource), CE, "/loans A1", "loan.closed"),
        (source(CloudEventsSource), (*CE, ("content-type", b"application/json")), "/loans A1", "loan.closed"),
        (JSON, JSON_HEADERS, "e-1", "OrderDeleted"),
        (source(JsonSource, id="header:event-id", type="record:topic"), JSON_HEADERS, "e-1", "topic"),
        (source(JsonSource, id="record:offset", type="header:event-type"), JSON_HEADERS, "topic-3-17",
         "OrderDeleted"),
        (source(DebeziumSource), OUTBOX, UUID, "OrderDeleted"),
        (source(DebeziumSource, registry=REGISTRY), OUTBOX, UUID, "OrderDeleted"),
        (source(DebeziumSource, envelope=True, type="header:eventType"), OUTBOX, UUID, "OrderDeleted"),
    ],
)  # fmt: skip
def test_a_null_value_is_an_event_without_data_if_the_headers_identify_it(
    settings: Any, headers: tuple[Header, ...], id_: str, type_: str
) -> None:
    event = decode(settings, headers)
    assert (event.id, event.type, event.payload()) == (id_, type_, None)
    assert event.lane == ("topic", 3, b"k", "")
    assert orjson.loads(standard_body(event))["data"] is None


@pytest.mark.parametrize(
    ("settings", "headers"),
    [
        (source(CloudEventsSource), ()),
        (source(CloudEventsSource), (("content-type", b"application/cloudevents+json"),)),
        (source(CloudEventsSource), (*CE, ("content-type", b"application/cloudevents+json"))),
        (JSON, ()),
        (JSON, (("trace", b"1"),)),
        (source(JsonSource, id="record:key", type="record:topic"), JSON_HEADERS),
        (source(JsonSource, id="header:event-id", type="type"), JSON_HEADERS),
        (source(JsonSource, id="id", type="header:event-type"), JSON_HEADERS),
        (source(DebeziumSource), ()),
        (source(DebeziumSource, envelope=True), OUTBOX),
        (source(EventuateSource), JSON_HEADERS),
        (source(ModulithSource, id="header:event-id"), (*JSON_HEADERS, ("__TypeId__", b"a.B"))),
        (source(ConfluentSource, registry=REGISTRY, id="header:event-id"), JSON_HEADERS),
        (source(ApicurioSource, registry=REGISTRY, id="header:event-id"), JSON_HEADERS),
    ],
)
def test_a_null_value_is_a_tombstone_if_no_header_identifies_an_event(
    settings: Any, headers: tuple[Header, ...]
) -> None:
    with pytest.raises(Tombstone) as caught:
        decode(settings, headers)
    assert caught.value.source == "things"


def test_a_null_value_is_a_tombstone_for_formats_with_schema_files(tmp_path: Any) -> None:
    schema = tmp_path / "v.avsc"
    schema.write_text('{"type": "record", "name": "V", "fields": []}')
    for settings in (
        source(AvroSource, schema_file=schema, id="header:event-id"),
        source(FineractSource, schemas=tmp_path),
    ):
        with pytest.raises(Tombstone):
            decode(settings, JSON_HEADERS)


@pytest.mark.parametrize(
    ("settings", "headers"),
    [
        (source(CloudEventsSource), CE[:2]),
        (source(DebeziumSource), OUTBOX[:1]),
        (JSON, JSON_HEADERS[1:]),
    ],
)
def test_an_event_without_data_that_lacks_an_attribute_is_parked(
    settings: Any, headers: tuple[Header, ...]
) -> None:
    with pytest.raises(DecodeError) as caught:
        decode(settings, headers)
    assert not isinstance(caught.value, Tombstone)


@pytest.mark.parametrize(("settings", "headers"), [(JSON, JSON_HEADERS), (source(DebeziumSource), OUTBOX)])
def test_an_empty_value_is_not_a_null_value(settings: Any, headers: tuple[Header, ...]) -> None:
    with pytest.raises(DecodeError, match="not JSON") as caught:
        decode(settings, headers, b"")
    assert not isinstance(caught.value, Tombstone)


def test_filters_and_templates_read_no_data() -> None:
    event = decode(source(CloudEventsSource), CE)
    assert Filter("data is none and data.total is none").matches(event)
    assert not Filter("data.total > 5").matches(event)
    body = TemplateBody({}, '{"has": {{ data is none }}, "all": {{ data }}}', "application/json")
    assert orjson.loads(body(event)[1]) == {"has": True, "all": None}


def again(origin: Record) -> Record:
    headers = packed(Resend(origin, None, "x1"))
    return Record(Partition("g.again", 3), 5, 1_800_000_000_000, origin.key, origin.value, headers)


def test_a_redriven_event_without_data_is_the_same_event() -> None:
    decoder = build_decoder("things", source(CloudEventsSource))
    origin = record(None, headers=CE)
    (first,) = decoder.decode(origin)
    (second,) = AgainDecoder({"topic": decoder}.get, []).decode(again(origin))
    assert second.origin == origin
    assert (second.id, second.webhook_id, second.payload()) == (first.id, first.webhook_id, None)


def test_a_redriven_record_that_became_a_tombstone_is_parked_again_and_not_dropped() -> None:
    """The settings changed since it was parked."""
    decoder = build_decoder("things", source(JsonSource, id="id", type="type"))
    with pytest.raises(ResentDecodeError, match="tombstone"):
        AgainDecoder({"topic": decoder}.get, []).decode(again(record(None, headers=JSON_HEADERS)))
