"""Bytes that are made to hurt. The limits stand where the process would otherwise die or hang."""

from decimal import Decimal
from io import BytesIO

import pytest
from fastavro import schemaless_writer
from hypothesis import given
from hypothesis import strategies as st

from bridge.decode.careful import SAFE_LENGTH, HostileBytes, read_long, safe_bytes, walk
from bridge.decode.definitions import Scope
from bridge.decode.schema_set import Schema
from bridge.decode.single_object import MARKER, read
from bridge.demo.fineract_wire import _long
from bridge.errors import DecodeError
from bridge.schemas import read_folder
from tests.support.records import shared_fineract


def schema_of(*types, name="X") -> Schema:
    scope = Scope("test")
    fields = [{"name": f"f{number}", "type": kind} for number, kind in enumerate(types)]
    scope.add({"type": "record", "name": name, "fields": fields}, "test.avsc")
    return next(schema for schema in scope.schemas() if schema.name == name)


def refused(schema, data):
    with pytest.raises(DecodeError) as caught:
        read(MARKER + schema.fingerprint + data, schema, "here")
    return str(caught.value)


NODE = schema_of(["null", "X"])
ARRAYS = schema_of({"type": "array", "items": "X"})


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_long_is_read_as_it_was_written(number):
    raw = _long(number)
    assert read_long(b"xx" + raw + b"x", 2) == (number, 2 + len(raw))


@pytest.mark.parametrize(("schema", "level"), [(NODE, b"\2"), (ARRAYS, b"\2")])
@pytest.mark.parametrize("levels", [1_000, 100_000, 1_000_000])
def test_deep_nesting_is_refused_and_does_not_end_the_process(schema, level, levels):
    """Without the walk fastavro overflows the C stack here: exit code 139, and again at each restart."""
    data = level * levels + b"\0" * levels
    assert "nested" in refused(schema, data + b"\0" * 2000)


def test_a_real_depth_is_decoded():
    data = b"\2" * 150 + b"\0"
    value = read(MARKER + NODE.fingerprint + data, NODE, "here")
    for _ in range(150):
        value = value["f0"]
    assert value == {"f0": None}


def test_a_record_that_holds_itself_has_no_value():
    assert "nested" in refused(schema_of("X"), b"")


def test_items_that_take_no_bytes_cannot_be_claimed_by_the_billion():
    empty = {"type": "record", "name": "Empty", "fields": [{"name": "n", "type": "null"}]}
    for items in ("null", empty):
        schema = schema_of({"type": "array", "items": items})
        assert schema.safe_bytes == -1
        assert "items where" in refused(schema, _long(2**40) + b"\0")
        assert "items where" in refused(schema, _long(-(2**40)) + b"\0\0")


@pytest.mark.parametrize(
    "kind", ["bytes", "string", {"type": "map", "values": "null"}, {"type": "array", "items": "long"}]
)
@pytest.mark.parametrize("length", [2**31, 2**60, -1, -(2**63)])
def test_a_length_that_is_not_there_is_refused_without_taking_memory(kind, length):
    assert refused(schema_of(kind), _long(length) + b"abc")
    with pytest.raises(HostileBytes):
        walk(schema_of(kind).parsed, {}, _long(length) + b"abc")


def test_a_huge_decimal_is_refused_before_it_costs_seconds():
    data = b"\x7f" * 400_000
    assert "a decimal of 400000 bytes" in refused(schema_of("bigdecimal"), _long(len(data)) + data)


def test_what_a_length_is_safe_for_follows_from_the_bytes_between_two_entries():
    assert schema_of("string").safe_bytes == SAFE_LENGTH
    assert NODE.safe_bytes == 1000
    assert schema_of("double", ["null", "X"]).safe_bytes == 9000
    assert (
        safe_bytes(schema_of(["null", "X"], "double").parsed, schema_of(["null", "X"], "double").named)
        == 1000
    )


def test_types_that_hold_each_other_count_together():
    other = {"type": "record", "name": "Y", "fields": [{"name": "x", "type": ["null", "X"]}]}
    assert schema_of(["null", other]).safe_bytes == 1000


def test_fineracts_recursive_schemas_are_decoded_at_once_up_to_ten_kilobytes():
    for schema in read_folder(shared_fineract() / "schemas").by_fingerprint.values():
        assert schema.safe_bytes >= 10_000


EVERYTHING = schema_of(
    "null",
    "boolean",
    "int",
    "long",
    "float",
    "double",
    "bytes",
    "string",
    "bigdecimal",
    ["null", "string", "long"],
    {"type": "array", "items": ["null", "X"]},
    {"type": "map", "values": "bytes"},
    {"type": "enum", "name": "E", "symbols": ["A", "B"]},
    {"type": "fixed", "name": "F", "size": 3},
)


def everything(depth=1):
    return {
        "f0": None,
        "f1": True,
        "f2": -5,
        "f3": 2**62,
        "f4": 1.5,
        "f5": -2.5,
        "f6": b"\0\1",
        "f7": "né",
        "f8": Decimal("7.5"),
        "f9": "x",
        "f10": [None, everything(depth - 1)] if depth else [],
        "f11": {"k": b"v"},
        "f12": "B",
        "f13": b"abc",
    }


def encoded():
    stream = BytesIO()
    schemaless_writer(stream, EVERYTHING.parsed, everything())
    return stream.getvalue()


def test_a_walk_passes_what_decodes():
    walk(EVERYTHING.parsed, EVERYTHING.named, encoded())
    assert read(MARKER + EVERYTHING.fingerprint + encoded(), EVERYTHING, "here")["f10"][1]["f7"] == "né"


def test_a_walk_refuses_what_is_cut_short():
    data = encoded()
    for length in range(len(data)):
        with pytest.raises(HostileBytes):
            walk(EVERYTHING.parsed, EVERYTHING.named, data[:length])


def test_a_walk_refuses_a_branch_that_does_not_exist():
    for index in (2, -1):
        with pytest.raises(HostileBytes, match="branch"):
            walk(NODE.parsed, NODE.named, _long(index))
