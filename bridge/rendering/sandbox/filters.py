"""The common template filters: the harmless ones of Jinja2, each with a limit.

They are reimplemented where Jinja2's own have no limit (``replace``, ``join``, ``sum``) or return a lazy
generator, whose items are not counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from typing import Any
from urllib.parse import quote

from jinja2 import Undefined, pass_context
from jinja2.runtime import Context as RunContext

from bridge.rendering.sandbox.budget import CHARS_A_STEP, Budget
from bridge.rendering.sandbox.values import NotPossible, as_text, format_decimal, list_items

_MOST_DIGITS = 30
_EXACT = Context(prec=1200)
"""Digits enough for any sum of numbers that ``format_decimal`` lets through."""


def default(value: Any, fallback: Any = "", empty: bool = False) -> Any:
    """Return ``fallback`` for a missing value or null; with ``empty`` also for "", 0, false and []."""
    if isinstance(value, Undefined) or value is None or (empty and not value):
        return fallback
    return value


def number(value: Any) -> Decimal:
    """Return the exact number of a number or a text. Raises ``NotPossible``."""
    if isinstance(value, Undefined):
        str(value)  # raises UndefinedError
    if isinstance(value, bool) or value is None:
        raise NotPossible("a number is needed")
    try:
        exact = value if type(value) is Decimal else Decimal(str(value).strip())
    except InvalidOperation:
        raise NotPossible("a number is needed, such as 12.50") from None
    format_decimal(exact)  # raises NotPossible for hundreds of digits
    return exact


def to_int(value: Any) -> int:
    """Return the number without its fraction (``int``)."""
    return int(number(value))


def rounded(value: Any, digits: int = 0) -> Decimal:
    """Round half away from zero, as people do, exactly (``round``)."""
    if not isinstance(digits, int) or not 0 <= digits <= _MOST_DIGITS:
        raise NotPossible(f"round accepts 0 to {_MOST_DIGITS} digits")
    try:
        return number(value).quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_UP, context=_EXACT)
    except InvalidOperation:
        raise NotPossible("the number is too large to round") from None


def encoded(value: Any) -> str:
    """Percent-encode everything except letters, digits and ``-._~`` (``urlencode``)."""
    return quote(as_text(value), safe="", errors="replace")


def charged(function: Callable[..., Any], budget: Budget) -> Callable[..., Any]:
    """Wrap a filter so that a call costs one step, and more if it reads or returns a long text."""

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        read = 0
        for value in (*args, *kwargs.values()) if kwargs else args:
            if isinstance(value, str):
                read += len(value)
        budget.spend(1 + read // CHARS_A_STEP)
        result = function(*args, **kwargs)
        if isinstance(result, str) and len(result) >= CHARS_A_STEP:
            budget.spend(len(result) // CHARS_A_STEP)
        return result

    return _marked_as(function, wrapper)


def _marked_as(function: Callable[..., Any], wrapper: Callable[..., Any]) -> Callable[..., Any]:
    """Return the wrapper with Jinja2's marks of the function, such as ``pass_context``.

    ``functools.wraps`` copies more than that, and half of the time to build a sandbox was spent in it.
    """
    wrapper.__dict__.update(getattr(function, "__dict__", {}))
    return wrapper


class _Filters:
    """The filters that read many items, or whose result may be longer than what they read."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget

    def items(self, value: Any) -> list[Any]:
        return list_items(value, self._budget)

    def replace(self, value: Any, old: str, new: str) -> str:
        whole_text, old, new = as_text(value), as_text(old), as_text(new)
        self._budget.spend(1, len(whole_text) + whole_text.count(old) * len(new))
        return whole_text.replace(old, new)

    def truncate(self, value: Any, length: int = 255, end: str = "…") -> str:
        whole_text, end = as_text(value), as_text(end)
        return whole_text if len(whole_text) <= length else whole_text[: max(0, length - len(end))] + end

    def join(self, value: Any, separator: str = "", attribute: str | None = None) -> str:
        parts = [as_text(_value_at(item, attribute)) for item in self.items(value)]
        separator = as_text(separator)
        self._budget.spend(1, sum(map(len, parts)) + len(parts) * len(separator))
        return separator.join(parts)

    def total(self, value: Any, attribute: str | None = None) -> Decimal:
        total = Decimal(0)
        for item in self.items(value):
            total = _EXACT.add(total, number(_value_at(item, attribute)))
        return total

    def length(self, value: Any) -> int:
        return len(value) if isinstance(value, str) else len(self.items(value))

    def first(self, value: Any) -> Any:
        return next(iter(self.items(value)), None)

    def last(self, value: Any) -> Any:
        return (self.items(value) or [None])[-1]

    def ordered(self, value: Any, reverse: bool = False, attribute: str | None = None) -> list[Any]:
        return sorted(self.items(value), key=lambda item: _value_at(item, attribute), reverse=reverse)

    def unique(self, value: Any, attribute: str | None = None) -> list[Any]:
        seen: dict[Any, Any] = {}
        for item in self.items(value):
            seen.setdefault(_value_at(item, attribute), item)
        return list(seen.values())

    def pairs(self, value: Any) -> list[tuple[Any, Any]]:
        self.items(value)
        return list(value.items()) if isinstance(value, dict) else []

    @pass_context
    def mapped(
        self, context: RunContext, value: Any, name: str | None = None, *args: Any, attribute: Any = None
    ) -> Any:
        if attribute is not None:
            return [_value_at(item, attribute) for item in self.items(value)]
        if name not in context.environment.filters:
            raise NotPossible("map needs the name of a filter, such as map('upper'), or attribute='…'")
        call = context.environment.call_filter
        results = [call(name, item, list(args), context=context) for item in self.items(value)]
        self._budget.create(results)
        return results

    @pass_context
    def select(self, context: RunContext, value: Any, test: str = "true", *args: Any) -> list[Any]:
        check = context.environment.call_test
        return [item for item in self.items(value) if check(test, item, list(args))]

    @pass_context
    def select_by(
        self, context: RunContext, value: Any, name: str, test: str = "defined", *args: Any
    ) -> list[Any]:
        check = context.environment.call_test
        return [item for item in self.items(value) if check(test, _value_at(item, name), list(args))]

    @pass_context
    def reject(self, context: RunContext, value: Any, test: str = "true", *args: Any) -> list[Any]:
        check = context.environment.call_test
        return [item for item in self.items(value) if not check(test, item, list(args))]


def filters(budget: Budget) -> dict[str, Callable[..., Any]]:
    """Return the filters by name. Each one that a template can name is ``charged``."""
    own = _Filters(budget)
    plain: dict[str, Callable[..., Any]] = {
        "abs": lambda value: abs(number(value)),
        "capitalize": lambda value: as_text(value).capitalize(),
        "count": own.length,
        "d": default,
        "default": default,
        "first": own.first,
        "int": to_int,
        "items": own.pairs,
        "join": own.join,
        "last": own.last,
        "length": own.length,
        "list": own.items,
        "lower": lambda value: as_text(value).lower(),
        "map": own.mapped,
        "max": lambda value: max(own.items(value), default=None),
        "min": lambda value: min(own.items(value), default=None),
        "reject": own.reject,
        "replace": own.replace,
        "reverse": lambda value: as_text(value)[::-1] if isinstance(value, str) else own.items(value)[::-1],
        "round": rounded,
        "select": own.select,
        "selectattr": own.select_by,
        "sort": own.ordered,
        "string": as_text,
        "sum": own.total,
        "title": lambda value: as_text(value).title(),
        "trim": lambda value: as_text(value).strip(),
        "truncate": own.truncate,
        "unique": own.unique,
        "upper": lambda value: as_text(value).upper(),
        "urlencode": encoded,
    }
    return {name: charged(function, budget) for name, function in plain.items()}


def tests(known: Mapping[str, Any], budget: Budget) -> dict[str, Any]:
    """Return Jinja2's tests by name, each one charged for the values that it may read completely."""

    def metered(test: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(value: Any, *args: Any) -> Any:
            budget.spend(1)
            for compared in args:
                budget.read(compared)
            if args or isinstance(value, str):
                budget.read(value)
            return test(value, *args)

        return _marked_as(test, wrapper)

    return {name: metered(test) for name, test in known.items()}


def _value_at(value: Any, path: str | None) -> Any:
    """Return an item's ``a.b``, or the item itself without a path; null if a step does not exist."""
    for step in path.split(".") if path else ():
        value = value.get(step) if type(value) is dict else None
    return value
