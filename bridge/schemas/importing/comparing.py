"""Lists the differences between two layouts: fields added, removed, moved, or with another type. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bridge.formats.avro.definitions import Scope

NamedTypes = Mapping[str, dict[str, Any]]


def named_types(definition: dict[str, Any]) -> NamedTypes:
    """Return the named types in a complete definition, its own first."""
    scope = Scope("schema")
    scope.add(definition, "schema")
    own = definition["name"]
    return dict(sorted(scope.shapes().items(), key=lambda item: (item[0] != own, item[0])))


def list_fields(definition: dict[str, Any]) -> Iterator[str]:
    """Yield one line per field, indented below its type."""
    for name, shape in named_types(definition).items():
        yield f"{name}{_kind(shape)}"
        for number, field in enumerate(shape.get("fields", ()), start=1):
            yield f"  {number:>3}  {field['name']}: {type_text(field['type'])}"


def type_text(node: Any) -> str:
    """Describe a type: ``long or null``, ``decimal, 8 places``, ``list of LoanChargeDataV1``."""
    if isinstance(node, list):
        branches = [type_text(branch) for branch in node if branch != "null"]
        return " or ".join([*branches, *(["null"] if "null" in node else [])])
    if not isinstance(node, dict):
        return str(node).rpartition(".")[2]
    if "items" in node:
        return f"list of {type_text(node['items'])}"
    if "values" in node:
        return f"map of {type_text(node['values'])}"
    if node.get("logicalType") == "decimal":
        return f"decimal, {node.get('scale', 0)} places"
    return type_text(node.get("type"))


def list_differences(first: dict[str, Any], second: dict[str, Any]) -> list[str]:
    """Return one line per difference, below the name of its type; empty if there is none."""
    before, after = named_types(first), named_types(second)
    if first["name"] != second["name"]:
        return [f"two types: {first['name']} and {second['name']}"]
    lines = list[str]()
    for name in dict.fromkeys((*before, *after)):
        if name not in before or name not in after:
            lines.append(f"{'+' if name in after else '-'} type {name}")
            continue
        changes = list(_compare_type(before[name], after[name]))
        if changes:
            lines += [name, *(f"  {line}" for line in changes)]
    return lines


def find_first_shift(first: dict[str, Any], second: dict[str, Any]) -> str | None:
    """Return the first field at which two types differ: from there, bytes of one are misread as the other."""
    old, new = (
        named_types(definition)[definition["name"]].get("fields", []) for definition in (first, second)
    )
    for number, (field, other) in enumerate(zip(old, new, strict=False), start=1):
        if field != other:
            return f"field {number} ({field['name']} in the first, {other['name']} in the second)"
    if len(old) != len(new):
        longer = max(old, new, key=len)
        number = min(len(old), len(new)) + 1
        return f"field {number} ({longer[number - 1]['name']})"
    return None


def _compare_type(before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
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
    for name in _moved([name for name in old if name in new], [name for name in new if name in old]):
        yield f"> {name} moved from field {old[name][0]} to field {new[name][0]}"


def _moved(before: Sequence[str], after: Sequence[str]) -> Iterator[str]:
    """Yield the fields whose order differs among those that both have."""
    return (name for name, other in zip(after, before, strict=True) if name != other)


def _kind(shape: dict[str, Any]) -> str:
    if "symbols" in shape:
        return f" enum of {', '.join(map(str, shape['symbols']))}"
    return f" fixed of {shape['size']} bytes" if "size" in shape else ""
