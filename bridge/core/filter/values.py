"""Define the operators of filters for the values that events contain.

Three rules:

- A missing value is none. It equals only none, is neither more nor less than anything, and makes a
  calculation none.
- Money is exact. If a decimal meets a binary fraction, the fraction counts as it is written: 0.1 is
  one tenth.
- Kinds do not mix. Comparing the order of text and a number is a ``Mismatch``, never a guess.
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


class Mismatch(Exception):
    """Values that an operator does not accept. The text names their kinds, never the values."""


def kind(value: Any) -> str:
    """Return the name of a value's kind, for a person."""
    return _NAMES.get(type(_all_digits(value)), "a value of another kind")


def exact(fraction: float) -> Decimal:
    """Return a binary fraction as the decimal that it is written as."""
    return Decimal(repr(fraction))


def _all_digits(value: Any) -> Any:
    """Return a JSON number with more digits than a double has as the decimal it is written as."""
    return value.exact if type(value) is ExactNumber else value


def equal(left: Any, right: Any) -> bool:
    """Return ``left == right``. Values of different kinds are not equal, and no ``Mismatch``."""
    left, right = _all_digits(left), _all_digits(right)
    if type(left) is not type(right):
        if type(left) is float and type(right) is Decimal:
            left = exact(left)
        elif type(left) is Decimal and type(right) is float:
            right = exact(right)
    return bool(left == right)


def unequal(left: Any, right: Any) -> bool:
    """Return ``left != right``."""
    return not equal(left, right)


def _ordered(sign: str, compare: Binary) -> Binary:
    def ordered(left: Any, right: Any) -> bool:
        left, right = _all_digits(left), _all_digits(right)
        if type(left) is not type(right):
            if left is None or right is None:
                return False
            if not (is_number(left) and is_number(right)):
                raise Mismatch(
                    f"{kind(left)} {sign} {kind(right)}: only equal kinds have an order{_hint(left, right)}"
                )
            left, right = _alike(left, right)
        elif type(left) not in _ORDERED:
            if left is None:
                return False
            raise Mismatch(f"{kind(left)} {sign} {kind(right)}: these have no order")
        try:
            return bool(compare(left, right))
        except InvalidOperation:  # a decimal NaN: false, as with a binary NaN
            return False

    return ordered


def _hint(left: Any, right: Any) -> str:
    mixed = {type(left), type(right)}
    return " (| number converts a text to a number)" if str in mixed and mixed & set(_NUMBERS) else ""


def is_number(value: Any) -> bool:
    """Return True if it can be used in a calculation; true and false cannot."""
    return isinstance(value, _NUMBERS) and not isinstance(value, bool)


def _alike(left: Any, right: Any) -> tuple[Any, Any]:
    if type(left) is float and type(right) is Decimal:
        return exact(left), right
    if type(left) is Decimal and type(right) is float:
        return left, exact(right)
    return left, right


def _counted(sign: str, count: Binary) -> Binary:
    def counted(left: Any, right: Any) -> Any:
        if left is None or right is None:
            return None
        left, right = _all_digits(left), _all_digits(right)
        if not (is_number(left) and is_number(right)):
            raise Mismatch(f"{kind(left)} {sign} {kind(right)}: calculations need numbers")
        try:
            return count(*_alike(left, right))
        except ZeroDivisionError:
            raise Mismatch(f"{sign} by zero") from None

    return counted


def within(left: Any, right: Any) -> bool:
    """Return ``left in right``: an entry of a list, a part of a text, a key of an object; never in none."""
    if isinstance(right, str):
        if isinstance(left, str):
            return left in right
        if left is None:
            return False
        raise Mismatch(f"{kind(left)} in text: only text can be part of text")
    if isinstance(right, list | tuple):
        return any(equal(left, entry) for entry in right)
    if isinstance(right, dict):
        return isinstance(left, str) and left in right
    if right is None:
        return False
    raise Mismatch(f"in {kind(right)}: write a list, a text or an object after in")


def not_within(left: Any, right: Any) -> bool:
    """Return ``left not in right``."""
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
    """Return the number with the opposite sign."""
    return COUNT["-"](0, value)


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise Mismatch(f"{name} of {kind(value)}: it works on text")
    return value


def length(value: Any) -> int | None:
    """Return the characters of a text, or the entries of a list or an object."""
    if value is None:
        return None
    if not isinstance(value, str | list | tuple | dict):
        raise Mismatch(f"length of {kind(value)}: it works on text, lists and objects")
    return len(value)


def lower(value: Any) -> str | None:
    """Return a text in lower case."""
    return None if value is None else _text("lower", value).lower()


def upper(value: Any) -> str | None:
    """Return a text in upper case."""
    return None if value is None else _text("upper", value).upper()


def number(value: Any) -> Any:
    """Return the number in a text, exactly. A number is returned unchanged."""
    if value is None or is_number(value):
        return value
    text = _text("number", value).strip()
    try:
        converted = Decimal(text) if len(text) <= _MOST_DIGITS else None
    except InvalidOperation:
        converted = None
    if converted is None or not converted.is_finite():
        raise Mismatch("number of a text that is not a number")
    return converted


CONVERT: dict[str, Callable[[Any], Any]] = {
    "length": length,
    "lower": lower,
    "number": number,
    "upper": upper,
}
"""The words that may follow ``|``."""


def starts(value: Any, part: str) -> bool:
    """Return ``value.startswith(part)``."""
    return value is not None and _text("startswith", value).startswith(part)


def ends(value: Any, part: str) -> bool:
    """Return ``value.endswith(part)``."""
    return value is not None and _text("endswith", value).endswith(part)


TEXT_TESTS: dict[str, Callable[[Any, str], bool]] = {"endswith": ends, "startswith": starts}
"""The methods of a text."""
