"""A number that JSON cannot hold parks the event with its path, or is sent as the source is configured."""

from __future__ import annotations

import base64
import io
import math
from struct import pack
from typing import Any

import orjson
import pytest
from fastavro import schemaless_writer
from google.protobuf import any_pb2, descriptor_pb2, wrappers_pb2

from bridge.core.filter import Filter
from bridge.demo.fineract_wire import encode_envelope
from bridge.errors import DecodeError
from bridge.formats.avro.schema import avro_schema
from bridge.formats.avro.schema_set import SchemaSet, compile_schema
from bridge.formats.avro.single_object import MARKER
from bridge.formats.event_reader import EventReader
from bridge.formats.field_paths import FieldPaths
from bridge.formats.fineract import Envelope, FineractDecoder
from bridge.formats.non_finite import Mode
from bridge.formats.payload_only import AvroValueReader, PayloadDecoder, RegistryValueReader
from bridge.formats.registry.framing import read_confluent_frame
from bridge.formats.registry.protobuf_schema import protobuf_schema
from bridge.formats.schema_cache import KnownSchema, SchemaCache, SchemaKey
from bridge.model import Event
from bridge.rendering import standard_body
from tests.support.records import LIMIT, record

NUMBERS = [(math.nan, "NaN"), (math.inf, "Infinity"), (-math.inf, "-Infinity")]
SCHEMA: dict[str, Any] = {"type": "record", "name": "Rate", "fields": [
    {"name": "id", "type": "string"},
    {"name": "rate", "type": ["null", "double"]},
    {"name": "tiers", "type": {"type": "array", "items": {"type": "record", "name": "Tier", "fields": [
        {"name": "rate", "type": "float"}]}}},
    {"name": "by", "type": {"type": "map", "values": "double"}},
]}  # fmt: skip
LARGEST = 1.7976931348623157e308
READER = EventReader("rates", FieldPaths("id", "id"))


def encoded(rate: float | None = 1.5, tier: float = 0.5, by: float = 2.0) -> bytes:
    stream = io.BytesIO()
    value = {"id": "r1", "rate": rate, "tiers": [{"rate": 1.0}, {"rate": tier}], "by": {"x y": by}}
    schemaless_writer(stream, SCHEMA, value)
    return stream.getvalue()


def of_avro(raw: bytes, mode: Mode) -> Event:
    values = AvroValueReader(avro_schema(SCHEMA, (), "test"), mode)
    (event,) = PayloadDecoder("rates", values, READER, max_value_bytes=LIMIT).decode(record(raw))
    return event


def of_registry(raw: bytes, mode: Mode, schema: KnownSchema | None = None) -> Event:
    cache = SchemaCache("rates")
    cache.put(SchemaKey("id", "1"), schema or avro_schema(SCHEMA, (), "test"))
    values = RegistryValueReader(cache, read_confluent_frame, mode)
    decoder = PayloadDecoder("rates", values, READER, max_value_bytes=LIMIT)
    (event,) = decoder.decode(record(b"\0\0\0\0\1" + raw))
    return event


def of_fineract(raw: bytes, mode: Mode) -> Event:
    schemas = SchemaSet()
    schema = compile_schema(SCHEMA)
    schemas.add(schema)
    decoder = FineractDecoder("bank", schemas, max_value_bytes=LIMIT, non_finite=mode)
    data = MARKER + schema.fingerprint + raw
    envelope = Envelope(1, "s", "T", "c", "2026-06-29T08:15:30", "2026-06-28", "acme", "k", "Rate", data)
    (event,) = decoder.decode(record(encode_envelope(envelope)))
    return event


FORMATS = pytest.mark.parametrize("read", [of_avro, of_registry, of_fineract])


@FORMATS
@pytest.mark.parametrize(("number", "name"), NUMBERS)
@pytest.mark.parametrize(
    ("field", "path"), [("rate", "rate"), ("tier", r"tiers\.1\.rate"), ("by", r"by\.x y")]
)
def test_by_default_the_event_is_parked_with_the_path(
    read: Any, number: float, name: str, field: str, path: str
) -> None:
    with pytest.raises(DecodeError, match=rf"topic-3@17 {path}: the number is {name}.*non_finite"):
        read(encoded(**{field: number}), "park").payload()


@FORMATS
@pytest.mark.parametrize(("number", "name"), NUMBERS)
def test_it_is_sent_as_a_text_or_as_null_if_the_source_says_so(read: Any, number: float, name: str) -> None:
    raw = encoded(rate=number, tier=number, by=number)
    for mode, shown in (("string", name), ("null", None)):
        event = read(raw, mode)
        data = orjson.loads(standard_body(event))["data"]
        assert data == {
            "id": "r1", "rate": shown, "tiers": [{"rate": 1.0}, {"rate": shown}], "by": {"x y": shown},
        }  # fmt: skip


@FORMATS
def test_a_filter_never_sees_a_value_that_is_not_sent(read: Any) -> None:
    raw = encoded(rate=math.inf)
    with pytest.raises(DecodeError, match="rate: the number is Infinity"):
        Filter("data.rate > 5").matches(read(raw, "park"))
    assert not Filter("data.rate > 5").matches(read(raw, "null"))
    assert Filter('data.rate == "Infinity"').matches(read(raw, "string"))


@FORMATS
def test_finite_numbers_are_unchanged(read: Any) -> None:
    data = read(encoded(rate=None, tier=-0.25, by=LARGEST), "park").payload()
    assert data == {
        "id": "r1", "rate": None, "tiers": [{"rate": 1.0}, {"rate": -0.25}], "by": {"x y": LARGEST},
    }  # fmt: skip


def test_a_schema_that_is_one_number_is_covered() -> None:
    schema = avro_schema("double", (), "test")
    values = AvroValueReader(schema)
    with pytest.raises(DecodeError, match="the number is NaN"):
        values.read(record(b""), pack("<d", math.nan))


# Protobuf ---------------------------------------------------------------------------------------

FIELD = descriptor_pb2.FieldDescriptorProto


def proto() -> KnownSchema:
    """A message with a double, a list of floats, a map, a wrapper, an inner message, an Any and a text."""
    file = descriptor_pb2.FileDescriptorProto(name="r.proto", syntax="proto3")
    file.dependency.extend(["google/protobuf/wrappers.proto", "google/protobuf/any.proto"])
    rate = file.message_type.add(name="Rate")
    one, many = FIELD.LABEL_OPTIONAL, FIELD.LABEL_REPEATED
    rate.field.add(name="id", number=1, type=FIELD.TYPE_STRING, label=one)
    rate.field.add(name="rate", number=2, type=FIELD.TYPE_DOUBLE, label=one)
    rate.field.add(name="tiers", number=3, type=FIELD.TYPE_FLOAT, label=many)
    entry = rate.nested_type.add(name="ByEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=FIELD.TYPE_INT32, label=one)
    entry.field.add(name="value", number=2, type=FIELD.TYPE_DOUBLE, label=one)
    message = FIELD.TYPE_MESSAGE
    rate.field.add(name="by", number=4, type=message, type_name=".Rate.ByEntry", label=many)
    rate.field.add(
        name="wrapped", number=5, type=message, type_name=".google.protobuf.DoubleValue", label=one
    )
    rate.field.add(name="inner", number=6, type=message, type_name=".Rate", label=one)
    rate.field.add(name="any", number=7, type=message, type_name=".google.protobuf.Any", label=one)
    return protobuf_schema(base64.b64encode(file.SerializeToString()).decode(), {}, "test")


def double(number: int, value: float) -> bytes:
    return bytes([number << 3 | 1]) + pack("<d", value)


def nested(number: int, raw: bytes) -> bytes:
    return bytes([number << 3 | 2, len(raw)]) + raw


ID = nested(1, b"r1")
ANY = any_pb2.Any(
    type_url="type.googleapis.com/google.protobuf.DoubleValue",
    value=wrappers_pb2.DoubleValue(value=math.inf).SerializeToString(),
)
ANY_RATE = any_pb2.Any(type_url="type.googleapis.com/Rate", value=double(2, math.inf))
PROTO = [
    (double(2, math.inf), "rate"),
    (nested(3, pack("<ff", 1.0, math.inf)), "tiers.1"),
    (nested(4, b"\x08\x07" + double(2, math.inf)), "by.7"),
    (nested(5, double(1, math.inf)), "wrapped"),
    (nested(6, double(2, math.inf)), "inner.rate"),
    (nested(7, ANY.SerializeToString()), "any.value"),
    (nested(7, ANY_RATE.SerializeToString()), "any.rate"),
]


@pytest.mark.parametrize(("raw", "path"), PROTO)
def test_a_protobuf_number_follows_the_same_setting(raw: bytes, path: str) -> None:
    with pytest.raises(DecodeError, match=f"{path}: the number is Infinity"):
        of_registry(b"\0" + ID + raw, "park", proto())
    for mode, shown in (("string", "Infinity"), ("null", None)):
        value: Any = of_registry(b"\0" + ID + raw, mode, proto()).payload()  # type: ignore[arg-type]
        for part in path.split("."):
            value = value[int(part)] if isinstance(value, list) else value[part]
        assert value == shown


def test_a_protobuf_text_that_reads_like_a_number_is_text() -> None:
    assert of_registry(b"\0" + nested(1, b"NaN"), "park", proto()).payload() == {"id": "NaN"}
