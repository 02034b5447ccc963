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

from bridge.sandbox.budget import Budget
from bridge.sandbox.values import NotPossible, as_text, items_of, plain

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


def filters(budget: Budget) -> dict[str, Callable[..., Any]]:
    """The filters by name; those that look at many items or characters pay for them."""

    def text(value: Any) -> str:
        plain_text = as_text(value)
        budget.spend(1 + len(plain_text) // _CHARS_A_STEP)
        return plain_text

    def items(value: Any) -> list[Any]:
        return items_of(value, budget)

    def replace(value: Any, old: str, new: str) -> str:
        whole_text, old, new = text(value), as_text(old), as_text(new)
        budget.spend(1, len(whole_text) + whole_text.count(old) * len(new))
        return whole_text.replace(old, new)

    def truncate(value: Any, length: int = 255, end: str = "…") -> str:
        whole_text, end = text(value), as_text(end)
        return whole_text if len(whole_text) <= length else whole_text[: max(0, length - len(end))] + end

    def join(value: Any, separator: str = "", attribute: str | None = None) -> str:
        parts = [as_text(_at(one, attribute)) for one in items(value)]
        separator = as_text(separator)
        budget.spend(1, sum(map(len, parts)) + len(parts) * len(separator))
        return separator.join(parts)

    def total(value: Any, attribute: str | None = None) -> Decimal:
        whole_sum = Decimal(0)
        for one in items(value):
            whole_sum = _EXACT.add(whole_sum, number(_at(one, attribute)))
        return whole_sum

    def length(value: Any) -> int:
        return len(value) if isinstance(value, str) else len(items(value))

    def first(value: Any) -> Any:
        return next(iter(items(value)), None)

    def last(value: Any) -> Any:
        return (items(value) or [None])[-1]

    def ordered(value: Any, reverse: bool = False, attribute: str | None = None) -> list[Any]:
        return sorted(items(value), key=lambda one: _at(one, attribute), reverse=reverse)

    def unique(value: Any, attribute: str | None = None) -> list[Any]:
        seen: dict[Any, Any] = {}
        for one in items(value):
            seen.setdefault(_at(one, attribute), one)
        return list(seen.values())

    def pairs(value: Any) -> list[tuple[Any, Any]]:
        items(value)
        return list(value.items()) if isinstance(value, dict) else []

    @pass_context
    def mapped(
        context: RunContext, value: Any, name: str | None = None, *args: Any, attribute: Any = None
    ) -> Any:
        if attribute is not None:
            return [_at(one, attribute) for one in items(value)]
        call = context.environment.call_filter
        return [call(str(name), one, list(args), context=context) for one in items(value)]

    @pass_context
    def select(context: RunContext, value: Any, test: str = "true", *args: Any) -> list[Any]:
        return [one for one in items(value) if context.environment.call_test(test, one, list(args))]

    @pass_context
    def select_by(context: RunContext, value: Any, name: str, test: str = "defined", *args: Any) -> list[Any]:
        check = context.environment.call_test
        return [one for one in items(value) if check(test, _at(one, name), list(args))]

    @pass_context
    def reject(context: RunContext, value: Any, test: str = "true", *args: Any) -> list[Any]:
        return [one for one in items(value) if not context.environment.call_test(test, one, list(args))]

    def encoded(value: Any) -> str:
        return quote(text(value), safe="", errors="replace")

    return {
        "abs": lambda value: abs(number(value)),
        "capitalize": lambda value: text(value).capitalize(),
        "count": length,
        "d": default,
        "default": default,
        "first": first,
        "int": whole,
        "items": pairs,
        "join": join,
        "last": last,
        "length": length,
        "list": items,
        "lower": lambda value: text(value).lower(),
        "map": mapped,
        "max": lambda value: max(items(value), default=None),
        "min": lambda value: min(items(value), default=None),
        "reject": reject,
        "replace": replace,
        "reverse": lambda value: text(value)[::-1] if isinstance(value, str) else items(value)[::-1],
        "round": rounded,
        "select": select,
        "selectattr": select_by,
        "sort": ordered,
        "string": text,
        "sum": total,
        "title": lambda value: text(value).title(),
        "trim": lambda value: text(value).strip(),
        "truncate": truncate,
        "unique": unique,
        "upper": lambda value: text(value).upper(),
        "urlencode": encoded,
    }


def _at(value: Any, path: str | None) -> Any:
    """An item's ``a.b``, or the item; null where a step is not there."""
    for step in path.split(".") if path else ():
        value = value.get(step) if type(value) is dict else None
    return value
