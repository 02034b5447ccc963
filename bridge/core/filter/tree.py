"""The syntax tree of a filter, and the error for a text that has none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


class BadExpression(ValueError):
    """A text that is not a filter: the character ``at`` (from 0), the cause and the remedy."""

    def __init__(self, at: int, cause: str, remedy: str) -> None:
        super().__init__(f"character {at + 1}: {cause}; {remedy}")
        self.at = at
        self.cause = cause
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Literal:
    """A literal value: text, a number, true, false, none, or a list of these."""

    value: Any


@dataclass(frozen=True, slots=True)
class FieldPath:
    """A path into the event: a root name, then keys and list indexes. ``at`` is its place in the text."""

    root: str
    steps: tuple[str | int, ...]
    text: str
    at: int


@dataclass(frozen=True, slots=True)
class Both:
    """``and`` (``every``) or ``or``, of two or more parts."""

    every: bool
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Unary:
    """``not``, a minus, ``is defined``, or the word after ``|``."""

    word: str
    part: Node


@dataclass(frozen=True, slots=True)
class Binary:
    """Two values and the operator between them."""

    word: str
    left: Node
    right: Node


Node = Literal | FieldPath | Both | Unary | Binary


def field_paths(node: Node) -> Iterator[FieldPath]:
    """Yield every path of an expression, in the order of the text."""
    match node:
        case FieldPath():
            yield node
        case Both(_, parts):
            for part in parts:
                yield from field_paths(part)
        case Unary(_, part):
            yield from field_paths(part)
        case Binary(_, left, right):
            yield from field_paths(left)
            yield from field_paths(right)
