"""Decoding some fields of a record has the same values, and refuses the same bytes, as decoding all of it."""

import random
from decimal import Context, Decimal
from io import BytesIO

import pytest
from fastavro import schemaless_writer
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.formats.avro import skipped
from bridge.formats.avro.bounds import MalformedBytes
from bridge.formats.avro.partial import PartPlan
from bridge.formats.non_finite import has_non_finite
from bridge.schemas.folder import read_folder
from tests.support.avro_schemas import EVERYTHING, everything, schema_of
from tests.support.avro_values import filled
from tests.support.records import shared_fineract


@pytest.fixture(params=["patterns", "steps"], autouse=True)
def warmth(request, monkeypatch):
    """Skip by compiled patterns from the first record on, or never."""
    monkeypatch.setattr(skipped, "_WARM_UP", -(10**6) if request.param == "patterns" else 10**6)


LEAVES = [
    "null", "boolean", "int", "long", "float", "double", "bytes", "string", "bigdecimal",
    "enum", "fixed", "fixed decimal", "X",
]  # fmt: skip
KINDS = st.recursive(
    st.sampled_from(LEAVES),
    lambda inner: st.one_of(
        inner.map(lambda items: ["array", items]),
        inner.map(lambda values: ["map", values]),
        st.tuples(inner, st.booleans()).map(lambda of: ["null", *of]),
        st.lists(inner, min_size=1, max_size=5).map(lambda fields: ["record", *fields]),
        st.just(["union"]),
    ),
    max_leaves=12,
)


def definition(kind, number, inside="F"):
    """Return the Avro definition of a kind; its named types get names of their own."""
    name = f"{inside}{number}"
    if kind == "X":
        return ["null", "X"]
    if isinstance(kind, str):
        return {
            "enum": {"type": "enum", "name": name, "symbols": ["A", "B", "C"]},
            "fixed": {"type": "fixed", "name": name, "size": 3},
            "fixed decimal": {"type": "fixed", "name": name, "size": 9, "logicalType": "decimal",
                              "precision": 20, "scale": 3},
        }.get(kind, kind)  # fmt: skip
    head, *rest = kind
    if head == "record":
        fields = [{"name": f"f{n}", "type": definition(one, n, f"{name}_")} for n, one in enumerate(rest)]
        return {"type": "record", "name": name, "fields": fields}
    if head == "union":
        return ["null", "string", "long"]
    if head == "null":
        other = definition(rest[0], 0, f"{name}_")
        if isinstance(other, list) or other == "null":
            return other
        return ["null", other] if rest[1] else [other, "null"]
    return {"type": head, "items" if head == "array" else "values": definition(rest[0], 0, f"{name}_")}


def generated(kind, named, dice, depth=0):
    if isinstance(kind, list):
        return generated(
            dice.choice(kind) if depth < 6 else "null" if "null" in kind else kind[0], named, dice, depth
        )
    name = kind["type"] if isinstance(kind, dict) else kind
    if name == "record":
        return {one["name"]: generated(one["type"], named, dice, depth + 1) for one in kind["fields"]}
    if name == "array":
        return [generated(kind["items"], named, dice, depth + 1) for _ in range(dice.randrange(4))]
    if name == "map":
        return {f"k{n}": generated(kind["values"], named, dice, depth + 1) for n in range(dice.randrange(4))}
    if isinstance(kind, dict) and kind.get("logicalType") == "decimal":
        most = 10**15 if name == "fixed" else 10 ** dice.choice((3, 15, 30))
        return Decimal(dice.randrange(-most, most)).scaleb(-kind.get("scale", 0), Context(prec=60))
    if name == "enum":
        return dice.choice(kind["symbols"])
    if name == "fixed":
        return dice.randbytes(kind["size"])
    if name in named and not isinstance(kind, dict):
        return generated(named[name], named, dice, depth + 1)
    return {
        "null": None, "boolean": dice.random() < 0.5, "int": dice.randrange(-(2**31), 2**31),
        "long": dice.choice((0, -1, 63, 64, -65, 2**62, -(2**63))), "float": 1.5, "double": dice.random(),
        "bytes": dice.randbytes(dice.choice((0, 1, 63, 64, 200))),
        "string": dice.choice(("", "abc", "né" * dice.randrange(30), "x" * dice.randrange(90))),
    }[name]  # fmt: skip


def written(schema, value):
    stream = BytesIO()
    schemaless_writer(stream, schema.parsed, value)
    return stream.getvalue()


def paths_of(value, prefix=()):
    """Yield the path of each value that objects lead to."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield (*prefix, name)
            yield from paths_of(inner, (*prefix, name))


ABSENT = object()


def found(value, path):
    for name in path:
        value = value.get(name, ABSENT) if isinstance(value, dict) else ABSENT
    return value


def chosen(dice, value):
    """Return a few paths, some of which lead nowhere."""
    known = [*paths_of(value), ("nope",), ("f0", "nope"), ("f1", "f0", "nope")]
    return frozenset(dice.sample(known, min(len(known), dice.randrange(4))))


def whole(schema, data):
    """Return what the plan for everything decodes; None if it refuses the bytes, or JSON would."""
    try:
        value = schema.plan.read(data, 0)
    except MalformedBytes:
        return None
    return None if has_non_finite(value) else value


def part(schema, paths, data):
    """Read three times: patterns are compiled in the first one, and what they do not match is split then."""
    plan = PartPlan(schema.plan, paths)
    values = [read_part(plan, data) for _ in range(3)]
    assert values == [values[0]] * 3
    return values[0]


def read_part(plan, data):
    try:
        return plan.read(data, 0)
    except MalformedBytes:
        return None


def damaged(dice, data):
    """Return the bytes with a few of them changed, lost or added."""
    raw = bytearray(data)
    for _ in range(dice.randrange(1, 4)):
        at = dice.randrange(len(raw) + 1)
        match dice.randrange(4):
            case 0:
                raw[at : at + 1] = bytes([dice.choice((0, 1, 2, 4, 0x7F, 0x80, 0xFF, dice.randrange(256)))])
            case 1:
                del raw[at : at + dice.randrange(1, 4)]
            case 2:
                raw[at:at] = dice.randbytes(dice.randrange(1, 4))
            case 3:
                del raw[at:]
    return bytes(raw)


@settings(deadline=None, max_examples=100)
@given(st.lists(KINDS, min_size=1, max_size=8), st.integers(0, 10**6))
def test_asked_fields_have_the_same_values_and_damage_anywhere_is_found(kinds, seed):
    dice = random.Random(seed)
    schema = schema_of(*(definition(kind, n) for n, kind in enumerate(kinds)))
    value = generated(schema.parsed, schema.named, dice)
    data = written(schema, value)
    paths = chosen(dice, value)
    plan = PartPlan(schema.plan, paths)
    expected, partly = whole(schema, data), read_part(plan, data)
    assert (partly is None) == (expected is None), "null has no bytes, so a list of it is refused"
    assert [found(partly, path) for path in paths] == [found(expected, path) for path in paths]
    for _ in range(30):
        raw = damaged(dice, data)
        expected, partly = whole(schema, raw), read_part(plan, raw)
        if partly is not None:
            assert expected is not None, "the fields that were left out have damage that was not found"
            assert [found(partly, path) for path in paths] == [found(expected, path) for path in paths]
        elif expected is not None:
            assert nested(expected) > 40, "only deep values are left to the plan for everything"


def nested(value):
    if isinstance(value, dict | list):
        return 1 + max(map(nested, value.values() if isinstance(value, dict) else value), default=0)
    return 0


def test_what_is_left_out_is_not_built():
    data = written(EVERYTHING, everything())
    assert part(EVERYTHING, frozenset({("f1",), ("f7",)}), data) == {"f1": True, "f7": "né"}
    assert part(EVERYTHING, frozenset(), data) == {}


def test_a_record_on_the_way_holds_only_what_is_asked_for():
    inner = {"type": "record", "name": "Y", "fields": [{"name": n, "type": "long"} for n in "abc"]}
    schema = schema_of(["null", inner], "long")
    data = written(schema, {"f0": {"a": 1, "b": 2, "c": 3}, "f1": 4})
    assert part(schema, frozenset({("f0", "b")}), data) == {"f0": {"b": 2}}
    assert part(schema, frozenset({("f0", "b"), ("f0",)}), data) == {"f0": {"a": 1, "b": 2, "c": 3}}
    assert part(schema, frozenset({("f0", "b")}), written(schema, {"f0": None, "f1": 4})) == {"f0": None}


BAD = {
    "a text that is not UTF-8": ("string", b"\6a\xff\xfe"),
    "a text cut in a letter": (["null", "string"], b"\2\2\xc3"),
    "a symbol that does not exist": ({"type": "enum", "name": "E", "symbols": ["A", "B"]}, b"\4"),
    "a branch that does not exist": (["null", "long"], b"\4\0"),
    "a branch of a record that does not exist": (
        ["null", {"type": "record", "name": "R", "fields": [{"name": "a", "type": ["null", "X"]}]}],
        b"\4\0",
    ),
    "a branch of a list that does not exist": (["null", {"type": "array", "items": "X"}], b"\4\0"),
    "a branch of three that does not exist": (["null", "string", "long"], b"\6\0"),
    "a number that is not one": ("double", bytes.fromhex("000000000000f87f")),
    "an infinite number": (["null", "double"], b"\2" + bytes.fromhex("000000000000f0ff")),
    "an infinite number in a list": ({"type": "array", "items": "float"}, b"\2\0\0\x80\x7f\0"),
    "a number of eleven bytes": ("long", b"\xff" * 10 + b"\1"),
    "a number of more than 64 bits": ("long", b"\xff" * 9 + b"\2"),
    "more items of a fixed size than bytes": (
        {"type": "array", "items": {"type": "fixed", "name": "F", "size": 9}},
        b"\xc8\1" + b"\1" * 110,
    ),
    "a decimal of more than 1,024 bytes": ("bigdecimal", b"\x82\x10" + b"\1" * 1025),
    "a negative length": ("bytes", b"\1"),
    "a list of items that take no bytes": ({"type": "array", "items": "null"}, b"\2\0"),
    "more items than bytes": ({"type": "array", "items": "long"}, b"\x7e\1\0"),
    "values nested 201 deep": (["null", "X"], b"\2" * 201 + b"\0" + b"\2" * 201),
    "values nested deeper than Python calls": (["null", "X"], b"\2" * 5000 + b"\0" + b"\2" * 5000),
}


@pytest.mark.parametrize("kind", BAD)
def test_damage_in_a_field_that_is_left_out_is_found(kind):
    type_, raw = BAD[kind]
    schema = schema_of(type_, "long")
    data = raw + b"\2"
    assert whole(schema, data) is None, "the example is damaged"
    assert part(schema, frozenset({("f1",)}), data) is None
    assert part(schema, frozenset({("f0",)}), data) is None, "nor is it accepted in a field that is asked for"


@pytest.mark.parametrize("kind", ["string", "bytes", "bigdecimal", {"type": "fixed", "name": "F", "size": 3}])
def test_a_last_field_that_is_left_out_does_not_end_after_the_bytes(kind):
    schema = schema_of("long", kind)
    data = b"\2" + (b"abc" if isinstance(kind, dict) else b"\6abc")
    assert part(schema, frozenset({("f0",)}), data) == {"f0": 1}
    for length in range(1, len(data)):
        assert whole(schema, data[:length]) is None
        assert part(schema, frozenset({("f0",)}), data[:length]) is None


def test_a_list_that_is_left_out_may_have_the_size_of_its_blocks():
    """A count below zero is followed by the size; fastavro never writes so, Java's writer for blocks does."""
    schema = schema_of({"type": "array", "items": "long"}, "long")
    data = b"\1\2\6" + b"\3\4\2\4" + b"\0" + b"\x0a"
    assert whole(schema, data) == {"f0": [3, 1, 2], "f1": 5}
    assert part(schema, frozenset({("f1",)}), data) == {"f1": 5}


def test_a_zero_that_takes_two_bytes_ends_a_list_as_in_the_plan_for_everything():
    schema = schema_of({"type": "array", "items": "long"}, "long", "long")
    for data in (b"\x80\0\2\4", b"\2\6\x80\0\2\4", b"\x80\0\2\4\0"):
        expected = whole(schema, data)
        partly = part(schema, frozenset({("f2",)}), data)
        assert (partly and partly["f2"]) == (expected and expected["f2"])


def test_fields_of_fineracts_payloads_have_the_same_value_alone():
    dice = random.Random(7)
    for schema in list(read_folder(shared_fineract() / "schemas").by_fingerprint.values())[::4]:
        for full in (True, False):
            data = written(schema, filled(schema.parsed, schema.named, full))
            expected = whole(schema, data)
            for path in dice.sample([*paths_of(expected)], min(3, len([*paths_of(expected)]))):
                plan = PartPlan(schema.plan, frozenset({path}))
                partly = read_part(plan, data)
                assert partly is not None
                assert found(partly, path) == found(expected, path)
                for _ in range(10):
                    raw = damaged(dice, data)
                    if read_part(plan, raw) is not None:
                        assert whole(schema, raw) is not None
