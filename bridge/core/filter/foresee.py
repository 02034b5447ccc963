"""Whether an expression can be true when only some of what it looks at is known. Pure.

A part is worth a value, or ``UNKNOWN``; only what holds whatever the unknown is counts as known.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bridge.core.filter.build import ABSENT
from bridge.core.filter.tree import Binary, Both, Literal, Look, Node, Unary
from bridge.core.filter.values import COMPARE, CONVERT, COUNT, TEXT_TESTS, Mistake, negative

UNKNOWN = object()
"""What may be anything."""

Known = Callable[[Look], Any]
"""What a path leads to: a value, ``ABSENT`` or ``UNKNOWN``."""

_NEVER_OF_NONE = frozenset(("<", "<=", ">", ">=", *TEXT_TESTS))


def can_hold(node: Node, known: Known) -> bool:
    """False when an expression is false for every event of which this is known."""
    worth = _worth(node, known)
    return worth is UNKNOWN or bool(worth)


def _worth(node: Node, known: Known) -> Any:
    match node:
        case Literal(value):
            return value
        case Look():
            found = known(node)
            return None if found is ABSENT else found
        case Both(every, parts):
            return _joined(every, [_worth(part, known) for part in parts])
        case Unary("defined", Look() as look):
            found = known(look)
            return UNKNOWN if found is UNKNOWN else found is not ABSENT
        case Unary(word, part):
            worth = _worth(part, known)
            return UNKNOWN if worth is UNKNOWN else _tried(_of_one(word), worth)
    return _of_two(node, _worth(node.left, known), _worth(node.right, known))


def _joined(every: bool, worths: list[Any]) -> Any:
    for worth in worths:
        if worth is not UNKNOWN and bool(worth) is not every:
            return worth  # whatever the others are: one false and, one true or
    return UNKNOWN if any(worth is UNKNOWN for worth in worths) else worths[-1]


def _of_one(word: str) -> Callable[[Any], Any]:
    if word == "not":
        return lambda value: not value
    return negative if word == "-" else CONVERT[word]


def _of_two(node: Binary, left: Any, right: Any) -> Any:
    word = node.word
    if left is not UNKNOWN and right is not UNKNOWN:
        return _tried(COMPARE.get(word) or COUNT.get(word) or TEXT_TESTS[word], left, right)
    if left is None or right is None:
        if word in _NEVER_OF_NONE or (word == "in" and right is None):
            return False
        if word in COUNT:
            return None
        if word == "not in" and right is None:
            return True
    return UNKNOWN


def _tried(work: Callable[..., Any], *values: Any) -> Any:
    """A value; unknown where none comes out, for what that means depends on where it stands."""
    try:
        return work(*values)
    except (Mistake, ArithmeticError, RecursionError, TypeError, ValueError):
        return UNKNOWN
