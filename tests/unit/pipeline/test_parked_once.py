"""A record that cannot be decoded is parked once, however many cursors reach it, and whenever they do."""

from __future__ import annotations

import asyncio

from tests.support.fakes import HeldAnswers, Sent
from tests.support.path import Plan, Process, World
from tests.support.simulated import simulated, until


def parked_places(world: World) -> list[str]:
    return [record.place for record, _ in world.parking.parked]


def with_endpoint(world: World, name: str) -> World:
    """Return the same world after another endpoint was configured, which begins at the first record."""
    plans = {**world.plans, name: Plan()}
    return World(plans, world.log, world.offsets, world.parking, world.journal, world.register)


@simulated
async def test_a_record_that_is_parked_is_not_parked_again_for_an_endpoint_that_begins_earlier() -> None:
    world = World()
    world.log.add("a")
    bad = world.log.add("x", raw=b"{", entity="e2")
    world.log.add("b")
    process = Process(world).start()
    await until(lambda: world.offsets.at("crm") == 3)
    await process.stop()
    assert parked_places(world) == [bad.place]

    later = with_endpoint(world, "erp")
    process = Process(later).start()
    await until(lambda: later.offsets.at("erp") == 3)
    await process.stop()
    assert later.receivers["erp"].delivered == ["a", "b"]
    assert parked_places(world) == [bad.place]


@simulated
async def test_a_record_that_was_parked_for_one_endpoint_only_is_parked_for_all() -> None:
    """A letter of one endpoint is about an event. That its record cannot be decoded is another fault."""
    world = World()
    world.log.add("a")

    async def refuses(_: Sent) -> int:
        return 400

    world.receiver.answer = refuses
    process = Process(world).start()
    await until(lambda: world.offsets.at("crm") == 1)
    await process.stop()
    (record,) = world.log.records[process.partitions[0]]
    world.log.records[process.partitions[0]] = [record._replace(value=b"{")]
    later = with_endpoint(world, "erp")
    process = Process(later).start()
    await until(lambda: later.offsets.at("erp") == 1)
    await process.stop()
    assert [reason.endpoint for _, reason in world.parking.parked] == ["crm", None]


@simulated
async def test_an_endpoint_that_catches_up_waits_for_the_parking_that_the_others_began() -> None:
    world = World({"crm": Plan(), "slow": Plan(window=1)})
    world.parking.pause_s = lambda: 5.0
    world.receivers["slow"].answer = HeldAnswers("a")
    world.log.add("a")
    bad = world.log.add("x", raw=b"{", entity="e2")
    process = Process(world, max_batch=1).start()
    await until(lambda: world.receivers["slow"].sent)
    await asyncio.sleep(1)
    world.receivers["slow"].answer.open("a")  # type: ignore[attr-defined] # the HeldAnswers of above
    await until(lambda: world.offsets.at("slow") == 2 and world.offsets.at("crm") == 2)
    await process.stop()
    assert parked_places(world) == [bad.place]


@simulated
async def test_a_kill_between_the_parking_and_the_commit_does_not_park_it_twice() -> None:
    world = World()
    bad = world.log.add("x", raw=b"{")
    process = Process(world, commit_interval_s=1000).start()
    await until(lambda: world.parking.parked)
    await process.crash()
    process = Process(world).start()
    await until(lambda: world.offsets.at("crm") == 1)
    await process.stop()
    assert parked_places(world) == [bad.place]
