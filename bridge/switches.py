"""Which endpoints are on or off, as the control topic says: the rule of it, and its text form.

Takes what was read for an endpoint, tells whoever asked of every change. Rule floor, pure.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

_PREFIX = "endpoint/"
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


def key_of(endpoint: str) -> bytes:
    """The key of an endpoint's records in the control topic."""
    return f"{_PREFIX}{endpoint}".encode()


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


class Switches:
    """The state of every endpoint that was ever switched; any other is on.

    ``on_change`` hears of an endpoint once each time it goes from on to off or back, however
    often that was said (every pod that gets a 410 says so).
    """

    def __init__(self, on_change: Callable[[str, Switch], None] = lambda endpoint, switch: None) -> None:
        self._on_change = on_change
        self._switches: dict[str, Switch] = {}

    def __getitem__(self, endpoint: str) -> Switch:
        return self._switches.get(endpoint, ON)

    def put(self, endpoint: str, switch: Switch) -> None:
        """The endpoint's state is this from now on."""
        changed = self[endpoint].on != switch.on
        self._switches[endpoint] = switch
        if changed:
            self._on_change(endpoint, switch)

    def off(self) -> Iterator[str]:
        """The endpoints that are off, by name."""
        return (name for name, switch in sorted(self._switches.items()) if not switch.on)
