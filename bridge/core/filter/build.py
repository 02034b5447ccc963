"""Compile a filter's tree to functions: one per node, each from an event to a value."""

from __future__ import annotations

from collections.abc import Callable
from itertools import takewhile
from typing import Any

from bridge.core.filter.tree import Binary, Both, FieldPath, Literal, Node, Unary
from bridge.core.filter.values import COMPARE, CONVERT, COUNT, TEXT_TESTS, equal, negative
from bridge.model import Event

Evaluate = Callable[[Event], Any]

ABSENT = object()
"""The value of a path that leads nowhere; null is a value."""


_ROOTS: dict[str, Evaluate] = {
    "type": lambda event: event.type,
    "id": lambda event: event.id,
    "time": lambda event: event.time,
    "time_source": lambda event: event.time_source,
    "entity": lambda event: event.entity,
    "tenant": lambda event: event.tenant,
    "source": lambda event: event.source,
    "topic": lambda event: event.topic,
    "context": lambda event: event.context,
    "headers": lambda event: event.origin.header_texts(),
    "headers_all": lambda event: event.origin.all_header_texts(),
}


def build(node: Node) -> Evaluate:  # noqa: PLR0911 - one return per kind of node
    """Return the function of a node."""
    match node:
        case Literal(value):
            return lambda event: value
        case FieldPath(root, steps):
            return _value_or_none(_root(root, steps), steps)
        case Both(every, parts):
            return _all(parts) if every else _any(parts)
        case Unary("not", part):
            evaluate = build(part)
            return lambda event: not evaluate(event)
        case Unary("defined", FieldPath(root, steps)):
            find = _finder(_root(root, steps), steps)
            return lambda event: find(event) is not ABSENT
        case Unary(word, part):
            evaluate, convert = build(part), negative if word == "-" else CONVERT[word]
            return lambda event: convert(evaluate(event))
        case Binary(word, left, right):
            return _binary(word, left, right)
    raise AssertionError(f"no such node: {node!r}")


def find(path: FieldPath) -> Evaluate:
    """Return the function from an event to the value at the path, or ``ABSENT``."""
    return _finder(_root(path.root, path.steps), path.steps)


def payload_path(path: FieldPath) -> tuple[str, ...] | None:
    """Return what of the payload a path reads: its keys as far as the first index. None for other roots."""
    if path.root != "data":
        return None
    return tuple(map(str, takewhile(lambda step: isinstance(step, str), path.steps)))


def _root(root: str, steps: tuple[str | int, ...]) -> Evaluate:
    """Return the function to the root of a path; of the payload, only the path is needed."""
    path = payload_path(FieldPath(root, steps, "", 0))
    if path is None:
        return _ROOTS[root]
    paths = frozenset({path})
    return lambda event: event.data(paths)


def _value_or_none(root: Evaluate, steps: tuple[str | int, ...]) -> Evaluate:
    """Return the function to the value at a path, with a fast form for a single key."""
    if not steps:
        return root
    find = _finder(root, steps)

    def value_or_none(event: Event) -> Any:
        value = find(event)
        return None if value is ABSENT else value

    first, *others = steps
    if others or not isinstance(first, str):
        return value_or_none

    def value_of_key(event: Event) -> Any:
        value = root(event)
        return value.get(first) if type(value) is dict else None

    return value_of_key


def _finder(root: Evaluate, steps: tuple[str | int, ...]) -> Evaluate:
    def find(event: Event) -> Any:
        value = root(event)
        for step in steps:
            if type(value) is dict:
                value = value.get(step, ABSENT)
            elif type(value) is list and type(step) is int and -len(value) <= step < len(value):
                value = value[step]
            else:
                return ABSENT
        return value

    return find


def _binary(word: str, left: Node, right: Node) -> Evaluate:
    evaluate_left, evaluate_right = build(left), build(right)
    operate: Callable[[Any, Any], Any] = COMPARE.get(word) or COUNT.get(word) or TEXT_TESTS[word]
    if not isinstance(right, Literal):
        return lambda event: operate(evaluate_left(event), evaluate_right(event))
    value: Any = right.value
    if operate is equal and isinstance(value, str):
        return lambda event: bool(evaluate_left(event) == value)
    if word == "in" and isinstance(value, list) and all(isinstance(text, str) for text in value):
        texts = frozenset(str(text) for text in value)
        return lambda event: isinstance(found := evaluate_left(event), str) and found in texts
    return lambda event: operate(evaluate_left(event), value)


def _all(parts: tuple[Node, ...]) -> Evaluate:
    *firsts, last = (build(part) for part in parts)

    def evaluate(event: Event) -> Any:
        for part in firsts:
            if not (value := part(event)):
                return value
        return last(event)

    return evaluate


def _any(parts: tuple[Node, ...]) -> Evaluate:
    *firsts, last = (build(part) for part in parts)

    def evaluate(event: Event) -> Any:
        for part in firsts:
            if value := part(event):
                return value
        return last(event)

    return evaluate
