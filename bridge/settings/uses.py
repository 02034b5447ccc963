"""Name the settings that a command uses. Mistakes in all others do not stop it (``load_for``). Pure.

So `hookferry endpoints off` needs the login of Kafka, and no secret of a receiver.
"""

from __future__ import annotations

from collections.abc import Callable

from bridge.settings.problem import Path

Uses = Callable[[Path], bool]
"""Return True if a command uses the setting at a path, a part of it, or what contains it."""

_ANY = "*"
_ALWAYS: tuple[Path, ...] = (("group",), ("admin",), ("log", "level"))
_CONNECTION = ("bootstrap_servers", "security_protocol", "tls", "sasl", "create_topics", "replication_factor")
_SELECTION = ("sources", "topics", "events", "tenants", "record_headers", "when", "preset")
_KEYS = ("secrets", "signing")
_TOPICS: tuple[Path, ...] = (("sources", _ANY, "topics"), ("sources", _ANY, "format"))
_KAFKA: tuple[Path, ...] = tuple(("kafka", key) for key in _CONNECTION)
_ROUTING: tuple[Path, ...] = tuple(("endpoints", _ANY, key) for key in _SELECTION)


def parts(*patterns: Path) -> Uses:
    """Return a rule that is true for these paths. A ``*`` matches any name."""
    wanted = (*_ALWAYS, *patterns)
    return lambda path: any(_touch(path, pattern) for pattern in wanted)


def _touch(path: Path, pattern: Path) -> bool:
    """Return True if one path is the other, or contains it."""
    return all(wanted in (_ANY, step) for step, wanted in zip(path, pattern, strict=False))


KAFKA = parts(*_KAFKA, *_TOPICS)
"""The commands that only read and write the bridge's own topics and offsets."""
SWITCHING = parts(*_KAFKA, *_TOPICS, ("sources", _ANY, "custom_types"), *_ROUTING)
"""What switches event types: the selections contain those that exist."""
ROUTING = parts(*_TOPICS, *_ROUTING)
"""What routes a sample without a connection. The schemas of its source are read when it is known."""
LIVE_ROUTING = parts(*_TOPICS, *_ROUTING, *_KAFKA)
COUNTING = parts(*_KAFKA, ("sources",), *_ROUTING)
"""What counts the events of a part of the log: it decodes them as the bridge does."""

FOLLOWING = parts(*_KAFKA, *_TOPICS, ("egress",))
"""What follows the history, and forwards attempts to a developer."""
SIGNING_KEYS = parts(*(("endpoints", _ANY, key) for key in _KEYS))
"""What lists the signing keys of all endpoints."""

CONSOLE = parts(*_KAFKA, *_TOPICS, ("console",), ("log",))
"""What ``hookferry console`` uses: no secret of a receiver. What it cannot decode, it shows in offsets."""


def sending(endpoint: str) -> Uses:
    """Return what rendering or sending a sample to one endpoint uses."""
    return parts(*_TOPICS, ("endpoints", endpoint), ("egress",))


def signing(endpoint: str) -> Uses:
    """Return what checking or changing the signatures of one endpoint uses."""
    return parts(*(("endpoints", endpoint, key) for key in _KEYS))


def reading(source: str | None) -> Uses:
    """Return what reading a topic uses, and decoding it if a source has it."""
    return parts(*_KAFKA, *_TOPICS, *([("sources", source)] if source is not None else []))


def showing(source: str | None, endpoint: str | None) -> Uses:
    """Return what decoding a parked record and rendering its body uses."""
    return parts(
        *_TOPICS,
        *([("sources", source)] if source is not None else []),
        *([("endpoints", endpoint, key) for key in ("body", "preset", "method")] if endpoint else []),
    )
