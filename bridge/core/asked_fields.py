"""Decide which fields of a payload are decoded: those that some endpoint reads.

Invariant: the answer only saves time. Whatever reads a payload names its own paths (``Event.data``), and
gets the whole payload if they are not among the asked ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

from bridge.core.routing import Patterns
from bridge.model import WHOLE, FieldSet

_REMEMBERED = 4096
"""Event types, which come from outside."""


class Asking(NamedTuple):
    """What one endpoint reads of the payload of its events; its sources (None: all) and event patterns."""

    paths: FieldSet
    sources: frozenset[str] | None
    patterns: tuple[str, ...]


class AskedFields:
    """The fields that the endpoints ask for, by source and event type."""

    def __init__(self, askings: Sequence[Asking]) -> None:
        self._askings = askings

    def of(self, source: str) -> Callable[[str], FieldSet]:
        """Return the function from an event type of a source to the fields that are asked for."""
        rules = [
            (Patterns(asking.patterns), asking.paths)
            for asking in self._askings
            if asking.sources is None or source in asking.sources
        ]

        @lru_cache(_REMEMBERED)
        def fields(type_: str) -> FieldSet:
            asked = frozenset[tuple[str, ...]]().union(*(paths for rule, paths in rules if rule.match(type_)))
            return WHOLE if () in asked else asked

        return fields


EVERYTHING = AskedFields([Asking(WHOLE, None, ())])
"""For readers that show payloads as they are."""


@lru_cache(_REMEMBERED)
def covers(asked: FieldSet, paths: FieldSet) -> bool:
    """Return True if each path is one of those that are asked for, or below one of them."""
    return all(any(path[:length] in asked for length in range(len(path) + 1)) for path in paths)
