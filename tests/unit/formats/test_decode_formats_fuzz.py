"""Any bytes, headers and schemas give an event, DecodeError or SchemaNeeded, in bounded time and memory."""

from __future__ import annotations

import json
import time
import tracemalloc
from typing import Any

import orjson
import pytest
from google.protobuf import descriptor_pb2, struct_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.errors import DecodeError, SchemaNeeded
from bridge.formats.avro.bounds import MAX_NESTING
from bridge.formats.avro.definitions import DefinitionError
from bridge.formats.avro.schema import avro_schema
from bridge.formats.debezium import HINTS, DebeziumDecoder
from bridge.formats.event_reader import EventReader
from bridge.formats.eventuate import EventuateDecoder
from bridge.formats.field_paths import FieldPaths
from bridge.formats.payload_only import AvroValueReader, JsonValueReader, PayloadDecoder, RegistryValueReader
from bridge.formats.registry.framing import read_apicurio_frame, read_confluent_frame
from bridge.formats.registry.json_schema import JsonSchema
from bridge.formats.registry.protobuf_schema import MAX_MESSAGES, protobuf_schema
from bridge.formats.schema_cache import Refusal, SchemaCache, SchemaKey
from bridge.schemas.registry.gather import Gathered
from bridge.schemas.registry.learn import build_schema
from tests.support.damaged_records import ANY_JSON, damaged
from tests.support.framed_records import FRAMED, NOTHING, TREE
from tests.support.records import LIMIT, record
from tests.support.registry import descriptor_text
from tests.support.sample_records import AVRO, PAYLOAD, TRAM


def node() -> descriptor_pb2.FileDescriptorProto:
    """Return a message that contains itself, a map, and the types with a special JSON form."""
    imports = [
        f"google/protobuf/{name}.proto" for name in ("any", "struct", "timestamp", "duration", "wrappers")
    ]
    file = descriptor_pb2.FileDescriptorProto(
        name="n.proto", package="t", syntax="proto3", dependency=imports
    )
    message = file.message_type.add(name="Node")
    message.field.add(name="id", number=1, type=9, label=1)
    types = ["t.Node", "google.protobuf.Any", "google.protobuf.Struct", "google.protobuf.Timestamp",
             "google.protobuf.Duration", "google.protobuf.DoubleValue", "google.protobuf.Value"]  # fmt: skip
    for number, name in enumerate(types, 2):
        message.field.add(name=f"f{number}", number=number, type=11, label=3, type_name=f".{name}")
    message.field.add(name="d", number=20, type=1, label=3)
    message.field.add(name="e", number=21, type=14, label=1, type_name=".t.Kind")
    kind = file.enum_type.add(name="Kind")
    kind.value.add(name="NONE", number=0)
    return file


STORE = SchemaCache("s")
for _number, _schema in enumerate(
    [avro_schema(AVRO, (), "a"), avro_schema(TREE, (), "t"), avro_schema(NOTHING, (), "n"),
     protobuf_schema(descriptor_text(node()), {}, "p"), JsonSchema({"title": "T"}), Refusal("no", "none")], 1,
):  # fmt: skip
    for _kind in ("id", "content", "global"):
        STORE.put(SchemaKey(_kind, str(_number)), _schema)
READER = EventReader("s", FieldPaths("id", None, "kids.0.id", None, None, "header:tenant"))
CONFLUENT = PayloadDecoder(
    "s", RegistryValueReader(STORE, read_confluent_frame), READER, max_value_bytes=LIMIT
)
APICURIO = PayloadDecoder("s", RegistryValueReader(STORE, read_apicurio_frame), READER, max_value_bytes=LIMIT)
BARE = PayloadDecoder("s", AvroValueReader(avro_schema(AVRO, (), "a")), READER, max_value_bytes=LIMIT)
ROUTER = EventReader("s", FieldPaths("header:id", "header:eventType", "record:key"), HINTS)
ENVELOPE = EventReader("s", FieldPaths("id", "eventType", "record:key", None, "payload"), HINTS)
DEBEZIUM = DebeziumDecoder("s", JsonValueReader("s"), ROUTER, envelope=False, max_value_bytes=LIMIT)
ENVELOPED = DebeziumDecoder("s", JsonValueReader("s"), ENVELOPE, envelope=True, max_value_bytes=LIMIT)
EVENTUATE = EventuateDecoder("s", tenant="headers.tenant", max_value_bytes=LIMIT)


def survive(decoder: Any, raw: bytes, headers: Any = (), key: bytes | None = b"k") -> None:
    try:
        events = decoder.decode(record(raw, headers=headers, key=key))
        for event in events:
            event.payload()
    except (DecodeError, SchemaNeeded):
        return
    for event in events:
        assert event.id
        assert event.type
        assert event.webhook_id


@settings(deadline=None, max_examples=1500)
@given(damaged(*FRAMED))
def test_damaged_registry_values_raise_only_decode_errors(raw: bytes) -> None:
    survive(CONFLUENT, raw)
    survive(APICURIO, raw)
    survive(BARE, raw[5:])


@settings(deadline=None, max_examples=500)
@given(st.integers(0, 6), st.binary(max_size=120))
def test_any_bytes_after_a_schema_id_raise_only_decode_errors(number: int, raw: bytes) -> None:
    for decoder in (CONFLUENT, APICURIO):
        survive(decoder, b"\0\0\0\0" + bytes([number]) + raw)
        survive(decoder, b"\0\0\0\0\4\0" + raw)


NAMES = ["__value_schema_id", "apicurio.value.contentId", "apicurio.value.globalId",
         "apicurio.value.encoding", "apicurio.value.protobuf.type",
         "tenant", "id", "eventType", "__TypeId__"]  # fmt: skip


@settings(deadline=None, max_examples=800)
@given(
    damaged(*FRAMED),
    st.lists(
        st.tuples(
            st.sampled_from(NAMES), st.binary(max_size=20) | st.sampled_from([bytes(7) + b"\4", b"Node"])
        )
    ),
)
def test_any_headers_raise_only_decode_errors(raw: bytes, headers: list[tuple[str, bytes]]) -> None:
    for decoder in (CONFLUENT, APICURIO, DEBEZIUM):
        survive(decoder, raw, tuple(headers))


TEXTS = [orjson.dumps(one) for one in (
    PAYLOAD, json.dumps(PAYLOAD), {"schema": None, "payload": json.dumps(PAYLOAD)},
    {"payload": json.dumps(PAYLOAD), "eventType": "T", "id": 1}, TRAM)]  # fmt: skip
HEADERS = (("id", b"1"), ("eventType", b"T"))


@settings(deadline=None, max_examples=800)
@given(damaged(*TEXTS), st.none() | st.binary(max_size=9))
def test_damaged_json_envelopes_raise_only_decode_errors(raw: bytes, key: bytes | None) -> None:
    for decoder in (DEBEZIUM, ENVELOPED, EVENTUATE):
        survive(decoder, raw, HEADERS, key)


@settings(deadline=None, max_examples=500)
@given(
    st.dictionaries(st.sampled_from(["payload", "schema", "headers", "id", "eventType"]), ANY_JSON),
    st.dictionaries(st.sampled_from(["ID", "DATE", "event-type", "event-aggregate-id", "tenant"]), ANY_JSON),
)
def test_envelopes_of_any_shape_raise_only_decode_errors(
    document: dict[str, Any], tram: dict[str, Any]
) -> None:
    raw = orjson.dumps(document)
    for decoder in (DEBEZIUM, ENVELOPED, EVENTUATE):
        survive(decoder, raw, HEADERS)
    survive(EVENTUATE, orjson.dumps({"payload": "{}", "headers": tram}))


@settings(deadline=None, max_examples=500)
@given(damaged(json.dumps(TREE).encode(), json.dumps(AVRO).encode(), descriptor_text(node()).encode()),
       st.sampled_from(["AVRO", "JSON", "PROTOBUF", "X"]))  # fmt: skip
def test_damaged_schemas_raise_only_definition_errors(raw: bytes, kind: str) -> None:
    try:
        build_schema(Gathered(kind, raw.decode("latin-1"), {"n": raw.decode("latin-1")}), "o")
    except DefinitionError:
        return


DEEP_TREE = b"\0\0\0\0\2" + b"\0\2" * 50_000
HOSTILE = {
    "a million levels of a recursive record": DEEP_TREE,
    "2^60 items that take no bytes": b"\0\0\0\0\3" + b"\xfe\xff\xff\xff\xff\xff\xff\xff\x1f" + b"\0",
    "a million items that take no bytes": b"\0\0\0\0\3" + b"\x80\x89\x7a\0",
    "a decimal of a megabyte": b"\0\0\0\0\1\x02a\x80\x80\x7e" + bytes(1_030_000),
    "groups inside groups": b"\0\0\0\0\4\0" + b"\x0b" * 500_000,
    "half a million empty messages": b"\0\0\0\0\4\0\x0a\x01a" + b"\x12\0" * 500_000,
    "JSON without end": b"\0\0\0\0\5" + b"[" * 900_000,
    "JSON with a fraction, nested as deep as orjson goes": b"\0\0\0\0\5" + b"[" * 1000 + b"1.5" + b"]" * 1000,
    "a number of a megabyte": b'\0\0\0\0\5{"id":"1","n":0.' + b"1" * 1_000_000 + b"}",
    "message indexes without end": b"\0\0\0\0\4" + b"\xfe\xff\xff\xff\x0f" + b"\0" * 1000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_values_are_refused_quickly(name: str) -> None:
    raw = HOSTILE[name]
    began = time.thread_time()  # excludes the time of other processes on this core
    survive(CONFLUENT, raw)
    assert time.thread_time() - began < 10, "generous: this machine may be slow"
    tracemalloc.start()
    try:
        survive(CONFLUENT, raw)
        assert tracemalloc.get_traced_memory()[1] < 400 * 1024 * 1024
    finally:
        tracemalloc.stop()


def in_a_node(number: int, part: bytes, times: int = 1) -> bytes:
    """Return a record with a Node that has a field of this number, repeated ``times`` times."""
    header = bytes([number << 3 | 2])
    length = bytes([len(part)]) if len(part) < 128 else _varint(len(part))
    return b"\0\0\0\0\4\0\x0a\x01a" + (header + length + part) * times


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def a_map(entries: int) -> bytes:
    return struct_pb2.Struct(
        fields={str(number): struct_pb2.Value() for number in range(entries)}
    ).SerializeToString()


@pytest.mark.parametrize(
    ("raw", "read"),
    [
        (in_a_node(2, b"", MAX_MESSAGES - 1), True),
        (in_a_node(2, b"", MAX_MESSAGES), False),
        (in_a_node(4, a_map(MAX_MESSAGES // 2 - 1)), True),
        (in_a_node(4, a_map(MAX_MESSAGES // 2)), False),
    ],
    ids=["as many as may be", "one too many", "entries of a map", "too many entries"],
)
def test_a_value_of_too_many_messages_is_refused(raw: bytes, read: bool) -> None:
    if read:
        assert CONFLUENT.decode(record(raw, key=b"k"))[0].id == "a"
        return
    with pytest.raises(DecodeError) as refused:
        CONFLUENT.decode(record(raw, key=b"k"))
    assert refused.value.cause == "t.Node: more than 100000 messages in one value"


def test_a_schema_that_multiplies_values_is_refused_and_a_deep_one_is_cheap() -> None:
    """Thirty types each contain the next one twice: 2^30 records, from no bytes at all or from 2^30 longs."""
    for leaf, refused in (("null", True), ("long", False)):
        inner: Any = leaf
        for number in range(30):
            fields = [
                {"name": "a", "type": inner},
                {"name": "b", "type": f"R{number - 1}" if number else leaf},
            ]
            inner = {"type": "record", "name": f"R{number}", "fields": fields}
        began = time.thread_time()
        if refused:
            with pytest.raises(DefinitionError, match="thousands of nested values"):
                avro_schema(inner, (), "s")
        else:
            with pytest.raises(DecodeError):
                avro_schema(inner, (), "s").read_bytes(bytes(1000), "here")
        assert time.thread_time() - began < 5
    fields = [{"name": f"f{number}", "type": ["null", f"R{number}"]} for number in range(12)]
    types = [{"type": "record", "name": f"R{number}", "fields": fields} for number in range(12)]
    began = time.thread_time()
    schema = avro_schema("R0", types, "s")
    assert schema.read_bytes(bytes(12), "here").document["f11"] is None
    assert time.thread_time() - began < 5, "must not visit every path through the types"


def test_nested_messages_are_refused_beyond_a_depth() -> None:
    raw = b"\x0a\x01a"
    for _ in range(MAX_NESTING):
        raw = b"\x12" + _varint(len(raw)) + raw
    with pytest.raises(DecodeError):
        CONFLUENT.decode(record(b"\0\0\0\0\4\0" + raw))


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


@pytest.mark.parametrize("raw", FRAMED[:2])
def test_every_truncation_of_an_avro_value_is_refused(raw: bytes) -> None:
    for length in range(len(raw)):
        with pytest.raises((DecodeError, SchemaNeeded)):
            CONFLUENT.decode(record(raw[:length]))
