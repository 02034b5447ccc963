"""What there is to tell about an event: a title, fields, one line. Pure.

Part of the presets. Each receiver's preset dresses the same ``Notice`` in its own format, so that an
event type is worded once (``wordings``), and a receiver is dressed once.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from bridge.model import Event
from bridge.receivers import words
from bridge.receivers.fit import one_line

MAX_FIELDS = 10
"""Slack takes ten fields in a section; more than that nobody reads in a message."""
_CURRENCIES = ("currency", "summary.currency", "product.currency", "transactionToAdjust.currency")
_SKIPPED = frozenset({"customData", "imageId", "imagePresent"})


class Tone(StrEnum):
    """How the news is: receivers with colours show it."""

    GOOD = "good"
    NEUTRAL = "neutral"
    BAD = "bad"


class Field(NamedTuple):
    """One fact. ``told`` is how it stands in the one-line summary; "" where it does not."""

    label: str
    value: str
    told: str = ""


class Notice(NamedTuple):
    """What a person wants to know of an event. All texts are in one line, of any length, not escaped."""

    title: str
    tone: Tone
    fields: tuple[Field, ...]
    footer: str

    @property
    def summary(self) -> str:
        """The title and the key facts, for notifications and receivers that show one line."""
        facts = [field.told for field in self.fields if field.told]
        return f"{self.title}: {', '.join(facts)}" if facts else self.title


class Look:
    """A look into the payload of an event: values by path, as text. Gives "" for what is not there."""

    def __init__(self, event: Event) -> None:
        self.event = event
        self.data = event.payload()
        self.currency, self.places = _currency(self.data)

    def text(self, *paths: str) -> str:
        """The first of these that is there."""
        return next((found for path in paths if (found := words.text(words.at(self.data, path)))), "")

    def date(self, *paths: str) -> str:
        """The first of these dates that is there."""
        return next((found for path in paths if (found := words.date(words.at(self.data, path)))), "")

    def money(self, *paths: str) -> str:
        """The first of these amounts that is not zero, or else the first that is there."""
        given = [value for path in paths if (value := words.at(self.data, path)) is not None]
        telling = [value for value in given if words.number(value) != 0]
        for value in telling or given:
            return words.money(value, self.currency, self.places)
        return ""

    def spent(self, *paths: str) -> str:
        """Like ``money``, but "" for zero: for the parts of an amount."""
        return next(
            (
                words.money(value, self.currency, self.places)
                for path in paths
                if (value := words.at(self.data, path)) is not None and words.number(value) != 0
            ),
            "",
        )


def _currency(data: Any) -> tuple[str, int]:
    for path in _CURRENCIES:
        found = words.at(data, path)
        if isinstance(found, Mapping) and isinstance(found.get("code"), str):
            places = found.get("decimalPlaces")
            fine = isinstance(places, int) and not isinstance(places, bool) and 0 <= places <= 8
            return words.text(found["code"])[:12], places if fine and places is not None else 2
        if isinstance(found, str):
            return words.text(found)[:12], 2
    return words.text(words.at(data, "currencyCode"))[:12], 2


def footer(event: Event) -> str:
    """Where the event comes from: its type, tenant, entity and instant."""
    parts = (event.type, event.tenant or "", event.entity or "", words.instant(event.time))
    return " · ".join(part for part in map(one_line, parts) if part)


def generic(look: Look) -> Notice:
    """The notice of an event that has no wording of its own: the plain facts of its payload."""
    event, data = look.event, look.data
    entity = one_line(event.entity or "")
    fields = [Field("Entity", entity, entity)] if entity else []
    if isinstance(data, Mapping):
        facts = [
            (str(name), shown)
            for name, value in list(data.items())[:500]
            if name not in _SKIPPED and value is not None and (shown := words.text(value))
        ]
    else:
        facts = [("Data", shown)] if (shown := words.text(data)) else []
    room = MAX_FIELDS - len(fields)
    if len(facts) > room:
        facts, left = facts[: room - 1], len(facts) - room + 1
        facts.append(("Not shown", f"{left} more fields"))
    fields += [Field(words.spoken(label), shown) for label, shown in facts]
    return Notice(words.spoken(event.type), Tone.NEUTRAL, tuple(fields), footer(event))
