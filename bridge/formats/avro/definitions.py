"""Resolve the definitions of many schema files into one self-contained schema per record type.

No Fineract file is self-contained: ``LoanAccountDataV1`` refers to 20 other types. ``bridge/schemas``
reads the files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import log10
from typing import Any

from bridge.formats.avro.bounds import MAX_DECIMAL_BYTES
from bridge.formats.avro.schema_set import Schema, compile_schema

DECIMAL_DIGITS = 1_000_000  # fastavro rounds to the precision; a longer number is refused before that

_PRIMITIVES = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})
_NAMED = frozenset({"record", "error", "enum", "fixed"})
_DEEPEST = 100  # JSON levels of a schema file


class DefinitionError(Exception):
    """A schema file that is not Avro or contradicts another file. ``origin`` is the file."""

    def __init__(self, origin: str, cause: str) -> None:
        super().__init__(f"{origin}: {cause}")


class Scope:
    """The named types of files that belong together: one version of one set of schemas.

    A full name has one layout in a scope. Only what determines the bytes is kept (no docs, defaults,
    aliases), so that two files may repeat a type. The declared precision of decimals is dropped, because
    it must not limit reading: Fineract raised it from 20 to 27 under the same fingerprint.
    """

    def __init__(self, label: str) -> None:
        self._label = label
        self._types: dict[str, tuple[dict[str, Any], str]] = {}

    def add(self, definition: Any, origin: str) -> str | None:
        """Add a file's definition; return the full name of its type. Raises ``DefinitionError``."""
        name = self._flat(definition, "", origin, 0)
        return name if isinstance(name, str) and name in self._types else None

    def complete(self, definition: Any, origin: str) -> Any:
        """Return a definition with every type it refers to included. Raises ``DefinitionError``."""
        return self._whole(self._flat(definition, "", origin, 0), set(), origin)

    def schemas(self) -> Iterator[Schema]:
        """Yield every record type, self-contained. Raises ``DefinitionError`` for a name no file defines."""
        return (self.schema(name) for name in self.records())

    def records(self) -> Iterator[str]:
        """Yield the full names of all record types."""
        return (name for name, (shape, _) in self._types.items() if shape["type"] == "record")

    def schema(self, name: str) -> Schema:
        """Return a record type, self-contained and compiled. Raises ``DefinitionError``."""
        origin = self._types[name][1]
        try:
            return compile_schema(self.definition(name))
        except DefinitionError:
            raise
        except Exception as exc:  # fastavro's parser promises no type for what it refuses
            raise DefinitionError(origin, f"{name} is not an Avro schema: {str(exc)[:300]}") from exc

    def definition(self, name: str) -> dict[str, Any]:
        """Return a type with every type it refers to, as one JSON object. Raises ``DefinitionError``."""
        whole: dict[str, Any] = self._whole(name, set(), self._types[name][1])
        return whole

    def shapes(self) -> Mapping[str, dict[str, Any]]:
        """Return every type by its full name; inside it, other types appear only by name."""
        return {name: shape for name, (shape, _) in self._types.items()}

    def origin(self, name: str) -> str:
        """Return the file that defines a type."""
        return self._types[name][1]

    def _flat(self, node: Any, namespace: str, origin: str, depth: int) -> Any:
        """Replace nested definitions by their names and add each to ``_types``."""
        if depth > _DEEPEST:
            raise DefinitionError(origin, f"types are nested more than {_DEEPEST} deep")
        if isinstance(node, list):
            return [self._flat(branch, namespace, origin, depth + 1) for branch in node]
        if isinstance(node, str):
            return self._reference(node, namespace)
        kind = node.get("type") if isinstance(node, dict) else None
        if kind is None:
            raise DefinitionError(origin, f"not an Avro type: {str(node)[:80]}")
        if not isinstance(kind, str):
            return self._flat(kind, namespace, origin, depth + 1)
        return self._structure(node, kind, namespace, origin, depth)

    def _structure(self, node: dict[str, Any], kind: str, namespace: str, origin: str, depth: int) -> Any:
        if kind in _NAMED:
            return self._define(node, kind, namespace, origin, depth)
        if kind in ("array", "map"):
            part = "items" if kind == "array" else "values"
            if part not in node:
                raise DefinitionError(origin, f"a type {kind!r} has no {part!r}")
            return {"type": kind, part: self._flat(node[part], namespace, origin, depth + 1)}
        if kind == "bytes" and node.get("logicalType") == "decimal":
            return _decimal(node.get("scale", 0))
        return self._reference(kind, namespace)

    def _define(self, node: dict[str, Any], kind: str, namespace: str, origin: str, depth: int) -> str:
        name = _full_name(node, namespace, origin)
        shape: dict[str, Any] = {"type": "record" if kind == "error" else kind, "name": name}
        if kind == "enum":
            shape["symbols"] = node.get("symbols")
        elif kind == "fixed":
            shape["size"] = node.get("size")
            shape |= _fixed_decimal(node)
        else:
            fields = node.get("fields")
            if not isinstance(fields, list) or not all(map(_is_field, fields)):
                raise DefinitionError(origin, f"{name} has no list of named fields")
            inner = name.rpartition(".")[0]
            shape["fields"] = [
                {"name": field["name"], "type": self._flat(field.get("type"), inner, origin, depth + 1)}
                for field in fields
            ]
        known = self._types.setdefault(name, (shape, origin))
        if known[0] != shape:
            remedy = "put the two versions into separate subfolders"
            raise DefinitionError(origin, f"defines {name} differently from {known[1]}; {remedy}")
        return name

    def _reference(self, name: str, namespace: str) -> Any:
        if name == "bigdecimal":  # a placeholder that Fineract's build replaces with its decimal
            return _decimal(8)
        if name in _PRIMITIVES or "." in name or not namespace:
            return name
        return f"{namespace}.{name}"

    def _whole(self, node: Any, seen: set[str], origin: str, depth: int = 0) -> Any:
        """Insert definitions again: at the first use of a name the definition, afterwards the name."""
        if depth > _DEEPEST:
            raise DefinitionError(origin, f"types are nested more than {_DEEPEST} deep")
        if isinstance(node, list):
            return [self._whole(branch, seen, origin, depth) for branch in node]
        if isinstance(node, dict):
            part = "items" if "items" in node else "values"
            return {**node, part: self._whole(node[part], seen, origin, depth)} if part in node else node
        if node in _PRIMITIVES or node in seen:
            return node
        if node not in self._types:
            raise DefinitionError(origin, f"refers to {node}, which no .avsc file in {self._label} defines")
        seen.add(node)
        shape, home = self._types[node]
        whole = {**shape, "namespace": node.rpartition(".")[0]}
        if "fields" in shape:
            whole["fields"] = [
                {**field, "type": self._whole(field["type"], seen, home, depth + 1)}
                for field in shape["fields"]
            ]
        return whole


def _decimal(scale: Any) -> dict[str, Any]:
    return {"type": "bytes", "logicalType": "decimal", "precision": DECIMAL_DIGITS, "scale": scale}


def _fixed_decimal(node: dict[str, Any]) -> dict[str, Any]:
    """Return a fixed type's decimal with the largest precision that the parser accepts; else nothing."""
    size = node.get("size")
    if node.get("logicalType") != "decimal" or not isinstance(size, int) or not 0 < size <= MAX_DECIMAL_BYTES:
        return {}
    digits = int((8 * size - 1) * log10(2))
    return {"logicalType": "decimal", "precision": digits, "scale": node.get("scale", 0)}


def _is_field(field: Any) -> bool:
    return isinstance(field, dict) and isinstance(field.get("name"), str)


def _full_name(node: dict[str, Any], namespace: str, origin: str) -> str:
    name, own = node.get("name"), node.get("namespace", namespace)
    if not isinstance(name, str) or not name or not isinstance(own, str):
        raise DefinitionError(origin, "a type has no name, or a namespace that is not text")
    return name if "." in name or not own else f"{own}.{name}"
