"""Decide whether an event passes an endpoint's filter: an expression over the decoded event.

    data.amount > 1000 and data.currency.code == "USD"

The language is the part of Jinja2's expressions that cannot loop, allocate or reach the inside of an
object: a dot only looks up a key of the event. Invariant: the cost of an expression grows with its
length and with the texts and lists of the event, never with a number in it. Why this is not a
library: docs/adr/0010-filters-are-a-small-part-of-jinja2-expressions.md.

``expression.py`` parses the text into a ``tree.py``, ``build.py`` compiles that to functions,
``values.py`` defines comparison and arithmetic, and ``partial.py`` decides whether the expression can
ever be true.
"""

from __future__ import annotations

from typing import Any

from bridge.core.filter.build import ABSENT, Evaluate, build, find, payload_path
from bridge.core.filter.expression import parse
from bridge.core.filter.partial import UNKNOWN, Known, can_match
from bridge.core.filter.tree import BadExpression, FieldPath, field_paths
from bridge.core.filter.values import Mismatch
from bridge.errors import DecodeError, FilterError
from bridge.model import Event, FieldSet

__all__ = ["ABSENT", "UNKNOWN", "BadExpression", "FieldPath", "Filter"]

_REMEDY = "correct the endpoint's when, or what writes this event; `hookferry route` shows what it looks at"


class Filter:
    """One endpoint's ``when``, compiled. ``paths`` are the fields it reads, in the order of the text."""

    def __init__(self, text: str) -> None:
        """Compile an expression. Raises ``BadExpression``."""
        tree = parse(text)
        self.text = text
        self._tree = tree
        self._evaluate: Evaluate = build(tree)
        self.paths = tuple(field_paths(tree))
        payload_paths = (payload_path(path) for path in self.paths)
        self.reads: FieldSet = frozenset(path for path in payload_paths if path is not None)
        """What it reads of the payload."""

    def matches(self, event: Event) -> bool:
        """Return True if the event passes. The payload is decoded only if the expression reads it.

        Raises ``FilterError`` if the values do not fit the expression, such as text compared with a
        number, and ``DecodeError`` if the payload cannot be decoded.
        """
        try:
            return bool(self._evaluate(event))
        except DecodeError:
            raise
        except Mismatch as exc:
            cause = str(exc)
        except (ArithmeticError, RecursionError, TypeError, ValueError) as exc:
            cause = f"it cannot be evaluated ({type(exc).__name__})"
        raise FilterError(event.record.place, f'the filter "{_short(self.text)}": {cause}', _REMEDY)

    def can_match(self, known: Known) -> bool:
        """Return False if the filter is false for every event with these known values."""
        return can_match(self._tree, known)

    def path_values(self, event: Event) -> dict[str, Any]:
        """Return the value of each path in this event, or ``ABSENT``, by the path's text.

        Raises ``DecodeError``.
        """
        return {path.text: find(path)(event) for path in self.paths}


def _short(text: str) -> str:
    one_line = " ".join(text.split())
    return one_line if len(one_line) <= 100 else f"{one_line[:100]}…"
