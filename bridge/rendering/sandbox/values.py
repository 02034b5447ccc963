"""What values are in a template: text, numbers, lists, mappings, and what is missing or escaped already.

Below ``sandbox``. Pure.
"""

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
"""A value as the text that is inserted for it, escaped."""

_KEYS_COMPARED = 200
"""Comparing costs some 10 us a key, and a payload may have any number of them."""


class NotPossible(Exception):
    """An operation that values do not allow; the text names it and never holds a value."""


class Ready(str):
    """Text that is escaped already; as Jinja2 marks what a macro or a ``{% set %}`` block made as Markup."""

    __slots__ = ()


READY = frozenset({Ready, Markup})


class Missing(StrictUndefined):
    """What is not there. Every use of it is an error, but ``default`` and ``is defined``."""

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


def kind_of(value: Any) -> str:
    """What a value is, in the words of templates."""
    words: dict[type, str] = {
        str: "text", Ready: "text", Markup: "text", bytes: "bytes", bool: "true or false", int: "a number",
        float: "a number", Decimal: "a number", ExactNumber: "a number", list: "a list", tuple: "a list",
        dict: "a mapping", Macro: "a macro",
    }  # fmt: skip
    return "null" if value is None else words.get(type(value), "not a value")


def unready(value: Any) -> Any:
    """Escaped text as ordinary text, which is escaped again where it is inserted; anything else as it is."""
    return "".join((value,)) if type(value) in READY else value


def as_text(value: Any) -> str:
    """A value as plain text: what filters for text work on. Raises ``NotPossible``, ``UndefinedError``."""
    kind = type(value)
    if kind is str:
        return value  # type: ignore[no-any-return]
    if value is None:
        return ""
    if kind is bool:
        return "true" if value else "false"
    if kind is int or isinstance(value, float | Undefined):
        return str(value)
    if kind is Decimal:
        return plain(value)
    if isinstance(value, str):
        return "".join((value,))
    raise NotPossible(f"{kind_of(value)} is no text; name what is wanted of it, or use | json")


def plain(number: Decimal) -> str:
    """A decimal without exponent, every digit kept. Raises ``NotPossible`` for one of hundreds of digits."""
    if not number.is_finite() or abs(number.adjusted()) > 500:
        raise NotPossible("a number is too large or too small to be written out")
    return format(number, "f")


def items_of(value: Any, budget: Budget) -> list[Any]:
    """The items that a filter for lists works on, paid for. Raises ``NotPossible``, ``Exceeded``."""
    if value is None:
        return []
    if isinstance(value, Undefined):
        str(value)
    if not isinstance(value, list | tuple | dict | range):
        raise NotPossible(f"{kind_of(value)} is no list")
    budget.spend(len(value))
    return list(value)
