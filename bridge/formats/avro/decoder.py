"""Decode Avro values: compile a schema into steps once, then read the bytes in one pass.

Binary encoding: Avro 1.11, "Binary Encoding". Why this decoder is our own: ``docs/adr/0012``.

Slices never fail and the position only grows, so one comparison at the end detects nearly every read
past the end. Code that could loop or allocate before that checks its own bound.
"""

from __future__ import annotations

from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal
from struct import Struct, error
from typing import Any, NamedTuple

from bridge.formats.avro.bounds import MAX_DECIMAL_BYTES, MAX_NESTING, MalformedBytes, read_length, read_long

Named = dict[str, Any]
"""Full name to definition, for every named type that a schema uses."""

DECIMAL, RECORD, BOOLEAN, LONG, STRING, BYTES, DOUBLE, FLOAT, NULL = range(9)
ENUM, FIXED, FIXED_DECIMAL, ARRAY, MAP, UNION = range(9, 15)
_PRIMITIVES = {
    "string": STRING, "long": LONG, "int": LONG, "boolean": BOOLEAN, "bytes": BYTES, "double": DOUBLE,
    "float": FLOAT, "null": NULL,
}  # fmt: skip
_NEVER = -1
_EXACT = Context(prec=3 * MAX_DECIMAL_BYTES, Emax=MAX_EMAX, Emin=MIN_EMIN)
"""More digits than the longest decimal has, so that no value is rounded."""
_integer = int.from_bytes
_read_double, _read_float = Struct("<d").unpack_from, Struct("<f").unpack_from


class Step(NamedTuple):
    """How to read one value. ``null`` is the byte of null in a union of null and this type."""

    name: str
    null: int
    kind: int
    more: Any


class Plan:
    """Decodes values of one schema."""

    def __init__(self, schema: Any, named: Named) -> None:
        """Compile ``schema``, as parsed by fastavro; ``named`` holds every type that it refers to.

        Raises ``ValueError`` and ``KeyError`` if it is not a valid schema.
        """
        self._records: dict[str, list[Step]] = {}
        self._least: dict[str, int] = {}
        self._named = named
        self.has_fractions = False
        """True if a value may contain a binary fraction, which may not be finite."""
        self.root = self._compile("", schema)

    def read(self, data: bytes, at: int) -> Any:
        """Decode the value from ``at`` to the end of the data. Raises ``MalformedBytes``."""
        try:
            value, end = _read_value(self.root, data, at, 0)
        except (IndexError, error):
            raise MalformedBytes("the bytes end inside a value") from None
        except UnicodeDecodeError as exc:
            raise MalformedBytes(f"a text is not UTF-8 ({exc.reason})") from exc
        if end != len(data):
            raise MalformedBytes(
                "the bytes end inside a value"
                if end > len(data)
                else f"{len(data) - end} bytes are left over after the value"
            )
        return value

    def _compile(self, name: str, schema: Any) -> Step:  # noqa: PLR0911 - one per kind of type
        if isinstance(schema, list):
            if len(schema) == 2 and "null" in schema:
                other = self._compile(name, schema[schema[0] == "null"])
                if other.null == _NEVER and other.kind not in (NULL, UNION):
                    return other._replace(null=2 * schema.index("null"))
            return Step(name, _NEVER, UNION, tuple(self._compile("", branch) for branch in schema))
        kind = schema["type"] if isinstance(schema, dict) else schema
        if isinstance(schema, dict) and schema.get("logicalType") == "decimal" and kind in ("bytes", "fixed"):
            if kind == "fixed":
                return Step(name, _NEVER, FIXED_DECIMAL, (-schema.get("scale", 0), _size(schema)))
            return Step(name, _NEVER, DECIMAL, -schema.get("scale", 0))
        if kind in _PRIMITIVES:
            self.has_fractions |= kind in ("double", "float")
            return Step(name, _NEVER, _PRIMITIVES[kind], None)
        if kind == "record":
            return Step(name, _NEVER, RECORD, self._fields(schema))
        if kind == "array":
            items = self._compile("", schema["items"])
            return Step(name, _NEVER, ARRAY, (items, self._least_bytes(schema["items"], frozenset())))
        if kind == "map":
            return Step(name, _NEVER, MAP, self._compile("", schema["values"]))
        if kind == "enum":
            return Step(name, _NEVER, ENUM, schema["symbols"])
        if kind == "fixed":
            return Step(name, _NEVER, FIXED, _size(schema))
        return self._compile(name, self._named[kind])

    def _fields(self, record: dict[str, Any]) -> list[Step]:
        steps = self._records.get(record["name"])
        if steps is None:
            steps = self._records[record["name"]] = []  # before its fields, one of which may be this type
            steps += [self._compile(field["name"], field["type"]) for field in record["fields"]]
        return steps

    def _least_bytes(self, schema: Any, inside: frozenset[str]) -> int:
        """Return how many bytes every value takes at least, 1 for most types.

        Those that may take none, and those made of ``fixed``, are exact: reading a ``fixed`` past the end
        does not fail. A type that contains itself never ends.
        """
        kind = schema["type"] if isinstance(schema, dict) else schema
        if isinstance(schema, list) or kind not in ("null", "record", "fixed", *self._named):
            return 1
        if kind in ("null", "fixed"):
            return _size(schema) if kind == "fixed" else 0
        record = schema if kind == "record" else self._named[kind]
        name = record["name"]
        if record["type"] != "record":
            return self._least_bytes(record, inside)
        if name in inside:
            return 1
        if name not in self._least:
            self._least[name] = sum(
                self._least_bytes(field["type"], inside | {name}) for field in record["fields"]
            )
        return self._least[name]


def _size(fixed: dict[str, Any]) -> int:
    size = fixed["size"]
    if not isinstance(size, int) or size < 0:
        raise ValueError("a fixed type needs a size in bytes, 0 or more")
    return size


def read_record(fields: dict[str, Any], steps: list[Step], data: bytes, at: int, depth: int) -> int:  # noqa: PLR0912
    """Read the fields of a record into ``fields``, and return their end.

    This is the hot loop: the types of financial data are inlined, the most frequent ones first.
    """
    if depth > MAX_NESTING:
        raise MalformedBytes(f"values are nested more than {MAX_NESTING} deep")
    for name, null, kind, more in steps:
        if null >= 0:
            branch = data[at]
            at += 1
            if branch == null:
                fields[name] = None
                continue
            if branch != 2 - null:
                raise MalformedBytes(f"a union of two has no branch {read_long(data, at - 1)[0]}")
        if kind == STRING:
            length = data[at]
            if length & 0x81:  # two bytes or more, or negative
                length, at = read_length(data, at)
            else:
                length >>= 1
                at += 1
            end = at + length
            fields[name] = data[at:end].decode()
            at = end
        elif kind == DECIMAL:
            length = data[at]
            if length & 0x81:
                length, at = read_length(data, at)
                if length > MAX_DECIMAL_BYTES:
                    raise MalformedBytes(f"a decimal of {length} bytes, the limit is {MAX_DECIMAL_BYTES}")
            else:
                length >>= 1
                at += 1
            end = at + length
            fields[name] = Decimal(_integer(data[at:end], "big", signed=True)).scaleb(more, _EXACT)
            at = end
        elif kind == LONG:
            number = data[at]
            if number > 0x7F:
                fields[name], at = read_long(data, at)
            else:
                fields[name] = (number >> 1) ^ -(number & 1)
                at += 1
        elif kind == RECORD:
            inner: dict[str, Any] = {}
            fields[name] = inner
            at = read_record(inner, more, data, at, depth + 1)
        elif kind == BOOLEAN:
            fields[name] = data[at] != 0
            at += 1
        else:
            fields[name], at = _read_other(kind, more, data, at, depth)
    return at


def _read_value(step: Step, data: bytes, at: int, depth: int) -> tuple[Any, int]:
    fields: dict[str, Any] = {}
    if step.kind == RECORD and step.null < 0:
        return fields, read_record(fields, step.more, data, at, depth)
    at = read_record(fields, [step], data, at, depth)
    return fields[step.name], at


def _read_other(kind: int, more: Any, data: bytes, at: int, depth: int) -> tuple[Any, int]:  # noqa: PLR0911
    if kind == BYTES:
        length, at = read_length(data, at)
        return data[at : at + length], at + length
    if kind == ARRAY:
        return _read_array(more, data, at, depth + 1)
    if kind == MAP:
        return _read_map(more, data, at, depth + 1)
    if kind == NULL:
        return None, at
    if kind == DOUBLE:
        return _read_double(data, at)[0], at + 8
    if kind == FLOAT:
        return _read_float(data, at)[0], at + 4
    if kind == FIXED:
        return data[at : at + more], at + more
    if kind == FIXED_DECIMAL:
        exponent, size = more
        return Decimal(_integer(data[at : at + size], "big", signed=True)).scaleb(exponent, _EXACT), at + size
    index, at = read_long(data, at)
    if not 0 <= index < len(more):
        raise MalformedBytes(f"{'an enumeration' if kind == ENUM else 'a union'} has no branch {index}")
    return (more[index], at) if kind == ENUM else _read_value(more[index], data, at, depth + 1)


def _read_array(more: tuple[Step, int], data: bytes, at: int, depth: int) -> tuple[list[Any], int]:
    items, least_bytes = more
    values = list[Any]()
    while True:
        count, at = read_block(data, at, least_bytes)
        if not count:
            return values, at
        if not least_bytes:
            raise MalformedBytes(f"a block of {count} items that take no bytes")
        for _ in range(count):
            item, at = _read_value(items, data, at, depth)
            values.append(item)


def _read_map(values: Step, data: bytes, at: int, depth: int) -> tuple[dict[str, Any], int]:
    entries: dict[str, Any] = {}
    while True:
        count, at = read_block(data, at)
        if not count:
            return entries, at
        for _ in range(count):
            length, at = read_length(data, at)
            key = data[at : at + length].decode()
            entries[key], at = _read_value(values, data, at + length, depth)


def read_block(data: bytes, at: int, least_bytes: int = 1) -> tuple[int, int]:
    """Read how many items of at least so many bytes follow, 0 at the end; return it and its end."""
    count, at = read_long(data, at)
    if count < 0:  # a negative count is followed by the block's size in bytes
        count = -count
        _, at = read_long(data, at)
    if count * (least_bytes or 1) > len(data) - at:
        raise MalformedBytes(f"a block of {count} items, but only {len(data) - at} bytes are left")
    return count, at
