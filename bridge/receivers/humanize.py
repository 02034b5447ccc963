"""Format values for people: amounts, dates, names, event types.

Payloads contain anything a producer wrote. So every function accepts any JSON-like value, including
``Decimal`` and ``bytes``, and never raises. It returns "" for null.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from bridge.receivers.fit import one_line

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\da-zA-Z_]+")
_SUFFIX = re.compile(r"(?<=.)(Post)?BusinessEvent$")
_DOMAIN = re.compile(r"^(com|org|net|io|dev|eu|de|uk|co)(\.[a-z0-9-]+)(?=\.)")
_NUMBER = re.compile(r"-?\d{1,30}(\.\d{1,30})?")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_INSTANT = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)\S*")
_LONGEST = 20_000
"""Characters of a text that are read: no message shows more."""
_SHOWN = 5
"""Entries of a list that are shown."""


def value_at(data: Any, path: str) -> Any:
    """Return the value at a dotted path of mappings, or None."""
    for name in path.split("."):
        if not isinstance(data, Mapping):
            return None
        data = data.get(name)
    return data


def format_value(value: Any) -> str:
    """Format any value as one line. An enumeration (``{id, code, value}``) is shown as its value."""
    match value:
        case None:
            shown = ""
        case str():
            shown = one_line(value[:_LONGEST])
        case bool():
            shown = "yes" if value else "no"
        case Decimal():
            shown = format_decimal(value)
        case bytes():
            shown = f"{len(value)} bytes"
        case Mapping():
            named = next((value[key] for key in ("value", "name", "code") if value.get(key)), None)
            shown = format_value(named) if isinstance(named, str) else _count(len(value), "field", "fields")
        case Sequence():
            shown = _listed(value)
        case _:
            shown = str(value)
    return shown


def _listed(values: Sequence[Any]) -> str:
    if any(isinstance(entry, Mapping | list) for entry in values):
        return _count(len(values), "entry", "entries")
    more = f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
    return ", ".join(format_value(entry) for entry in values[:_SHOWN]) + more


def _count(number: int, singular: str, plural: str) -> str:
    return f"{number} {singular if number == 1 else plural}"


def format_decimal(amount: Decimal) -> str:
    """Format a number in plain notation, without trailing zeros."""
    written = format(amount, "f")
    return (written.rstrip("0").rstrip(".") or "0") if "." in written else written


def parse_number(value: Any) -> Decimal | None:
    """Return the exact number of a value, or None. Text with digits is a number, true and false are not."""
    if isinstance(value, Decimal):
        return value if value.is_finite() else None
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    written = str(value) if isinstance(value, float) else value
    if not isinstance(written, str) or not _NUMBER.fullmatch(written):
        return None
    try:
        return Decimal(written)
    except InvalidOperation:
        return None


def format_money(value: Any, currency: str = "", places: int = 2) -> str:
    """Format an amount with currency and thousands separators, never rounded: it may have more places.

    A value that is not a number is formatted as text.
    """
    amount = parse_number(value)
    if amount is None:
        return format_value(value)
    whole, _, fraction = format_decimal(abs(amount)).partition(".")
    fraction = fraction.ljust(places, "0")
    grouped = f"{int(whole):,}" if len(whole) < 40 else whole
    sign = "-" if amount < 0 else ""
    written = f"{sign}{grouped}.{fraction}" if fraction else f"{sign}{grouped}"
    return f"{currency} {written}".strip()


def format_date(value: Any) -> str:
    """Format a date as ``2026-06-29``, also Java's ``[2026, 6, 29]``; anything else as text."""
    if (
        isinstance(value, list)
        and len(value) == 3
        and all(isinstance(part, int) and not isinstance(part, bool) and 0 < part < 10_000 for part in value)
    ):
        year, month, day = value
        return f"{year:04}-{month:02}-{day:02}"
    written = format_value(value)
    match = _DATE.match(written)
    return match[0] if match and len(written) > 10 else written


def format_instant(value: str) -> str:
    """Format an RFC 3339 instant to the minute: ``2026-06-29 08:15 UTC``."""
    match = _INSTANT.fullmatch(value)
    return f"{match[1]} {match[2]} UTC" if match and value.endswith("Z") else one_line(value)


def event_title(type: str) -> str:
    """Convert an event type to words: ``LoanBalanceChangedBusinessEvent`` is Loan balance changed.

    A leading domain, as in CloudEvents, is left out: ``com.example.stock.reserved`` is Stock reserved.
    """
    words = split_words(type)
    if not words:
        return one_line(type) or "Event"
    head, *tail = words
    lowered = (word if word.isupper() else word.lower() for word in tail)
    return " ".join([head[:1].upper() + head[1:], *lowered])


def split_words(type: str) -> list[str]:
    """Return at most 30 words of an event type, without its domain and its suffix."""
    short = _SUFFIX.sub("", _DOMAIN.sub("", type[:400]).lstrip("."))
    return _WORD.findall(short)[:30]
