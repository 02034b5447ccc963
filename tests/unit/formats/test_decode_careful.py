"""Malicious bytes are refused before they crash or block the process."""

import random
from decimal import Context, Decimal
from io import BytesIO

import pytest
from fastavro import schemaless_reader, schemaless_writer
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.demo.fineract_wire import encode_long
from bridge.errors import DecodeError
from bridge.formats.avro.bounds import read_long
from bridge.formats.avro.single_object import MARKER, read
from bridge.schemas.folder import read_folder
from tests.support.avro_schemas import EVERYTHING, encoded, everything, schema_of
from tests.support.avro_values import filled
from tests.support.records import shared_fineract


def refused(schema, data):
    with pytest.raises(DecodeError) as caught:
        read(MARKER + schema.fingerprint + data, schema, "here")
    return str(caught.value)


NODE = schema_of(["null", "X"])
ARRAYS = schema_of({"type": "array", "items": "X"})


@given(st.integers(-(2**63), 2**63 - 1))
def test_a_long_is_decoded_as_it_was_encoded(number):
    raw = encode_long(number)
    assert read_long(b"xx" + raw + b"x", 2) == (number, 2 + len(raw))


@pytest.mark.parametrize("tenth", range(2, 128))
def test_a_long_has_no_more_than_64_bits(tenth):
    """JSON cannot hold more, so such an event would be parked only when its request is written."""
    raw = b"\xff" * 9 + bytes([tenth])
    assert "more than 64 bits" in refused(schema_of("long"), raw)


@pytest.mark.parametrize(("schema", "level"), [(NODE, b"\2"), (ARRAYS, b"\2")])
@pytest.mark.parametrize("levels", [1_000, 100_000, 1_000_000])
def test_deep_nesting_is_refused_without_crashing_the_process(schema, level, levels):
    """fastavro overflows the C stack here: exit code 139, and again at each restart."""
    data = level * levels + b"\0" * levels
    assert "nested" in refused(schema, data + b"\0" * 2000)


def test_usual_nesting_is_decoded():
    data = b"\2" * 150 + b"\0"
    value = read(MARKER + NODE.fingerprint + data, NODE, "here")
    for _ in range(150):
        value = value["f0"]
    assert value == {"f0": None}


def test_a_record_that_contains_itself_is_refused():
    assert "nested" in refused(schema_of("X"), b"")


def test_billions_of_items_that_take_no_bytes_are_refused():
    empty = {"type": "record", "name": "Empty", "fields": [{"name": "n", "type": "null"}]}
    for items in ("null", empty):
        schema = schema_of({"type": "array", "items": items})
        assert "bytes are left" in refused(schema, encode_long(2**40) + b"\0")
        assert "bytes are left" in refused(schema, encode_long(-(2**40)) + b"\0\0")
        assert "take no bytes" in refused(schema, encode_long(500) + b"\0" * 1000), "nor again in every block"


FIXED = {"type": "fixed", "name": "F", "size": 100}
DECIMALS = {"type": "fixed", "name": "D", "size": 100, "logicalType": "decimal", "precision": 9}
WIDE = {
    "type": "record",
    "name": "Wide",
    "fields": [{"name": "a", "type": FIXED}, {"name": "b", "type": DECIMALS}, {"name": "c", "type": "null"}],
}


@pytest.mark.parametrize("items", [FIXED, DECIMALS, WIDE], ids=["fixed", "decimal", "record"])
@pytest.mark.parametrize("sign", [1, -1])
def test_no_more_items_of_a_fixed_size_are_read_than_the_bytes_can_hold(items, sign):
    """Nothing else ends such a list early: reading a fixed past the end does not fail."""
    schema = schema_of({"type": "array", "items": items})
    size = 200 if items is WIDE else 100
    block = encode_long(3) if sign > 0 else encode_long(-3) + encode_long(3 * size)
    whole = block + bytes(3 * size) + b"\0"
    assert len(read(MARKER + schema.fingerprint + whole, schema, "here")["f0"]) == 3
    for missing in (2, size, 3 * size):
        assert "a block of 3 items" in refused(schema, whole[:-missing])


@pytest.mark.parametrize(
    "kind", ["bytes", "string", {"type": "map", "values": "null"}, {"type": "array", "items": "long"}]
)
@pytest.mark.parametrize("length", [2**31, 2**60, -1, -(2**63)])
def test_a_length_beyond_the_end_is_refused_without_allocating_memory(kind, length):
    assert refused(schema_of(kind), encode_long(length) + b"abc")


def test_a_huge_decimal_is_refused_before_it_is_computed():
    data = b"\x7f" * 400_000
    assert "a decimal of 400000 bytes" in refused(schema_of("bigdecimal"), encode_long(len(data)) + data)


def decoded(data):
    return read(MARKER + EVERYTHING.fingerprint + data, EVERYTHING, "here")


def test_every_type_is_decoded_as_it_was_encoded():
    assert decoded(encoded()) == everything()


def test_truncated_values_are_refused():
    data = encoded()
    for length in range(len(data)):
        assert refused(EVERYTHING, data[:length])


def test_a_union_branch_that_does_not_exist_is_refused():
    for index in (2, -1, 64, 2**40):
        assert "no branch" in refused(NODE, encode_long(index))
        assert "no branch" in refused(schema_of(["string", "long", "X"]), encode_long(index + (index == 2)))
        symbols = {"type": "enum", "name": "E", "symbols": ["A", "B"]}
        assert "an enumeration has no branch" in refused(schema_of(symbols), encode_long(index))


@pytest.mark.parametrize("order", [["null", "long"], ["long", "null"]])
def test_null_may_be_either_branch_of_a_union(order):
    schema = schema_of(order)
    for value in (None, 7):
        stream = BytesIO()
        schemaless_writer(stream, schema.parsed, {"f0": value})
        assert read(MARKER + schema.fingerprint + stream.getvalue(), schema, "here") == {"f0": value}


KINDS = st.recursive(
    st.sampled_from(["null", "boolean", "int", "long", "float", "double", "bytes", "string", "bigdecimal"]),
    lambda inner: st.one_of(
        inner.map(lambda items: {"type": "array", "items": items}),
        inner.map(lambda values: {"type": "map", "values": values}),
        st.sampled_from(["boolean", "long", "double", "bytes", "string", "bigdecimal"]).flatmap(
            lambda kind: st.permutations(["null", kind])
        ),
    ),
    max_leaves=4,
).filter(lambda kind: "null" not in str(kind).replace("['null'", "").replace("'null']", "") or kind == "null")


@settings(deadline=None, max_examples=400)
@given(st.lists(KINDS, min_size=1, max_size=6), st.integers(0, 99))
def test_values_encoded_by_another_library_decode_as_it_decodes_them(kinds, index):
    schema = schema_of(*kinds)
    value = generate_one_of(schema.parsed, index)
    stream = BytesIO()
    schemaless_writer(stream, schema.parsed, value)
    raw = stream.getvalue()
    stream.seek(0)
    expected = schemaless_reader(stream, schema.parsed, None)
    assert read(MARKER + schema.fingerprint + raw, schema, "here") == expected
    for length in range(0, len(raw), max(1, len(raw) // 20)):
        refused(schema, raw[:length])


def generate_one_of(parsed, index):
    """Return a random value of a schema; decimals fit its scale."""
    random.seed(index)
    return {field["name"]: generated(field["type"]) for field in parsed["fields"]}


def generated(kind):
    if isinstance(kind, list):
        return generated(random.choice(kind))
    name = kind["type"] if isinstance(kind, dict) else kind
    if name == "array":
        return [generated(kind["items"]) for _ in range(random.randrange(4))]
    if name == "map":
        return {f"k{one}": generated(kind["values"]) for one in range(random.randrange(4))}
    if isinstance(kind, dict) and kind.get("logicalType") == "decimal":
        return Decimal(random.randrange(-(10**30), 10**30)).scaleb(-8, Context(prec=60))
    return {
        "null": None, "boolean": random.random() < 0.5, "int": random.randrange(-(2**31), 2**31),
        "long": random.choice((0, -1, 63, 64, -65, 2**62, -(2**63))), "float": 1.5, "double": random.random(),
        "bytes": random.randbytes(random.choice((0, 1, 63, 64, 200))), "string": "né" * random.randrange(50),
    }[name]  # fmt: skip


def test_every_fineract_schema_decodes_values_encoded_by_another_library():
    """Each layout of two releases, once with every field set and once with every field null."""
    for schema in read_folder(shared_fineract() / "schemas").by_fingerprint.values():
        for full in (True, False):
            value = filled(schema.parsed, schema.named, full)
            stream = BytesIO()
            schemaless_writer(stream, schema.parsed, value)
            raw = stream.getvalue()
            stream.seek(0)
            assert read(MARKER + schema.fingerprint + raw, schema, "here") == schemaless_reader(
                stream, schema.parsed, None
            )
