"""A content filter of step 4: an expression over a decoded event, compiled once, asked per event.

    data.amount > 1000 and data.currency.code == "USD"

Takes an event, gives yes or no. Rule floor, pure. ``expression`` reads the text into a ``tree``, ``build``
makes plain functions of that, ``values`` says what comparing and counting mean, ``foresee`` whether it can
ever be true.

The words are those of Jinja2's expressions, of which this is the part that cannot loop, allocate or
reach an object's inside: a dot only ever looks a key up in the event. What an expression costs
grows with its length and with the texts and lists of the event, never with a number in it. Why
not a library: docs/adr/0010-filters-are-a-small-part-of-jinja2-expressions.md.
"""

from __future__ import annotations

from typing import Any

from bridge.core.filter.build import ABSENT, Ask, build, find
from bridge.core.filter.expression import parse
from bridge.core.filter.foresee import UNKNOWN, Known, can_hold
from bridge.core.filter.tree import BadExpression, Look, looks
from bridge.core.filter.values import Mistake
from bridge.errors import DecodeError, FilterError
from bridge.model import Event

__all__ = ["ABSENT", "UNKNOWN", "BadExpression", "Filter", "Look"]

_REMEDY = "correct the endpoint's when, or what writes this event; `hookferry route` shows what it looks at"


class Filter:
    """One endpoint's ``when``; ``looks`` are its paths. Raises ``BadExpression`` for a text that is none."""

    def __init__(self, text: str) -> None:
        tree = parse(text)
        self.text = text
        self._tree = tree
        self._ask: Ask = build(tree)
        self.looks = tuple(looks(tree))

    def wants(self, event: Event) -> bool:
        """Whether the event passes; its payload is decoded only when the expression gets that far.

        Raises ``FilterError`` where values do not fit the expression, such as text compared with a
        number, and ``DecodeError`` where the payload cannot be decoded.
        """
        try:
            return bool(self._ask(event))
        except DecodeError:
            raise
        except Mistake as exc:
            cause = str(exc)
        except (ArithmeticError, RecursionError, TypeError, ValueError) as exc:
            cause = f"it cannot be worked out ({type(exc).__name__})"
        raise FilterError(event.record.place, f'the filter "{_short(self.text)}": {cause}', _REMEDY)

    def can_hold(self, known: Known) -> bool:
        """False when it is false for every event of which this is known."""
        return can_hold(self._tree, known)

    def looked_at(self, event: Event) -> dict[str, Any]:
        """What each path of the expression finds in this event, or ``ABSENT``, as it is written.

        Raises ``DecodeError``.
        """
        return {look.text: find(look)(event) for look in self.looks}


def _short(text: str) -> str:
    one_line = " ".join(text.split())
    return one_line if len(one_line) <= 100 else f"{one_line[:100]}…"
