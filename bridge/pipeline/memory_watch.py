"""Adapt the endpoints' shares of the memory budget, and wake readers that waited for memory.

Invariant: a cursor that was refused for lack of memory takes events again within a moment of having room.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog

from bridge.core.memory_budget import MemoryBudget
from bridge.pipeline.checkpoints import Checkpoints
from bridge.pipeline.dispatcher import EndpointDispatcher
from bridge.telemetry import events
from bridge.telemetry.throttle import Throttle

_log = structlog.get_logger()
_ADAPT_S = 0.25
_REST_S = 1.0
"""Between two looks while no endpoint has anything: each looks at all endpoints."""


class MemoryWatch:
    """Looks at the endpoints several times a second."""

    def __init__(
        self, budget: MemoryBudget, dispatchers: Mapping[str, EndpointDispatcher], checkpoints: Checkpoints
    ) -> None:
        self._budget = budget
        self._dispatchers = dispatchers
        self._checkpoints = checkpoints
        self._throttle = Throttle()

    async def run(self) -> None:
        """Adapt the shares until cancelled."""
        while True:
            is_active = self.adapt(asyncio.get_running_loop().time())
            await asyncio.sleep(_ADAPT_S if is_active else _REST_S)

    def adapt(self, now: float) -> bool:
        """Adapt the shares at ``now``, in seconds on the loop's clock. Return False if all are at rest."""
        dispatchers = self._dispatchers
        active = [name for name in self._budget.active() if name in dispatchers]
        self._budget.adapt(now, [name for name in active if dispatchers[name].is_in_trouble])
        held_back = []
        for endpoint in active:
            self._checkpoints.reopen_pressed(endpoint)
            if self._budget.share(endpoint).is_pressed:
                held_back.append(endpoint)
        if held_back and self._throttle.allows():
            _log.info(
                events.MEMORY_SHORT,
                endpoints=held_back,
                used_bytes=self._budget.used_bytes,
                budget_bytes=self._budget.total_bytes,
                remedy="none needed: their events wait in Kafka; raise memory_budget or the memory limit"
                " if these endpoints work and should use more",
            )
        return bool(active)
