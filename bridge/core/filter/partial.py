"""Decide whether a filter can be true if only some of the values it reads are known.

Invariant: a node is known only if its value is the same for every value of what is unknown.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bridge.core.filter.build import ABSENT
from bridge.core.filter.tree import Binary, Both, FieldPath, Literal, Node, Unary
from bridge.core.filter.values import COMPARE, CONVERT, COUNT, TEXT_TESTS, Mismatch, negative

UNKNOWN = object()
"""Any value."""

Known = Callable[[FieldPath], Any]
"""Return the value of a path: a value, ``ABSENT`` or ``UNKNOWN``."""

_NEVER_OF_NONE = frozenset(("<", "<=", ">", ">=", *TEXT_TESTS))


def can_match(node: Node, known: Known) -> bool:
    """Return False if an expression is false for every event with these known values."""
    value = _value(node, known)
    return value is UNKNOWN or bool(value)


def _value(node: Node, known: Known) -> Any:
    match node:
        case Literal(value):
            return value
        case FieldPath():
            found = known(node)
            return None if found is ABSENT else found
        case Both(every, parts):
            return _join(every, [_value(part, known) for part in parts])
        case Unary("defined", FieldPath() as path):
            found = known(path)
            return UNKNOWN if found is UNKNOWN else found is not ABSENT
        case Unary(word, part):
            value = _value(part, known)
            return UNKNOWN if value is UNKNOWN else _try(_unary(word), value)
    return _binary(node, _value(node.left, known), _value(node.right, known))


def _join(every: bool, values: list[Any]) -> Any:
    for value in values:
        if value is not UNKNOWN and bool(value) is not every:
            return value  # it decides alone: a false part of and, or a true part of or
    return UNKNOWN if any(value is UNKNOWN for value in values) else values[-1]


def _unary(word: str) -> Callable[[Any], Any]:
    if word == "not":
        return lambda value: not value
    return negative if word == "-" else CONVERT[word]


def _binary(node: Binary, left: Any, right: Any) -> Any:
    word = node.word
    if left is not UNKNOWN and right is not UNKNOWN:
        return _try(COMPARE.get(word) or COUNT.get(word) or TEXT_TESTS[word], left, right)
    if left is None or right is None:
        if word in _NEVER_OF_NONE or (word == "in" and right is None):
            return False
        if word in COUNT:
            return None
        if word == "not in" and right is None:
            return True
    return UNKNOWN


def _try(work: Callable[..., Any], *values: Any) -> Any:
    """Return the result, or ``UNKNOWN`` if there is none: what an error means depends on its place."""
    try:
        return work(*values)
    except (Mismatch, ArithmeticError, RecursionError, TypeError, ValueError):
        return UNKNOWN
