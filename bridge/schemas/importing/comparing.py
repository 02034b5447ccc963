"""What differs between two layouts, in words: fields that came, went, moved, or changed their type.

Takes definitions, gives lines. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bridge.formats.avro.definitions import Scope

Shapes = Mapping[str, dict[str, Any]]


def shapes(definition: dict[str, Any]) -> Shapes:
    """The named types of a complete definition, its own first."""
    scope = Scope("schema")
    scope.add(definition, "schema")
    own = definition["name"]
    return dict(sorted(scope.shapes().items(), key=lambda item: (item[0] != own, item[0])))


def fields(definition: dict[str, Any]) -> Iterator[str]:
    """One line per field, indented below their types."""
    for name, shape in shapes(definition).items():
        yield f"{name}{_kind(shape)}"
        for number, field in enumerate(shape.get("fields", ()), start=1):
            yield f"  {number:>3}  {field['name']}: {type_text(field['type'])}"


def type_text(node: Any) -> str:
    """A type as people say it: ``long or null``, ``decimal, 8 places``, ``list of LoanChargeDataV1``."""
    if isinstance(node, list):
        named = [type_text(branch) for branch in node if branch != "null"]
        return " or ".join([*named, *(["null"] if "null" in node else [])])
    if not isinstance(node, dict):
        return str(node).rpartition(".")[2]
    if "items" in node:
        return f"list of {type_text(node['items'])}"
    if "values" in node:
        return f"map of {type_text(node['values'])}"
    if node.get("logicalType") == "decimal":
        return f"decimal, {node.get('scale', 0)} places"
    return type_text(node.get("type"))


def differences(first: dict[str, Any], second: dict[str, Any]) -> list[str]:
    """One line per difference, the types in which they lie before them; empty when there is none."""
    before, after = shapes(first), shapes(second)
    if first["name"] != second["name"]:
        return [f"two types: {first['name']} and {second['name']}"]
    lines = list[str]()
    for name in dict.fromkeys((*before, *after)):
        if name not in before or name not in after:
            lines.append(f"{'+' if name in after else '-'} type {name}")
            continue
        found = list(_of_type(before[name], after[name]))
        if found:
            lines += [name, *(f"  {line}" for line in found)]
    return lines


def first_shift(first: dict[str, Any], second: dict[str, Any]) -> str | None:
    """The first field of the types' own from which on the bytes of one mean something else in the other."""
    mine, theirs = (shapes(one)[one["name"]].get("fields", []) for one in (first, second))
    for number, (one, other) in enumerate(zip(mine, theirs, strict=False), start=1):
        if one != other:
            return f"field {number} ({one['name']} in the first, {other['name']} in the second)"
    if len(mine) != len(theirs):
        longer = max(mine, theirs, key=len)
        number = min(len(mine), len(theirs)) + 1
        return f"field {number} ({longer[number - 1]['name']})"
    return None


def _of_type(before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    if "fields" not in before or "fields" not in after:
        if before != after:
            yield f"~ {_kind(before)} became {_kind(after)}".replace("  ", " ")
        return
    old = {field["name"]: (at, field["type"]) for at, field in enumerate(before["fields"], start=1)}
    new = {field["name"]: (at, field["type"]) for at, field in enumerate(after["fields"], start=1)}
    for name, (at, kind) in new.items():
        if name not in old:
            yield f"+ {name}: {type_text(kind)}, as field {at}"
    for name, (at, kind) in old.items():
        if name not in new:
            yield f"- {name}: {type_text(kind)}, was field {at}"
        elif kind != new[name][1]:
            yield f"~ {name}: {type_text(kind)} became {type_text(new[name][1])}"
    for name in _moved([one for one in old if one in new], [one for one in new if one in old]):
        yield f"> {name} moved from field {old[name][0]} to field {new[name][0]}"


def _moved(before: Sequence[str], after: Sequence[str]) -> Iterator[str]:
    """The fields that stand in another order among those that both have."""
    return (one for one, other in zip(after, before, strict=True) if one != other)


def _kind(shape: dict[str, Any]) -> str:
    if "symbols" in shape:
        return f" enum of {', '.join(map(str, shape['symbols']))}"
    return f" fixed of {shape['size']} bytes" if "size" in shape else ""
