"""The product's template filters: money, dates, account numbers, paths into the payload, JSON.

To add a filter, add a function here. A ``NotPossible`` that it raises parks the event, with its text and
the template's line.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

from bridge.rendering.escape import Escape, Kind, escape_texts, json_of
from bridge.rendering.sandbox import JsonText, Missing, NotPossible, as_text, number

_EXACT = Context(prec=600)
_MOST_DECIMALS = 12
_LONGEST_MARK = 16
"""An amount may have 160 groups of digits, and the mark between them may come from the event."""
_LARGEST_SECONDS = 100_000_000_000
"""A larger number is milliseconds: in seconds it would be the year 5138, in milliseconds it is 1973."""
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_NAMED = {
    "iso": "%Y-%m-%d",
    "datetime": "%Y-%m-%d %H:%M:%S",
    "rfc3339": "%Y-%m-%dT%H:%M:%SZ",
    "long": "%-d %B %Y",
    "short": "%-d %b %Y",
    "time": "%H:%M",
}


def filters_for(kind: Kind, escape: Escape | None) -> dict[str, Callable[..., Any]]:
    """Return the filters by name, for text of a kind; in JSON, ``json`` returns a ``JsonText``."""

    def json(value: Any) -> str:
        plain = as_text(value) if isinstance(value, str | Missing) else value
        if kind is not Kind.JSON or escape is None:
            whole = json_of(plain)
        else:
            whole = json_of(escape_texts(plain, escape))
        return JsonText(whole, plain) if kind is Kind.JSON else whole

    return {"money": money, "date": date, "mask": mask, "pointer": pointer, "json": json}


def money(
    value: Any, currency: str | None = None, digits: int = 2, group: str = ",", point: str = "."
) -> str:
    """Format an amount: ``KES 1,250.50``. Exact, and rounded half to even, as banks do."""
    group, point = as_text(group), as_text(point)
    if len(group) > _LONGEST_MARK or len(point) > _LONGEST_MARK:
        raise NotPossible(f"money accepts at most {_LONGEST_MARK} characters between digits")
    if not isinstance(digits, int) or not 0 <= digits <= _MOST_DECIMALS:
        raise NotPossible(f"money accepts 0 to {_MOST_DECIMALS} digits after the point")
    amount = number(value).quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_EVEN, context=_EXACT)
    sign = "-" if amount < 0 else ""
    units, _, fraction = format(abs(amount), ",f").partition(".")
    text = sign + units.replace(",", group) + (point + fraction if fraction else "")
    return f"{as_text(currency)} {text}" if currency else text


def mask(value: Any, keep: int = 4) -> str:
    """Replace all but the last characters with ``*``; mask a text that is not longer completely."""
    text = as_text(value)
    if not isinstance(keep, int) or keep <= 0 or len(text) <= keep:
        return "*" * len(text)
    return "*" * (len(text) - keep) + text[-keep:]


def pointer(value: Any, path: str) -> Any:
    """Return the value at a JSON pointer (RFC 6901), or a missing value, so that ``default`` works."""
    steps = as_text(path).split("/")
    if steps[0]:
        raise NotPossible('a pointer must begin with "/", such as "/status/code"')
    for step in steps[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        if type(value) is dict and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isascii() and key.isdigit() and int(key[:9]) < len(value):
            value = value[int(key[:9])]
        else:
            return _missing(path)
    return value


def _missing(path: str) -> Missing:
    return Missing(hint=f'there is nothing at "{as_text(path)[:80]}"', name=path)


def date(value: Any, form: str = "iso", offset: str = "+00:00") -> str:
    """Format a date by a name of ``_NAMED`` or with strftime's letters, in English, at a fixed offset.

    ``value`` is RFC 3339 text, ``2026-06-29``, Fineract's ``[2026, 6, 29]``, or epoch seconds or
    milliseconds.
    """
    at = _instant(value)
    if at.tzinfo is not None:
        zone = _zone(as_text(offset))
        try:
            at = at.astimezone(zone)
        except OverflowError:
            raise NotPossible("the date is outside of the years 1 to 9999") from None
    form = as_text(form)
    pattern = _NAMED.get(form, form)
    pieces = pattern.split("%%")
    return "%".join(_formatted(piece, at) for piece in pieces)


def _formatted(pattern: str, at: datetime) -> str:
    first, *rest = pattern.split("%")
    text = [first]
    for piece in rest:
        width = 2 if piece.startswith("-") else 1
        letter = piece[:width]
        if letter not in _LETTERS:
            raise NotPossible(
                f'date does not support "%{letter[:2]}"; use {", ".join("%" + known for known in _LETTERS)}'
            )
        text.append(_LETTERS[letter](at) + piece[width:])
    return "".join(text)


_LETTERS: dict[str, Callable[[datetime], str]] = {
    "Y": lambda at: f"{at.year:04}",
    "y": lambda at: f"{at.year % 100:02}",
    "m": lambda at: f"{at.month:02}",
    "-m": lambda at: str(at.month),
    "B": lambda at: _MONTHS[at.month - 1],
    "b": lambda at: _MONTHS[at.month - 1][:3],
    "d": lambda at: f"{at.day:02}",
    "-d": lambda at: str(at.day),
    "A": lambda at: _DAYS[at.weekday()],
    "a": lambda at: _DAYS[at.weekday()][:3],
    "H": lambda at: f"{at.hour:02}",
    "-H": lambda at: str(at.hour),
    "I": lambda at: f"{(at.hour + 11) % 12 + 1:02}",
    "-I": lambda at: str((at.hour + 11) % 12 + 1),
    "p": lambda at: "AM" if at.hour < 12 else "PM",
    "M": lambda at: f"{at.minute:02}",
    "S": lambda at: f"{at.second:02}",
    "j": lambda at: f"{at.timetuple().tm_yday:03}",
}


def _instant(value: Any) -> datetime:
    try:
        if isinstance(value, list | tuple):
            year, month, day, *clock = (int(part) for part in value)
            hour, minute, second = (*clock, 0, 0, 0)[:3]
            return datetime(year, month, day, hour, minute, second)
        if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
            seconds = float(value) / (1000 if abs(float(value)) > _LARGEST_SECONDS else 1)
            return datetime.fromtimestamp(seconds, UTC)
        text = as_text(value)
        at = datetime.fromisoformat(text[:40])
        return at.replace(tzinfo=UTC) if at.tzinfo is None and len(text) > 10 else at
    except (ValueError, OverflowError, OSError, TypeError):
        raise NotPossible("date needs a date: 2026-06-29, an instant, [2026, 6, 29] or epoch time") from None


def _zone(offset: str) -> timezone:
    sign, hours, minutes = offset[:1], offset[1:3], offset[4:]
    if sign not in {"+", "-"} or not (hours + minutes).isdigit() or len(offset) != 6 or offset[3] != ":":
        raise NotPossible('the offset of a date is written like "+03:00"')
    try:
        return timezone(timedelta(hours=int(hours), minutes=int(minutes)) * (1 if sign == "+" else -1))
    except ValueError:
        raise NotPossible('the offset of a date is written like "+03:00"') from None
