"""The endpoints as `endpoints list` and `status` show them: state, lag, and the limits of overload."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from bridge.core.lag import Backlog, CursorLag
    from bridge.core.switches import EventTypes, Switch, Switches
    from bridge.kafka.session import AdminSession
    from bridge.settings import Settings


class EndpointRow(NamedTuple):
    """One endpoint. ``lag`` and ``offsets`` are None before its first commit."""

    endpoint: str
    switch: Switch
    lag: Backlog | None
    offsets: int | None
    retries: int
    """Failed deliveries that wait for their next attempt, as far as the commits have room for them."""

    def as_json(self, slowed: Mapping[str, str] | None) -> dict[str, Any]:
        """Return the row as JSON values; ``slowed`` are the limits of the bridge on this machine."""
        from bridge.core.lag import UNKNOWN

        return {
            "endpoint": self.endpoint,
            "state": self.switch.state,
            **(UNKNOWN if self.lag is None else self.lag.as_json()),
            "offsets": self.offsets,
            "retries": self.retries,
            "slowed_to": (slowed or {}).get(self.endpoint),
            "since": self.switch.since or None,
            "by": self.switch.by or None,
            "reason": self.switch.reason or None,
        }


async def read_rows(
    visit: AdminSession,
    settings: Settings,
    path: Path,
    scan: int,
    switches: Switches[str],
    event_types: Switches[EventTypes],
) -> list[EndpointRow]:
    """Return all endpoints in their order, and load the switches. Raises ``KafkaUnavailable``."""
    from bridge.cli.backlog import count_events
    from bridge.cli.terminal import load_switches_over
    from bridge.wiring.cursors import read_cursor_lags

    await load_switches_over(visit, settings, switches, event_types)
    lags = await read_cursor_lags(visit, settings, settings.endpoints)
    counted = await count_events(path, lags, event_types, scan)
    return [
        _row(name, switches[name], [row for row in counted if row.endpoint == name])
        for name in settings.endpoints
    ]


def _row(name: str, switch: Switch, cursors: Sequence[CursorLag]) -> EndpointRow:
    from bridge.core.lag import total_lag

    offsets = [row.offsets for row in cursors if row.offsets is not None]
    retries = sum(len(row.retries) for row in cursors)
    return EndpointRow(name, switch, total_lag(cursors), sum(offsets) if offsets else None, retries)
