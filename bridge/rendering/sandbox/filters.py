"""The filters every template has: those of Jinja2 that are harmless, each with its bound.

Below ``sandbox``. Pure. Written anew where Jinja2's own would grow without end (``replace``, ``join``,
``sum``) or give a lazy generator, whose items nobody counts.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from functools import wraps
from typing import Any
from urllib.parse import quote

from jinja2 import Undefined, pass_context
from jinja2.runtime import Context as RunContext

from bridge.rendering.sandbox.budget import Budget
from bridge.rendering.sandbox.values import NotPossible, as_text, items_of, plain

_CHARS_A_STEP = 256
_MOST_DIGITS = 30
_EXACT = Context(prec=1200)
"""Digits enough for any sum of numbers that ``plain`` lets through."""


def default(value: Any, fallback: Any = "", empty: bool = False) -> Any:
    """``fallback`` for what is missing or null; with ``empty`` also for "", 0, false and empty lists."""
    if isinstance(value, Undefined) or value is None or (empty and not value):
        return fallback
    return value


def number(value: Any) -> Decimal:
    """A number, or a text that is one, exactly. Raises ``NotPossible``."""
    if isinstance(value, Undefined):
        str(value)
    if isinstance(value, bool) or value is None:
        raise NotPossible("a number is needed")
    try:
        made = value if type(value) is Decimal else Decimal(str(value).strip())
    except InvalidOperation:
        raise NotPossible("a number is needed, such as 12.50") from None
    plain(made)
    return made


def whole(value: Any) -> int:
    """``int``: the number without its fraction."""
    return int(number(value))


def rounded(value: Any, digits: int = 0) -> Decimal:
    """``round``: half away from zero, as people do; exact."""
    if not isinstance(digits, int) or not 0 <= digits <= _MOST_DIGITS:
        raise NotPossible(f"round takes 0 to {_MOST_DIGITS} digits")
    try:
        return number(value).quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_UP, context=_EXACT)
    except InvalidOperation:
        raise NotPossible("the number is too large to be rounded") from None


def paid_for(made: Callable[..., Any], budget: Budget) -> Callable[..., Any]:
    """A filter that costs a step, and more when the text it gives is long."""

    @wraps(made)
    def paying(*args: Any, **kwargs: Any) -> Any:
        result = made(*args, **kwargs)
        budget.spend(1 + len(result) // _CHARS_A_STEP if isinstance(result, str) else 1)
        return result

    return paying


class _Filters:
    """The filters that look at many items or characters, and pay for them."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget

    def text(self, value: Any) -> str:
        plain_text = as_text(value)
        self._budget.spend(1 + len(plain_text) // _CHARS_A_STEP)
        return plain_text

    def items(self, value: Any) -> list[Any]:
        return items_of(value, self._budget)

    def replace(self, value: Any, old: str, new: str) -> str:
        whole_text, old, new = self.text(value), as_text(old), as_text(new)
        self._budget.spend(1, len(whole_text) + whole_text.count(old) * len(new))
        return whole_text.replace(old, new)

    def truncate(self, value: Any, length: int = 255, end: str = "…") -> str:
        whole_text, end = self.text(value), as_text(end)
        return whole_text if len(whole_text) <= length else whole_text[: max(0, length - len(end))] + end

    def join(self, value: Any, separator: str = "", attribute: str | None = None) -> str:
        parts = [as_text(_at(one, attribute)) for one in self.items(value)]
        separator = as_text(separator)
        self._budget.spend(1, sum(map(len, parts)) + len(parts) * len(separator))
        return separator.join(parts)

    def total(self, value: Any, attribute: str | None = None) -> Decimal:
        whole_sum = Decimal(0)
        for one in self.items(value):
            whole_sum = _EXACT.add(whole_sum, number(_at(one, attribute)))
        return whole_sum

    def length(self, value: Any) -> int:
        return len(value) if isinstance(value, str) else len(self.items(value))

    def first(self, value: Any) -> Any:
        return next(iter(self.items(value)), None)

    def last(self, value: Any) -> Any:
        return (self.items(value) or [None])[-1]

    def ordered(self, value: Any, reverse: bool = False, attribute: str | None = None) -> list[Any]:
        return sorted(self.items(value), key=lambda one: _at(one, attribute), reverse=reverse)

    def unique(self, value: Any, attribute: str | None = None) -> list[Any]:
        seen: dict[Any, Any] = {}
        for one in self.items(value):
            seen.setdefault(_at(one, attribute), one)
        return list(seen.values())

    def pairs(self, value: Any) -> list[tuple[Any, Any]]:
        self.items(value)
        return list(value.items()) if isinstance(value, dict) else []

    @pass_context
    def mapped(
        self, context: RunContext, value: Any, name: str | None = None, *args: Any, attribute: Any = None
    ) -> Any:
        if attribute is not None:
            return [_at(one, attribute) for one in self.items(value)]
        call = context.environment.call_filter
        return [call(str(name), one, list(args), context=context) for one in self.items(value)]

    @pass_context
    def select(self, context: RunContext, value: Any, test: str = "true", *args: Any) -> list[Any]:
        return [one for one in self.items(value) if context.environment.call_test(test, one, list(args))]

    @pass_context
    def select_by(
        self, context: RunContext, value: Any, name: str, test: str = "defined", *args: Any
    ) -> list[Any]:
        check = context.environment.call_test
        return [one for one in self.items(value) if check(test, _at(one, name), list(args))]

    @pass_context
    def reject(self, context: RunContext, value: Any, test: str = "true", *args: Any) -> list[Any]:
        return [one for one in self.items(value) if not context.environment.call_test(test, one, list(args))]

    def encoded(self, value: Any) -> str:
        return quote(self.text(value), safe="", errors="replace")


def filters(budget: Budget) -> dict[str, Callable[..., Any]]:
    """The filters by name."""
    own = _Filters(budget)
    return {
        "abs": lambda value: abs(number(value)),
        "capitalize": lambda value: own.text(value).capitalize(),
        "count": own.length,
        "d": default,
        "default": default,
        "first": own.first,
        "int": whole,
        "items": own.pairs,
        "join": own.join,
        "last": own.last,
        "length": own.length,
        "list": own.items,
        "lower": lambda value: own.text(value).lower(),
        "map": own.mapped,
        "max": lambda value: max(own.items(value), default=None),
        "min": lambda value: min(own.items(value), default=None),
        "reject": own.reject,
        "replace": own.replace,
        "reverse": lambda value: own.text(value)[::-1] if isinstance(value, str) else own.items(value)[::-1],
        "round": rounded,
        "select": own.select,
        "selectattr": own.select_by,
        "sort": own.ordered,
        "string": own.text,
        "sum": own.total,
        "title": lambda value: own.text(value).title(),
        "trim": lambda value: own.text(value).strip(),
        "truncate": own.truncate,
        "unique": own.unique,
        "upper": lambda value: own.text(value).upper(),
        "urlencode": own.encoded,
    }


def _at(value: Any, path: str | None) -> Any:
    """An item's ``a.b``, or the item; null where a step is not there."""
    for step in path.split(".") if path else ():
        value = value.get(step) if type(value) is dict else None
    return value
