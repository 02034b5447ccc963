"""Which endpoints and event types are on or off, as the control topic says: the rule, and its text form.

Takes what was read for one of them, tells whoever asked of every change. Rule floor, pure.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Generic, NamedTuple, TypeVar

_PREFIX = "endpoint/"
_EVENTS_PREFIX = "events/"
ALL = "*"
"""Stands for all endpoints; no endpoint is called so."""
_TEXT_CHARS = 500
"""What is kept of a name or reason: a value stays far below the topic's ``max.message.bytes``."""


class DamagedSwitchError(ValueError):
    """A record of the control topic that says neither on nor off."""


class Switch(NamedTuple):
    """One endpoint's state: ``since`` is an RFC 3339 instant, ``by`` and ``reason`` are for a person."""

    on: bool
    since: str = ""
    by: str = ""
    reason: str = ""

    @property
    def state(self) -> str:
        """``on`` or ``off``."""
        return "on" if self.on else "off"

    @property
    def since_s(self) -> float:
        """``since`` in Unix seconds; 0 when it is not an instant."""
        try:
            at = datetime.fromisoformat(self.since)
        except ValueError:
            return 0.0
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()

    def to_bytes(self) -> bytes:
        """The value of its record."""
        return json.dumps(
            {
                "state": self.state,
                "since": self.since,
                "by": self.by[:_TEXT_CHARS],
                "reason": self.reason[:_TEXT_CHARS],
            }
        ).encode()


ON = Switch(on=True)
"""An endpoint that nobody ever switched."""


class EventTypes(NamedTuple):
    """Event types that are switched together: what a glob matches, for one endpoint or for ``ALL``."""

    pattern: str
    endpoint: str = ALL

    def __str__(self) -> str:
        return self.pattern if self.endpoint == ALL else f"{self.pattern} for {self.endpoint}"


Subject = str | EventTypes
"""What a switch is about: an endpoint by its name, or event types."""


def key_of(subject: Subject) -> bytes:
    """The key of a subject's records in the control topic."""
    if isinstance(subject, EventTypes):
        return f"{_EVENTS_PREFIX}{subject.endpoint}/{subject.pattern}".encode()
    return f"{_PREFIX}{subject}".encode()


def subject_of(key: bytes | None) -> Subject | None:
    """What a record speaks of; None when that is something this release does not know."""
    text = (key or b"").decode("utf-8", "replace")
    if not text.startswith(_EVENTS_PREFIX):
        return endpoint_of(key)
    endpoint, _, pattern = text.removeprefix(_EVENTS_PREFIX).partition("/")
    if not endpoint or not pattern or len(text) > _TEXT_CHARS or not text.isprintable():
        return None
    return EventTypes(pattern, endpoint)


def endpoint_of(key: bytes | None) -> str | None:
    """The endpoint that a record speaks of; None when it speaks of something else."""
    text = (key or b"").decode("utf-8", "replace")
    return text.removeprefix(_PREFIX) if text.startswith(_PREFIX) else None


def read_switch(value: bytes | None) -> Switch:
    """Read a record's value (None, a tombstone: never switched). Raises ``DamagedSwitchError``."""
    if value is None:
        return ON
    try:
        said = json.loads(value)
    except ValueError as exc:
        raise DamagedSwitchError("it is not JSON") from exc
    state = said.get("state") if isinstance(said, dict) else None
    if state not in ("on", "off"):
        raise DamagedSwitchError('it has no "state" that is "on" or "off"')
    return Switch(state == "on", *(_plain(said.get(name)) for name in ("since", "by", "reason")))


def _plain(text: object) -> str:
    """One printable line: it is shown in terminals and logs, and anybody may write to a topic."""
    if not isinstance(text, str):
        return ""
    return "".join(char if char.isprintable() else " " for char in text[:_TEXT_CHARS])


Name = TypeVar("Name", str, EventTypes)


class Switches(Generic[Name]):
    """The state of all endpoints, or event types, that were ever switched; any other is on.

    ``on_change`` hears of one once each time it goes from on to off or back, however
    often that was said (every pod that gets a 410 says so).
    """

    def __init__(self, on_change: Callable[[Name, Switch], object] | None = None) -> None:
        self._on_change: Callable[[Name, Switch], object] | None = on_change
        self._switches: dict[Name, Switch] = {}

    def __getitem__(self, name: Name) -> Switch:
        return self._switches.get(name, ON)

    def put(self, name: Name, switch: Switch) -> None:
        """Its state is this from now on."""
        changed = self[name].on != switch.on
        self._switches[name] = switch
        if changed and self._on_change is not None:
            self._on_change(name, switch)

    def off(self) -> Iterator[Name]:
        """Those that are off, by name."""
        return (name for name, switch in sorted(self._switches.items()) if not switch.on)


def off_for(switches: Switches[EventTypes], endpoint: str) -> tuple[str, ...]:
    """The patterns of event types that are off for an endpoint, by whatever switch."""
    return tuple(
        dict.fromkeys(types.pattern for types in switches.off() if types.endpoint in (ALL, endpoint))
    )
