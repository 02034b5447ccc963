"""The notice of an event for people: a title, fields, and a one-line summary.

Each preset renders the same ``Notice`` in its receiver's format. So an event type is worded once, in
``wordings``, and a receiver's format is implemented once.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from bridge.model import Event
from bridge.receivers import humanize
from bridge.receivers.fit import one_line

MAX_FIELDS = 10
"""Slack's limit for a section; more are too many for one message."""
_CURRENCIES = ("currency", "summary.currency", "product.currency", "transactionToAdjust.currency")
_SKIPPED = frozenset({"customData", "imageId", "imagePresent"})


class Tone(StrEnum):
    """Whether the news is good or bad; receivers with colors show it."""

    GOOD = "good"
    NEUTRAL = "neutral"
    BAD = "bad"


class Field(NamedTuple):
    """One fact. ``in_summary`` is its text in the one-line summary, "" if it is left out."""

    label: str
    value: str
    in_summary: str = ""


class Notice(NamedTuple):
    """The facts of an event for people. Each text is one line, of any length, not escaped."""

    title: str
    tone: Tone
    fields: tuple[Field, ...]
    footer: str

    @property
    def summary(self) -> str:
        """The title and the key facts, for notifications and receivers that show one line."""
        facts = [field.in_summary for field in self.fields if field.in_summary]
        return f"{self.title}: {', '.join(facts)}" if facts else self.title


class PayloadView:
    """Reads values of an event's payload by path, as text; a missing value is an empty text."""

    def __init__(self, event: Event) -> None:
        self.event = event
        self.data = event.payload()
        self.currency, self.places = _currency(self.data)

    def text(self, *paths: str) -> str:
        """Return the first value that exists."""
        texts = (humanize.format_value(humanize.value_at(self.data, path)) for path in paths)
        return next(filter(None, texts), "")

    def date(self, *paths: str) -> str:
        """Return the first date that exists."""
        dates = (humanize.format_date(humanize.value_at(self.data, path)) for path in paths)
        return next(filter(None, dates), "")

    def money(self, *paths: str) -> str:
        """Return the first amount that is not zero, else the first that exists."""
        amounts = self._amounts(paths)
        nonzero = [amount for amount in amounts if humanize.parse_number(amount) != 0]
        return self._first_amount(nonzero or amounts)

    def spent(self, *paths: str) -> str:
        """Return the first amount that is not zero, else "": for the parts of an amount."""
        return self._first_amount(
            [amount for amount in self._amounts(paths) if humanize.parse_number(amount) != 0]
        )

    def _amounts(self, paths: tuple[str, ...]) -> list[Any]:
        values = (humanize.value_at(self.data, path) for path in paths)
        return [value for value in values if value is not None]

    def _first_amount(self, amounts: list[Any]) -> str:
        return humanize.format_money(amounts[0], self.currency, self.places) if amounts else ""


def _currency(data: Any) -> tuple[str, int]:
    for path in _CURRENCIES:
        currency = humanize.value_at(data, path)
        if isinstance(currency, Mapping) and isinstance(currency.get("code"), str):
            places = currency.get("decimalPlaces")
            valid = isinstance(places, int) and not isinstance(places, bool) and 0 <= places <= 8
            code = humanize.format_value(currency["code"])[:12]
            return code, places if valid and places is not None else 2
        if isinstance(currency, str):
            return humanize.format_value(currency)[:12], 2
    return humanize.format_value(humanize.value_at(data, "currencyCode"))[:12], 2


def build_footer(event: Event) -> str:
    """Return the origin of the event: its type, tenant, entity and time."""
    parts = (event.type, event.tenant or "", event.entity or "", humanize.format_instant(event.time))
    return " · ".join(part for part in map(one_line, parts) if part)


def generic_notice(view: PayloadView) -> Notice:
    """Build the notice of an event without its own wording: the top-level values of its payload."""
    event, data = view.event, view.data
    entity = one_line(event.entity or "")
    fields = [Field("Entity", entity, entity)] if entity else []
    if isinstance(data, Mapping):
        facts = [
            (str(name), shown)
            for name, value in list(data.items())[:500]
            if name not in _SKIPPED and value is not None and (shown := humanize.format_value(value))
        ]
    else:
        facts = [("Data", shown)] if (shown := humanize.format_value(data)) else []
    room = MAX_FIELDS - len(fields)
    if len(facts) > room:
        facts, left = facts[: room - 1], len(facts) - room + 1
        facts.append(("Not shown", f"{left} more fields"))
    fields += [Field(humanize.event_title(label), shown) for label, shown in facts]
    return Notice(humanize.event_title(event.type), Tone.NEUTRAL, tuple(fields), build_footer(event))
