"""Refuse names that do not exist, and suggest the one that was probably meant.

Invariant: a command with a name that is nowhere does nothing, and exits with 2.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridge.settings import Settings, SourceSettings


def require_known(what: str, name: str, known: Collection[str], all_are: str) -> None:
    """Raise ``ConfigError`` unless the name is known. ``what`` begins the message, before the name."""
    from bridge.settings import names

    names.require_known(what, name, known, all_are)


def require_endpoint(path: Path, name: str, known: Collection[str]) -> None:
    """Raise ``ConfigError`` unless the configuration has an endpoint of this name."""
    require_known(f"{path} has no endpoint", name, known, "the endpoints are")


def require_type(type_: str, sources: Iterable[SourceSettings]) -> None:
    """Raise ``ConfigError`` for an event type or pattern that matches none, if all types are known."""
    from bridge.settings import names

    names.require_type(type_, sources)


def require_selected(pattern: str, settings: Settings, endpoint: str | None) -> None:
    """Raise ``ConfigError`` if no endpoint (or not this one) can select an event of these types."""
    from bridge.settings import names

    names.require_selected(pattern, settings, endpoint)
