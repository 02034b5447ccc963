"""Step 4, routing: which endpoints want an event, by its source and type.

Takes names, gives names. Rule floor, pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import translate
from typing import Generic, NamedTuple, TypeVar

Target = TypeVar("Target")

_REMEMBERED = 4096
"""Routes kept per (source, type): types are few, but they come from outside, so bound them."""


class Subscription(NamedTuple):
    """What an endpoint wants: sources (None: all) and event patterns, ``!`` before an exclusion.

    A pattern is a glob over the whole type, in its case: ``*``, ``?``, ``[abc]``.
    """

    patterns: tuple[str, ...] = ("*",)
    sources: frozenset[str] | None = None


class Router(Generic[Target]):
    """Routes by source and type; each combination is worked out once and remembered."""

    def __init__(self, subscriptions: Mapping[Target, Subscription]) -> None:
        self._rules = [
            (target, subscription.sources, *_compile(subscription.patterns))
            for target, subscription in subscriptions.items()
        ]
        self._known: dict[tuple[str, str], tuple[Target, ...]] = {}

    def targets(self, source: str, event_type: str) -> tuple[Target, ...]:
        """The endpoints that want this type from this source, in the order of the configuration."""
        key = (source, event_type)
        found = self._known.get(key)
        if found is None:
            found = tuple(
                target
                for target, sources, wanted, unwanted in self._rules
                if (sources is None or source in sources)
                and wanted.match(event_type)
                and not (unwanted and unwanted.match(event_type))
            )
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[key] = found
        return found


def _compile(patterns: Sequence[str]) -> tuple[re.Pattern[str], re.Pattern[str] | None]:
    wanted = [pattern for pattern in patterns if not pattern.startswith("!")] or ["*"]
    unwanted = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
    return _union(wanted), _union(unwanted) if unwanted else None


def _union(patterns: Sequence[str]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{translate(pattern)})" for pattern in patterns))
