"""Makes functions of an expression's tree: one per part, each taking the event. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bridge.core.filter.tree import Binary, Both, Literal, Look, Node, Unary
from bridge.core.filter.values import COMPARE, CONVERT, COUNT, TEXT_TESTS, equal, negative
from bridge.model import Event

Ask = Callable[[Event], Any]

ABSENT = object()
"""What is found where there is nothing, not even null."""


def _headers(event: Event) -> dict[str, str]:
    origin = event.origin
    return {name: value.decode("utf-8", "replace") for name, value in origin.headers}


_ROOTS: dict[str, Ask] = {
    "type": lambda event: event.type,
    "id": lambda event: event.id,
    "time": lambda event: event.time,
    "entity": lambda event: event.entity,
    "tenant": lambda event: event.tenant,
    "source": lambda event: event.source,
    "topic": lambda event: event.topic,
    "data": lambda event: event.payload(),
    "context": lambda event: event.context,
    "headers": _headers,
}


def build(node: Node) -> Ask:  # noqa: PLR0911 - one for each kind of part
    """The function of a part of an expression."""
    match node:
        case Literal(value):
            return lambda event: value
        case Look(root, steps):
            return _look(_ROOTS[root], steps)
        case Both(every, parts):
            return _all(parts) if every else _any(parts)
        case Unary("not", part):
            ask = build(part)
            return lambda event: not ask(event)
        case Unary("defined", Look(root, steps)):
            find = _finder(_ROOTS[root], steps)
            return lambda event: find(event) is not ABSENT
        case Unary(word, part):
            ask, convert = build(part), negative if word == "-" else CONVERT[word]
            return lambda event: convert(ask(event))
        case Binary(word, left, right):
            return _binary(word, left, right)
    raise AssertionError(f"no such part: {node!r}")


def find(look: Look) -> Ask:
    """What a path leads to in an event, or ``ABSENT``."""
    return _finder(_ROOTS[look.root], look.steps)


def _look(root: Ask, steps: tuple[str | int, ...]) -> Ask:
    if not steps:
        return root
    find = _finder(root, steps)

    def look(event: Event) -> Any:
        value = find(event)
        return None if value is ABSENT else value

    first, *others = steps
    if others or not isinstance(first, str):
        return look

    def look_once(event: Event) -> Any:
        value = root(event)
        return value.get(first) if type(value) is dict else None

    return look_once


def _finder(root: Ask, steps: tuple[str | int, ...]) -> Ask:
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


def _binary(word: str, left: Node, right: Node) -> Ask:
    ask, other = build(left), build(right)
    operate: Callable[[Any, Any], Any] = COMPARE.get(word) or COUNT.get(word) or TEXT_TESTS[word]
    if not isinstance(right, Literal):
        return lambda event: operate(ask(event), other(event))
    value: Any = right.value
    if operate is equal and isinstance(value, str):
        return lambda event: bool(ask(event) == value)
    if word == "in" and isinstance(value, list) and all(isinstance(one, str) for one in value):
        texts = frozenset(str(one) for one in value)
        return lambda event: isinstance(found := ask(event), str) and found in texts
    return lambda event: operate(ask(event), value)


def _all(parts: tuple[Node, ...]) -> Ask:
    *firsts, last = (build(part) for part in parts)

    def ask(event: Event) -> Any:
        for part in firsts:
            if not (value := part(event)):
                return value
        return last(event)

    return ask


def _any(parts: tuple[Node, ...]) -> Ask:
    *firsts, last = (build(part) for part in parts)

    def ask(event: Event) -> Any:
        for part in firsts:
            if value := part(event):
                return value
        return last(event)

    return ask
