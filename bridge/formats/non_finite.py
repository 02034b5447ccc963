"""Numbers that JSON cannot hold: NaN and the infinities of binary formats (RFC 8259, section 6).

The decision is made once, when a payload is decoded, so that filters, templates and bodies read one value.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite, isnan
from typing import Any, Literal

from bridge.errors import DecodeError

Mode = Literal["park", "string", "null"]
"""What to do with such a number: park the event, or send its name as text, or send null."""


def replace_non_finite(document: Any, mode: Mode, place: str) -> Any:
    """Return the document with each such number replaced. Raises ``DecodeError`` for ``park``."""
    if not has_non_finite(document):
        return document
    holder = {"": document}
    for path, inner, key in list(_non_finite(holder, ())):
        name = name_of(inner[key])
        if mode == "park":
            raise DecodeError(
                f"{place} {'.'.join(path[1:])}".rstrip(),
                f"the number is {name}, which JSON cannot hold",
                "correct the producer, or set the source's non_finite to string or null; then redrive",
            )
        inner[key] = name if mode == "string" else None
    return holder[""]


def name_of(number: float) -> str:
    """Return ``NaN``, ``Infinity`` or ``-Infinity``, as Protobuf's JSON mapping writes them."""
    if isnan(number):
        return "NaN"
    return "Infinity" if number > 0 else "-Infinity"


def has_non_finite(document: Any) -> bool:
    """Return True if the document contains such a number."""
    stack = [document]
    while stack:
        node = stack.pop()
        if type(node) is float:
            if not isfinite(node):
                return True
        elif isinstance(node, dict):  # Protobuf's Any is an OrderedDict
            stack.extend(node.values())
        elif isinstance(node, list):
            stack.extend(node)
    return False


def _non_finite(node: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """Yield the path, the holder and the key of each such number, in the order of the document."""
    for key, value in list(node.items() if isinstance(node, dict) else enumerate(node)):
        inner = (*path, str(key))
        if type(value) is float and not isfinite(value):
            yield inner, node, key
        elif isinstance(value, dict | list):
            yield from _non_finite(value, inner)
