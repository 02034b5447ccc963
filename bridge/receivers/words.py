"""Values as a person reads them: money, dates, names, event types. Pure, and never fails on odd data.

Part of the presets. Payloads are whatever a producer wrote: every function takes any JSON-like
value, ``Decimal`` and ``bytes`` among the leaves, and gives text; the empty text for nothing.
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
"""Characters of a text that are looked at: no message shows more."""
_SHOWN = 5
"""Entries of a list that are shown."""


def at(data: Any, path: str) -> Any:
    """What stands at a dotted path of mappings; None where the way ends early."""
    for name in path.split("."):
        if not isinstance(data, Mapping):
            return None
        data = data.get(name)
    return data


def text(value: Any) -> str:
    """Any value in one line. An enumeration (``{id, code, value}``) is its value."""
    match value:
        case None:
            shown = ""
        case str():
            shown = one_line(value[:_LONGEST])
        case bool():
            shown = "yes" if value else "no"
        case Decimal():
            shown = plain(value)
        case bytes():
            shown = f"{len(value)} bytes"
        case Mapping():
            named = next((value[key] for key in ("value", "name", "code") if value.get(key)), None)
            shown = text(named) if isinstance(named, str) else _count(len(value), "field", "fields")
        case Sequence():
            shown = _listed(value)
        case _:
            shown = str(value)
    return shown


def _listed(values: Sequence[Any]) -> str:
    if any(isinstance(one, Mapping | list) for one in values):
        return _count(len(values), "entry", "entries")
    more = f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
    return ", ".join(text(one) for one in values[:_SHOWN]) + more


def _count(number: int, one: str, more: str) -> str:
    return f"{number} {one if number == 1 else more}"


def plain(amount: Decimal) -> str:
    """A number in plain notation without the zeros that only its scale brought in."""
    written = format(amount, "f")
    return (written.rstrip("0").rstrip(".") or "0") if "." in written else written


def number(value: Any) -> Decimal | None:
    """The exact number a value stands for, if it does; text with digits counts, true and false do not."""
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


def money(value: Any, currency: str = "", places: int = 2) -> str:
    """An amount with its currency, thousands set apart; never rounded, so it may have more places.

    What is no number stays the text it is.
    """
    amount = number(value)
    if amount is None:
        return text(value)
    whole, _, fraction = plain(abs(amount)).partition(".")
    fraction = fraction.ljust(places, "0")
    grouped = f"{int(whole):,}" if len(whole) < 40 else whole
    sign = "-" if amount < 0 else ""
    written = f"{sign}{grouped}.{fraction}" if fraction else f"{sign}{grouped}"
    return f"{currency} {written}".strip()


def date(value: Any) -> str:
    """A date: ``2026-06-29`` as it is, Java's ``[2026, 6, 29]`` written so, anything else as text."""
    if (
        isinstance(value, list)
        and len(value) == 3
        and all(isinstance(one, int) and not isinstance(one, bool) and 0 < one < 10_000 for one in value)
    ):
        year, month, day = value
        return f"{year:04}-{month:02}-{day:02}"
    written = text(value)
    found = _DATE.match(written)
    return found[0] if found and len(written) > 10 else written


def instant(value: str) -> str:
    """An RFC 3339 instant to the minute: ``2026-06-29 08:15 UTC``."""
    found = _INSTANT.fullmatch(value)
    return f"{found[1]} {found[2]} UTC" if found and value.endswith("Z") else one_line(value)


def spoken(type: str) -> str:
    """An event type in words: ``LoanBalanceChangedBusinessEvent`` is Loan balance changed.

    A domain in front, as CloudEvents have it, is left out: ``com.example.stock.reserved`` is Stock reserved.
    """
    found = words_of(type)
    if not found:
        return one_line(type) or "Event"
    head, *tail = found
    return " ".join([head[:1].upper() + head[1:], *(one if one.isupper() else one.lower() for one in tail)])


def words_of(type: str) -> list[str]:
    """The words of an event type, without its domain and its suffix; few, however long it is."""
    short = _SUFFIX.sub("", _DOMAIN.sub("", type[:400]).lstrip("."))
    return _WORD.findall(short)[:30]
