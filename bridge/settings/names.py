"""Refuse names that a request has and the configuration has not, and suggest the one that was meant.

Invariant: a request with a name that is nowhere is refused before it changes anything.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase

from bridge.core.topic_selection import globs_overlap, is_pattern
from bridge.errors import ConfigError
from bridge.settings.models.settings import Settings
from bridge.settings.models.sources import FineractSource, SourceSettings
from bridge.settings.problem import choice, nearest, printable
from bridge.settings.rules.endpoints import unknown_type


def require_known(what: str, name: str, known: Collection[str], all_are: str) -> None:
    """Raise ``ConfigError`` unless the name is known. ``what`` begins the message, before the name."""
    if name not in known:
        guess = choice(name, known, all_are) if known else "there is none"
        raise ConfigError([f'{what} "{printable(name)}"; {guess}'])


def require_type(type_: str, sources: Iterable[SourceSettings]) -> None:
    """Raise ``ConfigError`` for an event type or pattern that matches none, if all types are known."""
    known = all(isinstance(source, FineractSource) and not source.custom_types for source in sources)
    if known and (wrong := unknown_type(type_)):
        raise ConfigError([f'"{printable(type_)}": {"; ".join(wrong)}'])


def require_selected(pattern: str, settings: Settings, endpoint: str | None) -> None:
    """Raise ``ConfigError`` if no endpoint (or not this one) can select an event of these types."""
    names = [endpoint] if endpoint is not None else list(settings.endpoints)
    patterns = [
        text for name in names for text in settings.endpoints[name].wanted if not text.startswith("!")
    ]
    if any(
        fnmatchcase(pattern, other) or fnmatchcase(other, pattern) or globs_overlap(pattern, other)
        for other in patterns
    ):
        return
    plain = [text for text in patterns if not is_pattern(text)]
    guess = nearest(pattern, plain or patterns)
    remedy = f'did you mean "{printable(guess)}"?' if guess else f"they select {', '.join(patterns[:20])}"
    whose = f"endpoint {endpoint}" if endpoint is not None else "any endpoint"
    raise ConfigError([f'"{printable(pattern)}" is no event type that {whose} selects; {remedy}'])
