"""What an expression's operators mean for the values an event holds. Pure.

Three rules, on which all else rests. What is not there is none: equal to none alone, neither more nor
less than anything, and none again in a calculation. Money is exact: where a decimal meets a binary
fraction, the fraction counts as it is written (0.1 is a tenth). Kinds do not mix: ordering text
against a number is a ``Mistake``, never a guess.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from bridge.model import ExactNumber

_MOST_DIGITS = 100
_NAMES = {
    str: "text", bool: "a boolean", int: "a number", float: "a number", Decimal: "a number",
    list: "a list", tuple: "a list", dict: "an object", bytes: "bytes", type(None): "none",
}  # fmt: skip
_NUMBERS = (int, float, Decimal)
_ORDERED = frozenset((str, int, float, Decimal))

Binary = Callable[[Any, Any], Any]


class Mistake(Exception):
    """Values that an operator cannot take; the text says which kinds, never the values."""


def kind(value: Any) -> str:
    """What a person calls such a value."""
    return _NAMES.get(type(_all_digits(value)), "a value of another kind")


def exact(fraction: float) -> Decimal:
    """A binary fraction as the decimal it is written as."""
    return Decimal(repr(fraction))


def _all_digits(value: Any) -> Any:
    """A number of JSON with more digits than a double holds, as the decimal it is written as."""
    return value.exact if type(value) is ExactNumber else value


def equal(left: Any, right: Any) -> bool:
    """``==``: values of different kinds are not equal, which is no mistake."""
    left, right = _all_digits(left), _all_digits(right)
    if type(left) is not type(right):
        if type(left) is float and type(right) is Decimal:
            left = exact(left)
        elif type(left) is Decimal and type(right) is float:
            right = exact(right)
    return bool(left == right)


def unequal(left: Any, right: Any) -> bool:
    """``!=``."""
    return not equal(left, right)


def _ordered(sign: str, compare: Binary) -> Binary:
    def ask(left: Any, right: Any) -> bool:
        left, right = _all_digits(left), _all_digits(right)
        if type(left) is not type(right):
            if left is None or right is None:
                return False
            if not (is_number(left) and is_number(right)):
                raise Mistake(
                    f"{kind(left)} {sign} {kind(right)}: only alike values have an order{_hint(left, right)}"
                )
            left, right = _alike(left, right)
        elif type(left) not in _ORDERED:
            if left is None:
                return False
            raise Mistake(f"{kind(left)} {sign} {kind(right)}: these have no order")
        try:
            return bool(compare(left, right))
        except InvalidOperation:  # a decimal that is not a number: as with binary ones, never
            return False

    return ask


def _hint(left: Any, right: Any) -> str:
    mixed = {type(left), type(right)}
    return " (| number makes a number of a text)" if str in mixed and mixed & set(_NUMBERS) else ""


def is_number(value: Any) -> bool:
    """Whether it can be counted with; true and false cannot."""
    return isinstance(value, _NUMBERS) and not isinstance(value, bool)


def _alike(left: Any, right: Any) -> tuple[Any, Any]:
    if type(left) is float and type(right) is Decimal:
        return exact(left), right
    if type(left) is Decimal and type(right) is float:
        return left, exact(right)
    return left, right


def _counted(sign: str, count: Binary) -> Binary:
    def ask(left: Any, right: Any) -> Any:
        if left is None or right is None:
            return None
        left, right = _all_digits(left), _all_digits(right)
        if not (is_number(left) and is_number(right)):
            raise Mistake(f"{kind(left)} {sign} {kind(right)}: only numbers can be counted with")
        try:
            return count(*_alike(left, right))
        except ZeroDivisionError:
            raise Mistake(f"{sign} by zero") from None

    return ask


def within(left: Any, right: Any) -> bool:
    """``in``: one of a list, a part of a text, a key of an object; never in what is not there."""
    if isinstance(right, str):
        if isinstance(left, str):
            return left in right
        if left is None:
            return False
        raise Mistake(f"{kind(left)} in text: only text can be part of text")
    if isinstance(right, list | tuple):
        return any(equal(left, one) for one in right)
    if isinstance(right, dict):
        return isinstance(left, str) and left in right
    if right is None:
        return False
    raise Mistake(f"in {kind(right)}: write a list, a text or an object behind in")


def not_within(left: Any, right: Any) -> bool:
    """``not in``."""
    return not within(left, right)


COMPARE: dict[str, Binary] = {
    "==": equal,
    "!=": unequal,
    "<": _ordered("<", operator.lt),
    "<=": _ordered("<=", operator.le),
    ">": _ordered(">", operator.gt),
    ">=": _ordered(">=", operator.ge),
    "in": within,
    "not in": not_within,
}
COUNT: dict[str, Binary] = {
    "+": _counted("+", operator.add),
    "-": _counted("-", operator.sub),
    "*": _counted("*", operator.mul),
    "/": _counted("/", operator.truediv),
}


def negative(value: Any) -> Any:
    """A number with its sign turned."""
    return COUNT["-"](0, value)


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise Mistake(f"{name} of {kind(value)}: it works on text")
    return value


def length(value: Any) -> int | None:
    """Characters of a text, entries of a list or an object."""
    if value is None:
        return None
    if not isinstance(value, str | list | tuple | dict):
        raise Mistake(f"length of {kind(value)}: it works on text, lists and objects")
    return len(value)


def lower(value: Any) -> str | None:
    """A text in small letters."""
    return None if value is None else _text("lower", value).lower()


def upper(value: Any) -> str | None:
    """A text in capitals."""
    return None if value is None else _text("upper", value).upper()


def number(value: Any) -> Any:
    """The number a text holds, exactly; numbers stay what they are."""
    if value is None or is_number(value):
        return value
    text = _text("number", value).strip()
    try:
        found = Decimal(text) if len(text) <= _MOST_DIGITS else None
    except InvalidOperation:
        found = None
    if found is None or not found.is_finite():
        raise Mistake("number of a text that is no number")
    return found


CONVERT: dict[str, Callable[[Any], Any]] = {
    "length": length,
    "lower": lower,
    "number": number,
    "upper": upper,
}
"""What may stand behind ``|``."""


def starts(value: Any, part: str) -> bool:
    """``.startswith()``."""
    return value is not None and _text("startswith", value).startswith(part)


def ends(value: Any, part: str) -> bool:
    """``.endswith()``."""
    return value is not None and _text("endswith", value).endswith(part)


TEXT_TESTS: dict[str, Callable[[Any, str], bool]] = {"endswith": ends, "startswith": starts}
"""What a text can be asked."""
