"""Records whose schema is unknown: their partition waits until a registry returns the schema.

A registry that fails parks nothing, and the other partitions do not wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection

from bridge.errors import RegistryUnavailable, SchemaNeeded
from bridge.model import Partition
from bridge.pipeline.outage import OutageBackoff
from bridge.telemetry import events


class SchemaWait:
    """The partitions that wait for a schema, each with the task that fetches it.

    ``learn`` queries a registry once. ``wake_reader`` is called when a partition no longer waits.
    """

    def __init__(
        self,
        learn: Callable[[SchemaNeeded], Awaitable[None]],
        wake_reader: Callable[[], None],
        outage: OutageBackoff,
    ) -> None:
        self._learn = learn
        self._wake_reader = wake_reader
        self._outage = outage
        self._tasks: dict[Partition, asyncio.Task[None]] = {}

    @property
    def waiting(self) -> Collection[Partition]:
        """The partitions that must not be read now."""
        return self._tasks.keys()

    def start(self, tasks: asyncio.TaskGroup, partition: Partition, needed: SchemaNeeded) -> None:
        """Fetch a schema in a task of its own, while the other partitions are read."""
        fetching = self._fetch_until_known(partition, needed)
        self._tasks[partition] = tasks.create_task(fetching, name=f"learn for {partition}")

    async def fetch(self, needed: SchemaNeeded) -> bool:
        """Ask the registry once. If it fails, back off and return False."""
        try:
            await self._learn(needed)
        except RegistryUnavailable as exc:
            await self._outage.wait(exc, events.REGISTRY_FAILED)
            return False
        return True

    def cancel(self) -> None:
        """Stop all waiting: the assignment ends."""
        for task in self._tasks.values():
            task.cancel()
        self._tasks.clear()

    async def _fetch_until_known(self, partition: Partition, needed: SchemaNeeded) -> None:
        while not await self.fetch(needed):
            pass
        del self._tasks[partition]
        self._wake_reader()
