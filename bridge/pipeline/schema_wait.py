"""Records whose schema nobody knows yet: their partition waits until its registry has told it.

Between the path and the registries. A registry in trouble parks nothing, and no other partition waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection

from bridge.errors import RegistryUnavailable, SchemaNeeded
from bridge.model import Partition
from bridge.pipeline.outage import Trouble
from bridge.telemetry import events


class Learning:
    """The partitions that wait for a schema, each with the task that asks for it.

    ``learn`` asks a registry once; ``learnt`` hears that a partition waits no more.
    """

    def __init__(
        self,
        learn: Callable[[SchemaNeeded], Awaitable[None]],
        learnt: Callable[[], None],
        trouble: Trouble,
    ) -> None:
        self._learn = learn
        self._learnt = learnt
        self._trouble = trouble
        self._tasks: dict[Partition, asyncio.Task[None]] = {}

    @property
    def waiting(self) -> Collection[Partition]:
        """The partitions that are not to be read now."""
        return self._tasks.keys()

    def begin(self, tasks: asyncio.TaskGroup, partition: Partition, needed: SchemaNeeded) -> None:
        """Ask for what a batch needs until it is known, while the other partitions are read on."""
        asking = tasks.create_task(self._until_learnt(partition, needed), name=f"learn for {partition}")
        self._tasks[partition] = asking

    async def ask(self, needed: SchemaNeeded) -> bool:
        """Ask once; False, after a moment's wait, when the registry is in trouble."""
        try:
            await self._learn(needed)
        except RegistryUnavailable as exc:
            await self._trouble.sit_out(exc, events.REGISTRY_FAILED)
            return False
        return True

    def forget(self) -> None:
        """The assignment is over: nobody here waits any more."""
        for task in self._tasks.values():
            task.cancel()
        self._tasks.clear()

    async def _until_learnt(self, partition: Partition, needed: SchemaNeeded) -> None:
        while not await self.ask(needed):
            pass
        del self._tasks[partition]
        self._learnt()
