"""The values of a template: text, numbers, lists, mappings, missing values, and escaped text."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from difflib import get_close_matches
from itertools import islice
from typing import Any

from jinja2 import StrictUndefined, Undefined
from jinja2.runtime import Macro
from markupsafe import Markup

from bridge.model import ExactNumber
from bridge.rendering.sandbox.budget import Budget

Insert = Callable[[Any], str]
"""Converts a value to the escaped text that is inserted for it."""

_KEYS_COMPARED = 200
"""A comparison takes about 10 µs per key, and a payload may have any number of keys."""


class NotPossible(Exception):
    """An operation that the values do not allow; the text names it and never contains a value."""


class Escaped(str):
    """Text that is already escaped. Jinja2 marks the result of a macro or ``{% set %}`` block as Markup."""

    __slots__ = ()


ESCAPED = frozenset({Escaped, Markup})


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
        str: "text", Escaped: "text", Markup: "text", bytes: "bytes", bool: "true or false", int: "a number",
        float: "a number", Decimal: "a number", ExactNumber: "a number", list: "a list", tuple: "a list",
        dict: "a mapping", Macro: "a macro",
    }  # fmt: skip
    return "null" if value is None else words.get(type(value), "not a value")


def unescaped(value: Any) -> Any:
    """Convert escaped text to plain text, which is escaped when inserted; return other values unchanged."""
    return "".join((value,)) if type(value) in ESCAPED else value


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
