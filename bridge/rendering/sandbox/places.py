"""Insert values into text: in one way everywhere, or for JSON and XML in two, inside quotes and outside.

The invariant for JSON: a value inside quotes stays a part of that text, and a value outside quotes is one
complete JSON value. So the keys and the nesting are those of the template.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from bridge.rendering.sandbox.budget import Budget
from bridge.rendering.sandbox.syntax import JSON, Syntax
from bridge.rendering.sandbox.values import (
    NO_TEXT,
    Escaped,
    Fragment,
    Insert,
    Inserted,
    JsonText,
    NotPossible,
    as_text,
)

_PIECE_CHARS = 8
"""What a piece of a fragment counts in addition to its characters."""


class Places:
    """Inserts every value in the same way, wherever it is."""

    def __init__(self, insert: Insert, budget: Budget) -> None:
        self.budget = budget
        self.finalize = self._finalizer(insert)
        self._insert = insert

    def _finalizer(self, insert: Insert) -> Callable[[Any], str]:
        budget = self.budget

        def finalize(value: Any) -> str:
            text: str = value if type(value) is Escaped else insert(value)
            budget.chars = left = budget.chars - len(text)
            if left < 0:
                budget.spend()
            return text

        return finalize

    def block(self, parts: Iterable[str]) -> str:
        """Return the text of a macro or ``{% set %}`` block."""
        return Escaped("".join(parts))

    def joined(self, parts: list[Any]) -> str:
        """Join texts (``~``). If one of them is escaped, as from a macro, the result is escaped too."""
        text: str
        if any(type(part) is Escaped for part in parts):
            text = Escaped("".join([part if type(part) is Escaped else self._insert(part) for part in parts]))
        else:
            text = "".join([part if type(part) is str else as_text(part) for part in parts])
        self.budget.spend(1, len(text))
        return text


class SyntaxPlaces(Places):
    """Inserts values by their place. ``outside`` is for values that nothing encloses (``Syntax.outside``)."""

    def __init__(self, inside: Insert, outside: Insert, syntax: Syntax, budget: Budget) -> None:
        self._outside = outside
        self._syntax = syntax
        super().__init__(inside, budget)

    def _finalizer(self, insert: Insert) -> Callable[[Any], str]:
        budget, inside = self.budget, self._syntax.inside

        def finalize(value: Any) -> str:
            text = insert(value) if type(value) is not Fragment else self._balanced(value, inside)
            budget.chars = left = budget.chars - len(text)
            if left < 0:
                budget.spend()
            return text

        return finalize

    def outside(self, value: Any) -> str:
        """Insert a value that nothing encloses."""
        if type(value) is Fragment:
            text = self._balanced(value, self._syntax.outside)
        else:
            text = self._outside(value)
        self.budget.spend(0, len(text))
        return text

    def undecided(self, value: Any) -> str:
        """Keep a value until its place is known. Only in JSON there is one for lists and mappings."""
        if self._syntax is not JSON and isinstance(value, dict | list | tuple):
            as_text(value)  # raises NotPossible
        piece = value if type(value) is Fragment else _piece(value)
        self.budget.spend(0, len(piece))
        return piece

    def block(self, parts: Iterable[str]) -> str:
        """See ``Places``; the values in it are placed when the text is inserted."""
        pieces = tuple(_flat(parts))
        self.budget.spend(1, _PIECE_CHARS * len(pieces))
        return Fragment(pieces)

    def joined(self, parts: list[Any]) -> str:
        """See ``Places``; a text that is JSON or of a macro keeps its own form."""
        text: str
        if any(type(part) is Fragment or type(part) is JsonText for part in parts):
            text = Fragment(tuple(_flat(part if type(part) is Fragment else _piece(part) for part in parts)))
            self.budget.spend(1, len(text) + _PIECE_CHARS * len(text.pieces))
        else:
            text = "".join([part if type(part) is str else as_text(part) for part in parts])
            self.budget.spend(1, len(text))
        return text

    def whole(self, parts: Iterable[str]) -> str:
        """Return the text of a template that has undecided values."""
        return self._placed(_flat(parts), self._syntax.start)[0]

    def _balanced(self, fragment: Fragment, start: str) -> str:
        text, end = self._placed(fragment.pieces, start)
        if end != start:
            raise NotPossible(
                "a macro or {% set %} block contains a quote or < without its second one; add that"
            )
        return text

    def _placed(self, pieces: Iterable[str | Inserted], place: str) -> tuple[str, str]:
        """Return the text, and the place at its end."""
        texts = list[str]()
        for piece in pieces:
            if type(piece) is Inserted:
                texts.append((self._outside if place == self._syntax.outside else self._insert)(piece.value))
            else:
                texts.append(piece)
                place = self._syntax.scan(piece, place)
        return "".join(texts), place


def _flat(parts: Iterable[str]) -> Iterable[str | Inserted]:
    for part in parts:
        if type(part) is Fragment:
            yield from part.pieces
        else:
            yield part


def _piece(value: Any) -> Inserted:
    return Inserted("" if isinstance(value, NO_TEXT) else as_text(value), value)
