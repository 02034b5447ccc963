"""Debezium, Eventuate, Modulith, bare Avro and the framing of registries: where each part comes from."""

from __future__ import annotations

import io
import json
from decimal import Decimal
from typing import Any

import orjson
import pytest
from fastavro import schemaless_writer

from bridge.errors import ConfigError, DecodeError, SchemaNeeded
from bridge.formats.avro.bounds import MalformedBytes
from bridge.formats.avro.schema import avro_schema
from bridge.formats.registry.framing import read_apicurio_frame, read_confluent_frame
from bridge.formats.schema_cache import SchemaKey
from bridge.model import Event, Header
from bridge.rendering import standard_body
from bridge.settings import (
    ApicurioSource,
    AvroSource,
    ConfluentSource,
    DebeziumSource,
    EventuateSource,
    JsonSource,
    ModulithSource,
    RegistrySettings,
)
from bridge.wiring import decoders
from tests.support.records import record
from tests.support.sample_records import AVRO, PAYLOAD, TRAM, UUID

ROUTED: tuple[Header, ...] = (("id", UUID.encode()), ("eventType", b"OrderCreated"))
CONNECT_KEY = b'{"schema":{"type":"string"},"payload":"17"}'
CONNECT = {"type": "string", "optional": False}


def source(model: Any, **keys: Any) -> Any:
    return model(topics=("topic",), format=model.model_fields["format"].annotation.__args__[0], **keys)


def decode_one(settings: Any, value: Any, **kwargs: Any) -> Event:
    raw = value if isinstance(value, bytes) else orjson.dumps(value)
    (event,) = decoders.build_decoder("outbox", settings).decode(record(raw, **kwargs))
    return event


def refused(settings: Any, value: Any, **kwargs: Any) -> str:
    with pytest.raises(DecodeError) as caught:
        decode_one(settings, value, **kwargs)
    return str(caught.value)


# Debezium ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "key", "keys"),
    [
        (PAYLOAD, b"17", {}),
        (json.dumps(PAYLOAD), b'"17"', {}),
        ({"schema": CONNECT, "payload": json.dumps(PAYLOAD)}, CONNECT_KEY, {}),
        ({"schema": None, "payload": PAYLOAD}, b'{"schema":{"type":"int32"},"payload":17}', {}),
        ({"payload": PAYLOAD, "eventType": "OrderCreated"}, b"17", {"envelope": True}),
        ({"payload": json.dumps(PAYLOAD), "eventType": "OrderCreated"}, b"17", {"envelope": True}),
        ({"schema": {"type": "struct"}, "payload": {"payload": json.dumps(PAYLOAD), "kind": "OrderCreated"}},
         b"17", {"envelope": True, "type": "kind"}),
    ],
)  # fmt: skip
def test_debezium_events_decode_alike_in_every_converter_format(
    value: Any, key: bytes, keys: dict[str, Any]
) -> None:
    event = decode_one(source(DebeziumSource, **keys), value, key=key, headers=ROUTED)
    assert (event.id, event.type, event.entity) == (UUID, "OrderCreated", "17")
    assert event.webhook_id.startswith(f"{UUID}_")
    assert event.payload() == PAYLOAD
    assert event.time == "2023-11-14T22:13:20.123Z"


def test_debezium_field_paths_are_configurable() -> None:
    settings = source(
        DebeziumSource, type="header:type", tenant="header:tenant", time="header:at", entity="order.id"
    )
    headers = (
        ("id", b'{"schema":{"type":"string"},"payload":"e-1"}'),
        ("type", b'"Paid"'),
        ("tenant", b"acme"),
        ("at", b"2026-06-29T08:15:30Z"),
    )
    event = decode_one(settings, {"order": {"id": 9}}, headers=headers)
    assert (event.id, event.type, event.tenant) == ("e-1", "Paid", "acme")
    assert (event.time, event.entity) == ("2026-06-29T08:15:30Z", "9")


def test_a_payload_with_a_field_payload_is_an_envelope_only_if_configured() -> None:
    value = {"payload": {"a": 1}, "eventType": "Other"}
    event = decode_one(source(DebeziumSource), value, headers=ROUTED)
    assert (event.type, event.payload()) == ("OrderCreated", value)


def test_text_that_is_not_json_stays_text() -> None:
    for text in ("hello", "{hello", "17", '"x"'):
        assert decode_one(source(DebeziumSource), text, headers=ROUTED).payload() == text


def test_the_error_for_a_missing_debezium_part_contains_the_remedy() -> None:
    assert "placement=type:header:eventType" in refused(source(DebeziumSource), PAYLOAD, headers=ROUTED[:1])
    assert "has no id at 'header:id'; check that the outbox" in refused(source(DebeziumSource), PAYLOAD)
    assert "set sources.outbox.envelope to false" in refused(
        source(DebeziumSource, envelope=True), PAYLOAD, headers=ROUTED
    )
    binary_key = decode_one(source(DebeziumSource), PAYLOAD, headers=ROUTED, key=b"\xff" * 8)
    assert (binary_key.entity, binary_key.refused[0].cause) == (None, "the bytes are not UTF-8")


def test_debezium_in_avro_requests_the_schema() -> None:
    settings = source(DebeziumSource, registry=RegistrySettings(url="http://registry"))
    with pytest.raises(SchemaNeeded) as caught:
        decode_one(settings, b"\0\0\0\0\7abc", headers=ROUTED)
    assert (caught.value.source, caught.value.key) == ("outbox", SchemaKey("id", "7"))


# Eventuate --------------------------------------------------------------------------------------


def test_eventuate_parts_are_decoded_from_its_headers() -> None:
    event = decode_one(source(EventuateSource, tenant="headers.tenant"), TRAM)
    assert (event.id, event.type) == ("0000016b8d1f0f2b-0242ac1300080000", "shop.orders.OrderCreatedEvent")
    assert (event.entity, event.tenant, event.time) == ("42", "acme", "2026-06-29T08:15:30Z")
    assert event.payload() == {"orderDetails": {"customerId": 7, "total": "12.30"}}
    assert event.context["event-aggregate-type"] == "shop.orders.Order"


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"headers": None}, "not an Eventuate Tram message"),
        ({"headers": {"ID": "1", "command_type": "x"}}, "a command or a reply"),
        ({"headers": {"event-type": "x"}}, "no id at 'headers.ID'"),
    ],
)
def test_a_value_that_is_not_an_eventuate_event_is_refused_with_the_cause(
    change: dict[str, Any], cause: str
) -> None:
    assert cause in refused(source(EventuateSource), {**TRAM, **change})


def test_an_eventuate_date_that_is_none_is_the_record_time() -> None:
    event = decode_one(
        source(EventuateSource),
        {**TRAM, "headers": {**TRAM["headers"], "DATE": "yesterday"}},  # type: ignore[dict-item]
    )
    assert (event.time_source, event.refused[0].setting) == ("record", "time")


# Modulith and field paths -----------------------------------------------------------------------


def test_modulith_type_comes_from_the_header_and_the_entity_from_the_key() -> None:
    settings = source(ModulithSource, id="eventId")
    headers = (("__TypeId__", b"com.acme.orders.OrderCompleted"),)
    event = decode_one(settings, {"eventId": UUID, "orderId": 4}, key=b"4", headers=headers)
    assert (event.id, event.type, event.entity) == (UUID, "com.acme.orders.OrderCompleted", "4")
    assert event.payload() == {"eventId": UUID, "orderId": 4}
    assert "has no type at 'header:__TypeId__'" in refused(settings, {"eventId": UUID})


def test_the_id_may_be_configured_as_topic_partition_and_offset() -> None:
    settings = source(ModulithSource, id="record:offset", type="record:topic", entity=None)
    event = decode_one(settings, {"orderId": 4})
    assert (event.id, event.type, event.entity) == ("topic-3-17", "topic", None)


def test_json_parts_may_come_from_headers() -> None:
    settings = source(
        JsonSource, id="header:event-id", type="header:event.type", entity="record:key", data="d.0"
    )
    headers = (("event-id", b"7"), ("event.type", b"Paid"))
    event = decode_one(settings, {"d": [[1]]}, key=b"o-1", headers=headers)
    assert (event.id, event.type, event.entity, event.payload()) == ("7", "Paid", "o-1", [1])
    assert "the record has no id at 'header:event-id'" in refused(settings, {"d": [1]})


@pytest.mark.parametrize(
    "text",
    ["0.1000000000000000055511151231257827", "12345678901234567.89", "123456789012345678901234567890", "1e-7",
     "-9223372036854775809", "18446744073709551615", "10.50", "1.1", "-0.0", "9007199254740993.0"],
)  # fmt: skip
def test_no_digit_of_a_number_is_lost(text: str) -> None:
    """A double keeps only 15 digits for certain; a number with more is sent unchanged."""
    settings = source(JsonSource, id="id", type="type")
    body = standard_body(decode_one(settings, b'{"id":"1","type":"T","n":[%b]}' % text.encode()))
    (sent,) = json.loads(body, parse_float=Decimal)["data"]["n"]
    assert Decimal(sent) == Decimal(text)


def test_exact_numbers_are_numbers_for_filters() -> None:
    settings = source(JsonSource, id="id", type="type")
    n = decode_one(settings, b'{"id":"1","type":"T","n":12345678901234567.89}').payload()["n"]
    assert n > 12345678901234000
    assert str(n) == "12345678901234567.89"


# Avro -------------------------------------------------------------------------------------------


def test_bare_avro_is_decoded_with_the_schema_file(tmp_path: Any) -> None:
    file = tmp_path / "paid.avsc"
    file.write_text(json.dumps(AVRO))
    stream = io.BytesIO()
    schemaless_writer(
        stream, AVRO, {"id": UUID, "total": Decimal("1234.50"), "fee": Decimal("99.9999"), "kind": "CARD"}
    )
    settings = source(AvroSource, id="id", schema_file=file)
    event = decode_one(settings, stream.getvalue())
    assert (event.id, event.type) == (UUID, "shop.Paid")
    assert event.payload() == {
        "id": UUID,
        "total": Decimal("1234.50"),
        "fee": Decimal("99.9999"),
        "kind": "CARD",
    }
    assert "bytes are left over" in refused(settings, stream.getvalue() + b"\0")
    file.write_text('{"type": "record", "name": "R", "fields": [{"name": "a", "type": "shop.Away"}]}')
    with pytest.raises(ConfigError, match=r"shop\.Away.*put all types into this file"):
        decoders.build_decoder("outbox", settings)


def test_a_fixed_decimal_keeps_its_last_digit() -> None:
    """fastavro's own limit for 8 bytes is 18 digits; the largest value has 19."""
    schema = avro_schema(AVRO["fields"][2]["type"], (), "test")  # type: ignore[index]
    assert schema.read_bytes((2**63 - 1).to_bytes(8, "big"), "here").document == Decimal(
        "922337203685477.5807"
    )


@pytest.mark.parametrize(
    ("definition", "raw", "value"), [("string", b"\x02a", "a"), (["null", "long"], b"\2\6", 3)]
)
def test_a_schema_of_any_type_is_supported(definition: Any, raw: bytes, value: object) -> None:
    assert avro_schema(definition, (), "test").read_bytes(raw, "here").document == value


# Framing ----------------------------------------------------------------------------------------

REGISTRY = RegistrySettings(url="http://registry")
GUID = bytes.fromhex("406c07f326f04eeaa50c109940064b8f")


@pytest.mark.parametrize(
    ("value", "headers", "key", "payload"),
    [
        (b"\0\0\0\1\2rest", (), SchemaKey("id", "258"), b"rest"),
        (b"\1" + GUID + b"rest", (), SchemaKey("guid", UUID), b"rest"),
        (b"rest", (("__value_schema_id", b"\1" + GUID),), SchemaKey("guid", UUID), b"rest"),
        (b"\0\0\0\0\1rest", (("__value_schema_id", b"\0\0\0\0\5"),), SchemaKey("id", "5"), b"\0\0\0\0\1rest"),
    ],
)
def test_confluents_header_overrides_the_prefix(
    value: bytes, headers: tuple[Header, ...], key: SchemaKey, payload: bytes
) -> None:
    frame = read_confluent_frame(record(value, headers=headers), value)
    assert (frame.key, frame.payload) == (key, payload)


def test_message_indexes_follow_the_id_in_the_header_or_the_value() -> None:
    head = b"\1" + GUID + b"\x04\x02\x00"
    assert read_confluent_frame(record(b"m", headers=(("__value_schema_id", head),)), b"m").choose(b"m") == (
        (1, 0),
        b"m",
    )
    assert read_confluent_frame(record(b""), b"\0\0\0\0\1\x04\x02\x00m").choose(b"\x04\x02\x00m") == (
        (1, 0),
        b"m",
    )


@pytest.mark.parametrize(
    ("value", "headers", "key", "payload"),
    [
        (b"\0\0\0\0\7rest", (), SchemaKey("content", "7"), b"rest"),
        (b"\0" + bytes(7) + b"\7rest", (), SchemaKey("global", "7"), b"rest"),
        (b"rest", (("apicurio.value.contentId", bytes(7) + b"\7"),), SchemaKey("content", "7"), b"rest"),
        (
            b"\0\0\0\0\1",
            (("apicurio.value.globalId", bytes(7) + b"\7"),),
            SchemaKey("global", "7"),
            b"\0\0\0\0\1",
        ),
    ],
)
def test_apicurio_ids_have_four_or_eight_bytes_or_are_in_a_header(
    value: bytes, headers: tuple[Header, ...], key: SchemaKey, payload: bytes
) -> None:
    frame = read_apicurio_frame(record(value, headers=headers), value)
    assert (frame.key, frame.payload) == (key, payload)


def test_the_kind_of_apicurios_prefix_id_is_configurable() -> None:
    assert read_apicurio_frame(record(b""), b"\0\0\0\0\7", "global").key == SchemaKey("global", "7")


def test_apicurios_protobuf_prefix_names_the_message() -> None:
    frame = read_apicurio_frame(record(b""), b"\0\0\0\0\7" + b"\x06\x0a\x04Paid" + b"\x0a\x01a")
    assert frame.choose(frame.payload) == ("Paid", b"\x0a\x01a")
    assert frame.choose(b"\0\x0a\x01a") == ((0,), b"\x0a\x01a")
    with pytest.raises(MalformedBytes):
        frame.choose(b"\x01\x0a")
    headers = (("apicurio.value.contentId", bytes(7) + b"\7"), ("apicurio.value.protobuf.type", b"Paid"))
    assert read_apicurio_frame(record(b"m", headers=headers), b"m").choose(b"m") == ("Paid", b"m")


@pytest.mark.parametrize(
    "value", [b"", b"\0", b"\0\0\0\0", b"\1" + GUID[:-1], b"{}", b"\xc3\x01........", b"\2"]
)
def test_the_error_for_a_missing_schema_id_shows_how_the_value_begins(value: bytes) -> None:
    for settings in (
        source(ConfluentSource, id="id", registry=REGISTRY),
        source(ApicurioSource, id="id", registry=REGISTRY),
    ):
        text = refused(settings, value)
        assert "no schema id: expected 00" in text
        assert "hookferry inspect" in text


def test_apicurios_header_needs_eight_bytes_and_binary_encoding() -> None:
    settings = source(ApicurioSource, id="id", registry=REGISTRY)
    assert "the header has 4 bytes, not 8" in refused(
        settings, b"x", headers=(("apicurio.value.contentId", b"\0\0\0\1"),)
    )
    assert "JSON encoding" in refused(settings, b"{}", headers=(("apicurio.value.encoding", b"JSON"),))
