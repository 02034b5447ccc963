"""The values of a template: text, numbers, lists, mappings, missing values, and text with a form of its own.

``str`` is always a plain text, which is escaped when it is inserted. Only the classes below are inserted in
another way, and every operation except an insertion treats them as the plain text that they contain.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from difflib import get_close_matches
from itertools import islice
from typing import Any

from jinja2 import StrictUndefined, Undefined
from jinja2.runtime import Macro

from bridge.model import ExactNumber
from bridge.rendering.sandbox.budget import Budget

Insert = Callable[[Any], str]
"""Converts a value to the escaped text that is inserted for it."""

_KEYS_COMPARED = 200
"""A comparison takes about 10 µs per key, and a payload may have any number of keys."""


NO_TEXT = (dict, list, tuple, bytes)
"""Kinds of values that are no text by themselves."""


class NotPossible(Exception):
    """An operation that the values do not allow; the text names it and never contains a value."""


class Escaped(str):
    """Text of a macro or ``{% set %}`` block that is escaped already, for a content type without places."""

    __slots__ = ()


class JsonText(str):
    """The JSON form of a value, by the filter ``json``.

    Outside quotes of a JSON template it is inserted as it is. Everywhere else it is a text, which is
    escaped. ``value`` is the value before the receiver's own escaping.
    """

    __slots__ = ("value",)
    value: Any

    def __new__(cls, text: str, value: Any) -> JsonText:
        """Return the text of a value."""
        made = super().__new__(cls, text)
        made.value = value
        return made


class Inserted(str):
    """A value that was inserted where the place is not known yet. As a text it is the value, not escaped."""

    __slots__ = ("value",)
    value: Any

    def __new__(cls, text: str, value: Any) -> Inserted:
        """Return the value with its plain text."""
        made = super().__new__(cls, text)
        made.value = value
        return made


class Fragment(str):
    """The text of a macro or ``{% set %}`` block of a JSON template.

    Whether its values are inside quotes is decided where it is inserted: ``pieces`` are the template's own
    texts and the inserted values, in order.
    """

    __slots__ = ("pieces",)
    pieces: tuple[str | Inserted, ...]

    def __new__(cls, pieces: tuple[str | Inserted, ...]) -> Fragment:
        """Return the text that these pieces form."""
        made = super().__new__(cls, "".join(pieces))
        made.pieces = pieces
        return made

    def as_text(self) -> str:
        """Return the text with its values as plain text. Raises ``NotPossible`` if one has none."""
        for piece in self.pieces:
            if type(piece) is Inserted and isinstance(piece.value, NO_TEXT):
                as_text(piece.value)
        return "".join((self,))


class Missing(StrictUndefined):
    """A missing value. Every use is an error, except ``default`` and ``is defined``."""

    __slots__ = ()

    @property
    def _undefined_message(self) -> str:
        if self._undefined_hint:
            return self._undefined_hint
        name, holder = str(self._undefined_name)[:80], self._undefined_obj
        if type(holder) is dict:
            keys = [str(key) for key in islice(holder, _KEYS_COMPARED)]
            near = get_close_matches(name, keys, n=1, cutoff=0.7)
            guess = f'; did you mean "{near[0][:80]}"?' if near else ""
            return f'there is no "{name}"{guess}'
        return f'there is no "{name}"'


def describe_kind(value: Any) -> str:
    """Return the kind of a value, in the terms of templates."""
    words: dict[type, str] = {
        bytes: "bytes", bool: "true or false", int: "a number", float: "a number", Decimal: "a number",
        ExactNumber: "a number", list: "a list", tuple: "a list", dict: "a mapping", Macro: "a macro",
    }  # fmt: skip
    if isinstance(value, str):
        return "text"
    return "null" if value is None else words.get(type(value), "not a value")


def as_text(value: Any) -> str:
    """Convert a value to plain text, for text filters. Raises ``NotPossible``, ``UndefinedError``."""
    if type(value) is str:
        return value
    if value is None:
        return ""
    kind = type(value)
    if kind is bool:
        return "true" if value else "false"
    if kind is int or isinstance(value, float | Undefined):
        return str(value)
    if kind is Decimal:
        return format_decimal(value)
    if kind is Fragment:
        value = value.as_text()
    if isinstance(value, str):
        return "".join((value,))
    raise NotPossible(f"{describe_kind(value)} is not text; select a part of it, or use | json")


def format_decimal(number: Decimal) -> str:
    """Format a decimal without exponent, with every digit. Raises ``NotPossible`` for hundreds of digits."""
    if not number.is_finite() or abs(number.adjusted()) > 500:
        raise NotPossible("a number is too large or too small to write out")
    return format(number, "f")


def list_items(value: Any, budget: Budget) -> list[Any]:
    """Return the items for a list filter and charge for them. Raises ``NotPossible``, ``BudgetExceeded``."""
    if value is None:
        return []
    if isinstance(value, Undefined):
        str(value)  # raises UndefinedError
    if not isinstance(value, list | tuple | dict | range):
        raise NotPossible(f"{describe_kind(value)} is not a list")
    budget.spend(len(value))
    return list(value)
