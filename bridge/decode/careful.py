"""Avro bytes that were made to hurt: how deep, how long, how many, checked before they are decoded.

Below ``single_object`` in step 2. Rule floor, pure. fastavro's compiled reader recurses on the C stack: some
4,000 nested values of a recursive type (Fineract's ``OfficeDataV1`` is one) end the *process*, and the record
would do so again after each restart. A decimal costs the square of its length: 400 kB take 14 s. An array
whose items take no bytes may claim 2^60 of them.

``safe_bytes`` says up to which length none of this can happen with a schema; that holds for nearly every real
record, so ``walk``, which costs more than decoding, is for the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MAX_NESTING = 200  # values inside values; orjson writes at most 254 levels
MAX_DECIMAL_BYTES = 1024  # 2,466 digits, 0.1 ms
MOST_PARTS = 16  # values for every byte of a type's shortest form; records in records have 2 or 3
SAFE_ENTRIES = 1000  # of recursive types; the C stack (8 MB) ends between 4,000 and 8,000
SAFE_LENGTH = 16_384  # the longest decimal in it takes 22 ms

_WIDTHS = {"null": 0, "boolean": 1, "float": 4, "double": 8}

_CAP = 1 << 30
_MOST_NAMED = 500  # what follows costs their square; Fineract's largest schema has 30

Fewest = Mapping[str, int]
Named = dict[str, Any]
"""Full name to definition, for every named type that a schema reaches."""


class HostileBytes(Exception):
    """Bytes that do not follow the schema, or follow it out of all proportion."""


def safe_bytes(schema: Any, named: Named) -> int:
    """Return the length up to which a value can be decoded without a walk; -1 when there is none.

    Between two entries of a recursive type lie at least ``_bytes_until`` bytes, which bounds how often the
    reader can enter it.
    """
    if len(named) > _MOST_NAMED:
        return -1
    fewest = _fewest_bytes(named)
    if any(_holds_empty_items(definition, fewest) for definition in (schema, *named.values())):
        return -1
    entries_per_byte = 0.0
    for name in named:
        gap = _bytes_until(name, named, fewest)
        if gap == 0:
            return -1  # a record that holds itself: no value is finite
        entries_per_byte += 0.0 if gap is None else 1 / gap
    return SAFE_LENGTH if entries_per_byte == 0 else min(SAFE_LENGTH, int(SAFE_ENTRIES / entries_per_byte))


def expands(named: Named) -> bool:
    """Whether some type makes far more parts than it has bytes: a few names could ask for 2^30 records."""
    fewest, parts = _fewest_bytes(named), dict.fromkeys(named, 1)
    for _ in range(len(named) + 1):
        before = dict(parts)
        for name, definition in named.items():
            inner = sum(_parts(field["type"], parts) for field in definition.get("fields", ()))
            parts[name] = min(1 + inner, _CAP)
        if parts == before:
            break
    return any(parts[name] > MOST_PARTS * max(1, fewest[name]) for name in named if fewest[name] < _CAP)


def _parts(schema: Any, parts: Mapping[str, int]) -> int:
    kind = schema["type"] if isinstance(schema, dict) else schema
    if isinstance(kind, list):
        return 1
    return parts.get(schema["name"] if kind in ("record", "fixed", "enum") else kind, 1)


def walk(schema: Any, named: Named, data: bytes) -> None:
    """Read a value without building it. Raises ``HostileBytes``; returns when decoding is safe."""
    _skip(schema, named, data, 0, 0)


def read_long(data: bytes, at: int) -> tuple[int, int]:
    """Read a zig-zag varint (Avro 1.11, "Binary Encoding") and say where it ends. Raises ``HostileBytes``."""
    number = shift = 0
    for end in range(at, min(at + 10, len(data))):
        byte = data[end]
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (number >> 1) ^ -(number & 1), end + 1
        shift += 7
    raise HostileBytes("a number is cut short" if at + 10 > len(data) else "a number has more than 64 bits")


def _skip(schema: Any, named: Named, data: bytes, at: int, depth: int) -> int:  # noqa: PLR0911 - one per kind of type
    if depth > MAX_NESTING:
        raise HostileBytes(f"values are nested more than {MAX_NESTING} deep")
    if isinstance(schema, list):
        index, at = read_long(data, at)
        if not 0 <= index < len(schema):
            raise HostileBytes(f"a union has no branch {index}")
        return _skip(schema[index], named, data, at, depth + 1)
    kind = schema["type"] if isinstance(schema, dict) else schema
    if kind in ("int", "long", "enum"):
        return read_long(data, at)[1]
    if kind in ("string", "bytes"):
        return _skip_bytes(schema, data, at)
    if kind == "record":
        for field in schema["fields"]:
            at = _skip(field["type"], named, data, at, depth + 1)
        return at
    if kind in ("array", "map"):
        return _skip_blocks(schema, named, data, at, depth)
    width = _WIDTHS.get(kind)
    if width is None:
        if kind != "fixed":
            return _skip(named[kind], named, data, at, depth + 1)
        width = schema["size"]
    if width > len(data) - at:
        raise HostileBytes("the bytes end inside a value")
    return at + width


def _skip_bytes(schema: Any, data: bytes, at: int) -> int:
    length, at = read_long(data, at)
    if not 0 <= length <= len(data) - at:
        raise HostileBytes(f"a length of {length} bytes where {len(data) - at} are left")
    if isinstance(schema, dict) and "logicalType" in schema and length > MAX_DECIMAL_BYTES:
        raise HostileBytes(f"a decimal of {length} bytes, the limit is {MAX_DECIMAL_BYTES}")
    return at + length


def _skip_blocks(schema: Any, named: Named, data: bytes, at: int, depth: int) -> int:
    is_map = schema["type"] == "map"
    items = schema["values" if is_map else "items"]
    while True:
        count, at = read_long(data, at)
        if count == 0:
            return at
        if count < 0:  # a negative count is followed by the block's size in bytes
            count = -count
            _, at = read_long(data, at)
        if count > len(data) - at:  # also bounds items that take no bytes
            raise HostileBytes(f"{count} items where {len(data) - at} bytes are left")
        for _ in range(count):
            if is_map:
                at = _skip_bytes("string", data, at)
            at = _skip(items, named, data, at, depth + 1)


def _fewest_bytes(named: Named) -> Fewest:
    """Count the fewest bytes each named type takes, by widening a lower bound until it stands still.

    A record that holds itself has no value and would grow for ever; the rounds and the cap end that.
    """
    fewest = dict.fromkeys(named, 0)
    for _ in range(len(named) + 1):
        before = dict(fewest)
        for name, definition in named.items():
            if definition["type"] == "record":
                total = sum(_least_bytes(field["type"], fewest) for field in definition["fields"])
                fewest[name] = min(total, _CAP)
            else:
                fewest[name] = int(definition["size"]) if definition["type"] == "fixed" else 1
        if fewest == before:
            break
    return fewest


def _least_bytes(schema: Any, fewest: Fewest) -> int:
    """Count the fewest bytes a value takes."""
    if isinstance(schema, list):
        return 1
    kind = schema["type"] if isinstance(schema, dict) else schema
    if kind in ("record", "fixed", "enum"):
        kind = schema["name"]
    return _WIDTHS[kind] if kind in _WIDTHS else fewest.get(kind, 1)


def _bytes_until(target: str, named: Named, fewest: Fewest) -> int | None:
    """Count the fewest bytes from the start of a ``target`` to another one in it; None if never."""
    distance: dict[str, int] = {}
    changed = True
    while changed:  # distances only shrink; each round settles one more record at least
        changed = False
        for name, definition in named.items():
            before = 0
            for field in definition.get("fields", ()):
                gap = _gap(field["type"], target, distance)
                if gap is not None and before + gap < distance.get(name, _CAP):
                    distance[name] = before + gap
                    changed = True
                before += _least_bytes(field["type"], fewest)
    return distance.get(target)


def _gap(schema: Any, target: str, distance: Mapping[str, int]) -> int | None:
    if isinstance(schema, list):
        gaps = [gap for branch in schema if (gap := _gap(branch, target, distance)) is not None]
        return 1 + min(gaps) if gaps else None
    kind = schema["type"] if isinstance(schema, dict) else schema
    if kind in ("array", "map"):
        gap = _gap(schema["values" if kind == "map" else "items"], target, distance)
        return None if gap is None else 1 + gap
    name = schema["name"] if kind == "record" else kind
    return 0 if name == target else distance.get(name)


def _holds_empty_items(schema: Any, fewest: Fewest) -> bool:
    if isinstance(schema, list):
        return any(_holds_empty_items(branch, fewest) for branch in schema)
    if not isinstance(schema, dict):
        return False
    if schema["type"] == "record":
        return any(_holds_empty_items(field["type"], fewest) for field in schema["fields"])
    if schema["type"] == "array" and _least_bytes(schema["items"], fewest) == 0:
        return True
    return _holds_empty_items(schema.get("items", schema.get("values")), fewest)
