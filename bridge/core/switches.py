"""Decide which endpoints and event types are on, by the last record of the control topic for each.

Invariant: what has no record is on. The keys and values of these records are encoded here, too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Generic, NamedTuple, TypeVar

_PREFIX = "endpoint/"
_EVENTS_PREFIX = "events/"
ALL = "*"
"""All endpoints; no endpoint can have this name."""
_TEXT_CHARS = 500
"""Characters of a name or reason that are kept: a value stays far below the topic's ``max.message.bytes``."""


class DamagedSwitchError(ValueError):
    """A record of the control topic with a state that is neither on nor off."""


class Switch(NamedTuple):
    """One state: ``since`` is an RFC 3339 instant, ``by`` and ``reason`` are for a person."""

    on: bool
    since: str = ""
    by: str = ""
    reason: str = ""

    @property
    def state(self) -> str:
        """Return ``on`` or ``off``."""
        return "on" if self.on else "off"

    @property
    def since_s(self) -> float:
        """Return ``since`` in Unix seconds; 0 if it is not an instant."""
        try:
            at = datetime.fromisoformat(self.since)
        except ValueError:
            return 0.0
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()

    def to_bytes(self) -> bytes:
        """Return the value of its record."""
        return json.dumps(
            {
                "state": self.state,
                "since": self.since,
                "by": self.by[:_TEXT_CHARS],
                "reason": self.reason[:_TEXT_CHARS],
            }
        ).encode()


ON = Switch(on=True)
"""The state of an endpoint that was never switched."""


class EventTypes(NamedTuple):
    """Event types that are switched together: those that a glob matches, for one endpoint or ``ALL``."""

    pattern: str
    endpoint: str = ALL

    def __str__(self) -> str:
        return self.pattern if self.endpoint == ALL else f"{self.pattern} for {self.endpoint}"


Subject = str | EventTypes
"""What is switched: an endpoint by its name, or event types."""


def key_of(subject: Subject) -> bytes:
    """Return the key of a subject's records in the control topic."""
    if isinstance(subject, EventTypes):
        return f"{_EVENTS_PREFIX}{subject.endpoint}/{subject.pattern}".encode()
    return f"{_PREFIX}{subject}".encode()


def subject_of(key: bytes | None) -> Subject | None:
    """Return the subject of a record by its key; None if this release cannot read the key."""
    text = (key or b"").decode("utf-8", "replace")
    if text.startswith(_PREFIX):
        return text.removeprefix(_PREFIX)
    if not text.startswith(_EVENTS_PREFIX):
        return None
    endpoint, _, pattern = text.removeprefix(_EVENTS_PREFIX).partition("/")
    if not endpoint or not pattern or len(text) > _TEXT_CHARS or not text.isprintable():
        return None
    return EventTypes(pattern, endpoint)


def read_switch(value: bytes | None) -> Switch:
    """Return the switch in a record's value; a tombstone (None) is ``ON``. Raises ``DamagedSwitchError``."""
    if value is None:
        return ON
    try:
        document = json.loads(value)
    except ValueError as exc:
        raise DamagedSwitchError("it is not JSON") from exc
    state = document.get("state") if isinstance(document, dict) else None
    if state not in ("on", "off"):
        raise DamagedSwitchError('it has no "state" that is "on" or "off"')
    return Switch(state == "on", *(_printable(document.get(name)) for name in ("since", "by", "reason")))


def _printable(text: object) -> str:
    """Return one printable line: terminals and logs show it, and other programs may write to the topic."""
    if not isinstance(text, str):
        return ""
    return "".join(char if char.isprintable() else " " for char in text[:_TEXT_CHARS])


Name = TypeVar("Name", str, EventTypes)


class Switches(Generic[Name]):
    """The state of all endpoints, or event types, that were ever switched. Any other is on.

    ``on_change`` is called when one goes from on to off or back. Records that repeat its state do not
    call it: every pod that gets a 410 writes one. ``on_again`` is called when an operator turns one on that
    is on; it is not called for a record that was read before.
    """

    def __init__(
        self,
        on_change: Callable[[Name, Switch], object] | None = None,
        on_again: Callable[[Name, Switch], object] | None = None,
    ) -> None:
        self._on_change: Callable[[Name, Switch], object] | None = on_change
        self._on_again: Callable[[Name, Switch], object] | None = on_again
        self._switches: dict[Name, Switch] = {}

    def __getitem__(self, name: Name) -> Switch:
        return self._switches.get(name, ON)

    def put(self, name: Name, switch: Switch) -> None:
        """Set the state of one, as read from the topic."""
        before = self[name]
        self._switches[name] = switch
        if before.on != switch.on:
            if self._on_change is not None:
                self._on_change(name, switch)
        elif switch.on and switch.since not in ("", before.since) and self._on_again is not None:
            self._on_again(name, switch)

    def off(self) -> Iterator[Name]:
        """Return those that are off, sorted by name."""
        return (name for name, switch in sorted(self._switches.items()) if not switch.on)


def off_for(switches: Switches[EventTypes], endpoint: str) -> tuple[str, ...]:
    """Return the patterns of event types that are off for an endpoint, or for all endpoints."""
    return tuple(
        dict.fromkeys(types.pattern for types in switches.off() if types.endpoint in (ALL, endpoint))
    )
