"""Read from time to time how many events wait for each endpoint.

Invariant: a read is bounded by a number of records, and a broker that does not answer leaves the last result.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog

from bridge.core.jobs import Job, JobKind
from bridge.core.lag import Backlog, CursorLag, total_lag
from bridge.core.replay import ReplayProgress
from bridge.core.switches import EventTypes, Switches
from bridge.errors import HookferryError
from bridge.kafka.session import AdminSession
from bridge.settings import Settings
from bridge.telemetry import events
from bridge.telemetry.throttle import Throttle
from bridge.wiring.backlog import Decoding, count_events
from bridge.wiring.cursors import read_cursor_lags
from bridge.wiring.kafka import again_topic, build_kafka_options
from bridge.wiring.replay_control import read_progress

_log = structlog.get_logger()
EVERY_S = 10.0
_SOON_S = 1.0
"""Until the second look, if an endpoint has no cursor yet: a bridge that starts commits them in a moment."""
SCAN = 5000
"""Records that one look decodes at most; above it, the lag is "at least"."""


class LagWatch:
    """The lag of each endpoint, and what waits in ``<group>.again``, as of the last look."""

    def __init__(
        self,
        settings: Settings,
        decoding: Decoding | None,
        event_types: Callable[[], Awaitable[Switches[EventTypes]]],
        jobs: Callable[[], Awaitable[Sequence[Job]]],
    ) -> None:
        """``event_types`` and ``jobs`` return what the control topic has."""
        self._settings = settings
        self._decoding = decoding
        self._event_types = event_types
        self._jobs = jobs
        self._throttle = Throttle()
        self.by_endpoint: dict[str, Backlog] = {}
        self.again_waiting = 0
        self.replays: Mapping[str, ReplayProgress] = {}
        """How far the replays are that do something, by the id of the job."""

    async def run(self) -> None:
        """Look every ``EVERY_S`` until it is cancelled, at first sooner while a lag is unknown."""
        soon_s = _SOON_S
        while True:
            try:
                await self.look()
            except HookferryError as exc:
                if self._throttle.allows():
                    _log.warning(
                        events.CONSOLE_FAILED,
                        topic="(cursors)",
                        cause=str(exc),
                        remedy="none needed: it tries again",
                    )
            await asyncio.sleep(soon_s if self._settings.endpoints.keys() - self.by_endpoint else EVERY_S)
            soon_s = min(EVERY_S, 2 * soon_s)

    async def look(self) -> None:
        """Read the cursors once. Raises ``KafkaUnavailable``, ``CommitError``."""
        settings = self._settings
        async with AdminSession(build_kafka_options(settings.kafka)) as visit:
            rows = await read_cursor_lags(visit, settings, settings.endpoints)
        counted = await count_events(self._decoding, rows, await self._event_types(), SCAN)
        self.by_endpoint = {
            name: lag for name in settings.endpoints if (lag := total_lag(_of(name, counted))) is not None
        }
        replays = [job for job in await self._jobs() if job.kind is JobKind.REPLAY and not job.state.final]
        self.replays = await read_progress(settings, replays) if replays else {}
        again = again_topic(settings)
        waiting = [row.backlog.events for row in counted if row.partition.topic == again and row.backlog]
        self.again_waiting = sum(waiting)


def _of(name: str, rows: Sequence[CursorLag]) -> list[CursorLag]:
    return [row for row in rows if row.endpoint == name]
