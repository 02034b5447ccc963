"""What a filter's text is read into: a small tree; or the mistake that is in it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


class BadExpression(ValueError):
    """A text that is no filter: ``at`` is the character (from 0) where, then cause and remedy."""

    def __init__(self, at: int, cause: str, remedy: str) -> None:
        super().__init__(f"character {at + 1}: {cause}; {remedy}")
        self.at = at
        self.cause = cause
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Literal:
    """A value that is written out: text, a number, true, false, none, or a list of such."""

    value: Any


@dataclass(frozen=True, slots=True)
class Look:
    """A path into the event: a name, and the keys and list positions behind it.

    ``at`` is where it begins in the text.
    """

    root: str
    steps: tuple[str | int, ...]
    text: str
    at: int


@dataclass(frozen=True, slots=True)
class Both:
    """``and`` (``every``) or ``or``, of two or more."""

    every: bool
    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Unary:
    """``not``, a minus, ``is defined``, or what stands behind ``|``."""

    word: str
    part: Node


@dataclass(frozen=True, slots=True)
class Binary:
    """Two values and the sign or the word between them."""

    word: str
    left: Node
    right: Node


Node = Literal | Look | Both | Unary | Binary


def looks(node: Node) -> Iterator[Look]:
    """Yield every path of an expression, in the order it is written."""
    match node:
        case Look():
            yield node
        case Both(_, parts):
            for part in parts:
                yield from looks(part)
        case Unary(_, part):
            yield from looks(part)
        case Binary(_, left, right):
            yield from looks(left)
            yield from looks(right)
