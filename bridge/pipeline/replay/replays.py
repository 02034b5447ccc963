"""The replays of the group, for a process that does not have its path yet, and for the assignment.

Invariant: before ``run``, jobs are only noted, and an assignment ends without waiting for a replay.
"""

from __future__ import annotations

import asyncio

from bridge.model import Record
from bridge.pipeline.replay.carrier import Bridge, ReplayCarrier
from bridge.pipeline.replay.jobs import ReplayJobs


class Replays:
    """Notes the jobs of the control topic, and carries them out from ``run`` on."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()
        self._jobs = ReplayJobs(self._changed.set)
        self._carrier: ReplayCarrier | None = None

    def apply(self, record: Record) -> None:
        """Take over a record of the control topic, whose key is that of a job."""
        self._jobs.apply(record)

    async def run(self, bridge: Bridge) -> None:
        """Carry out the replays in this bridge until cancelled."""
        self._carrier = ReplayCarrier(self._jobs, self._changed, bridge)
        await self._carrier.run()

    def restart(self) -> None:
        """Begin all runs again where they are, with the configuration in force now."""
        if self._carrier is not None:
            self._carrier.restart()

    async def drain(self) -> None:
        """Send nothing more of a replay, and return when nothing is in flight."""
        if self._carrier is not None:
            await self._carrier.drain()

    async def end(self) -> None:
        """Commit all runs for the last time, while the live cursors still exist."""
        if self._carrier is not None:
            await self._carrier.end()
