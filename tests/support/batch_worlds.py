"""A world whose only endpoint gets several events in one request, and what tests do in it."""

from __future__ import annotations

from collections.abc import Iterable

from tests.support.batch_receiver import BatchReceiver
from tests.support.path import Plan, Process, World
from tests.support.simulated import until

ROOMY = 1 << 20
PLAN = Plan(batch=(10, ROOMY, 0.5, "array"), concurrency=2)


def world_of(plan: Plan = PLAN) -> tuple[World, BatchReceiver]:
    """Return a world whose only endpoint gets batches, and its receiver."""
    world = World({"crm": plan})
    receiver = BatchReceiver()
    world.receivers["crm"] = receiver  # type: ignore[assignment]  # both are transports
    return world, receiver


def fill(world: World, names: Iterable[str], *, entities: int = 1000) -> int:
    """Write events whose entity is their place modulo ``entities``. Return how many."""
    count = 0
    for count, name in enumerate(names, 1):
        world.log.add(name, entity=f"e{(count - 1) % entities}")
    return count


async def deliver(world: World, count: int, receiver: BatchReceiver | None = None) -> Process:
    """Run until so many offsets are committed."""
    if receiver is not None:
        world.receivers["crm"] = receiver  # type: ignore[assignment]  # both are transports
    process = Process(world).start()
    await until(lambda: world.offsets.at("crm") == count)
    await process.stop()
    return process
