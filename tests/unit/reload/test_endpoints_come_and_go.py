"""Endpoints that a change of the configuration adds and removes, on the wired path."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from bridge.core.switches import Switch
from bridge.model import Committed, Partition
from tests.support.fakes import P0, HeldAnswers, Sent
from tests.support.path import Plan, Process, World, settings_of
from tests.support.simulated import simulated, until


@simulated
async def test_an_added_endpoint_gets_what_comes_after_it_began_and_nothing_twice() -> None:
    world = World({"crm": Plan()})
    world.log.add("before")
    process = Process(world).start()
    await until(lambda: world.receivers["crm"].delivered == ["before"])
    await process.reload({"crm": Plan(), "erp": Plan(start="latest")})
    world.log.add("after")
    await until(lambda: world.receivers["erp"].delivered and len(world.receivers["crm"].delivered) == 2)
    await process.stop()
    assert world.receivers["erp"].ids == ["after"]
    assert world.receivers["crm"].ids == ["before", "after"]
    assert (world.offsets.at("erp"), world.offsets.at("crm")) == (2, 2)


@simulated
async def test_an_added_endpoint_that_starts_earliest_gets_all_in_order() -> None:
    world = World({"crm": Plan()})
    for number in range(30):
        world.log.add(str(number))
    process = Process(world, max_batch=3).start()
    await until(lambda: len(world.receivers["crm"].delivered) == 30)
    await process.reload({"crm": Plan(), "erp": Plan()})
    for number in range(30, 60):
        world.log.add(str(number))
    await until(lambda: len(world.receivers["erp"].delivered) == 60)
    await process.stop()
    assert world.receivers["erp"].ids == [str(number) for number in range(60)]
    assert world.receivers["crm"].ids == world.receivers["erp"].ids


@simulated
async def test_an_endpoint_is_added_while_no_partition_is_assigned() -> None:
    world = World({"crm": Plan()})
    process = Process(world).start()
    await until(lambda: world.offsets.at("crm") == 0)
    await process.revoke()
    await process.reload({"crm": Plan(), "erp": Plan()})
    world.log.add("a")
    process.assign()
    await until(lambda: world.receivers["erp"].delivered == ["a"])
    await process.stop()


@simulated
async def test_a_removed_endpoint_ends_its_request_keeps_its_place_and_goes_on_when_it_returns() -> None:
    world = World({"crm": Plan(), "erp": Plan()})
    world.receivers["erp"].answer = answers = HeldAnswers("b")
    for id in "abc":
        world.log.add(id, entity="e1")
    process = Process(world).start()
    await until(lambda: world.receivers["erp"].ids == ["a", "b"])
    leaving = asyncio.create_task(process.reload({"crm": Plan()}))
    await asyncio.sleep(1)
    world.log.add("d", entity="e1")
    await until(lambda: world.receivers["crm"].delivered == ["a", "b", "c", "d"])
    assert not leaving.done(), "the request in flight may end"
    answers.open("b")
    await leaving
    assert world.receivers["erp"].ids == ["a", "b"], "what waited is not sent any more"
    assert world.offsets.at("erp") == 2
    await asyncio.sleep(5)
    assert world.offsets.at("erp") == 2, "a cursor that nobody feeds does not move"
    assert world.offsets.at("crm") == 4
    await process.reload({"crm": Plan(), "erp": Plan(start="latest")})
    await until(lambda: world.receivers["erp"].delivered == ["a", "b", "c", "d"])
    await process.stop()
    assert world.receivers["crm"].ids == ["a", "b", "c", "d"]


@simulated
async def test_a_removed_endpoint_whose_request_hangs_is_let_go_after_the_deadline_of_a_drain() -> None:
    world = World({"crm": Plan(), "erp": Plan()})
    world.receivers["erp"].answer = HeldAnswers("a")
    world.log.add("a")
    process = Process(world, drain_timeout_s=3).start()
    await until(lambda: world.receivers["erp"].ids == ["a"])
    await process.reload({"crm": Plan()})
    assert not world.receivers["erp"].in_flight
    world.log.add("b")
    await until(lambda: world.receivers["crm"].delivered == ["a", "b"])
    world.receivers["erp"].answer = HeldAnswers()
    await process.reload({"crm": Plan(), "erp": Plan()})
    await until(lambda: world.receivers["erp"].delivered == ["a", "b"])
    await process.stop()


@simulated
async def test_a_rebalance_in_the_middle_of_a_reload_loses_and_repeats_nothing() -> None:
    world = World({"crm": Plan(), "old": Plan()})
    world.log.add("a")
    process = Process(world).start()
    await until(lambda: len(world.receivers["crm"].delivered) == 1)

    reloading = asyncio.create_task(process.reload({"crm": Plan(), "erp": Plan()}))
    for _ in range(3):
        await asyncio.sleep(0)
        await process.revoke()
        process.assign()
    await reloading
    world.log.add("b")
    await until(lambda: world.receivers["erp"].delivered == ["a", "b"])
    await until(lambda: world.receivers["crm"].delivered == ["a", "b"])
    await process.stop()
    assert world.receivers["erp"].ids == world.receivers["crm"].ids == ["a", "b"]


@simulated
async def test_a_batch_that_waits_for_its_dedupe_window_does_not_move_a_removed_endpoint() -> None:
    """The batch was read for all endpoints; one of them has left when it is accepted."""
    world = World({"crm": Plan(), "erp": Plan()})
    process = Process(world)
    process.start()
    await until(lambda: world.offsets.at("erp") == 0)
    gate = asyncio.Event()
    cover = process.window.cover

    async def held(*args: object) -> None:
        await gate.wait()
        await cover(*args)  # type: ignore[arg-type]

    process.window.cover = held  # type: ignore[method-assign]
    world.log.add("a")
    await asyncio.sleep(1)
    await process.reload({"crm": Plan()})
    gate.set()
    await until(lambda: world.receivers["crm"].delivered == ["a"])
    assert world.offsets.at("erp") == 0
    await process.reload({"crm": Plan(), "erp": Plan()})
    await until(lambda: world.receivers["erp"].delivered == ["a"])
    await process.stop()


@simulated
async def test_an_added_endpoint_delivers_only_after_its_first_commit() -> None:
    world = World({"crm": Plan()})
    world.log.add("a")
    process = Process(world, commit_interval_s=50).start()
    await until(lambda: world.receivers["crm"].delivered == ["a"])
    at_first_request: list[object] = []

    def note(sent: Sent) -> None:
        at_first_request.append(world.offsets.committed.get(("g.erp", P0)))

    world.receivers["erp"] = type(world.receivers["crm"])(on_send=note)
    world.offsets.trouble.extend(["the broker is away"] * 3)
    await process.reload({"crm": Plan(), "erp": Plan()})
    await until(lambda: world.receivers["erp"].delivered == ["a"])
    assert at_first_request[0] is not None
    await process.stop()


@simulated
async def test_a_type_that_is_off_is_off_for_an_endpoint_that_is_added_later() -> None:
    world = World({"crm": Plan()})
    process = Process(world).start()
    process.turn_off({"erp": ("Muted",)})
    await process.reload({"crm": Plan(), "erp": Plan()})
    world.log.add("a", type="Muted")
    world.log.add("b")
    await until(lambda: world.receivers["erp"].delivered)
    assert world.receivers["erp"].ids == ["b"]
    await process.stop()


@simulated
async def test_an_endpoint_that_is_off_stays_off_when_it_is_added() -> None:
    world = World({"crm": Plan()})
    process = Process(world).start()
    process._switching.endpoints.put("erp", Switch(on=False, reason="410"))
    world.log.add("a")
    await process.reload({"crm": Plan(), "erp": Plan()})
    await until(lambda: world.receivers["crm"].delivered == ["a"])
    await asyncio.sleep(5)
    assert world.receivers["erp"].ids == []
    process._switching.endpoints.put("erp", Switch(on=True))
    await until(lambda: world.receivers["erp"].delivered == ["a"])
    await process.stop()


@simulated
async def test_partitions_that_were_away_while_cursors_were_read_are_read_again() -> None:
    """Another pod had them and the endpoint meanwhile, and delivered to it."""
    world = World({"crm": Plan()})
    world.log.add("a")
    process = Process(world).start()
    await until(lambda: world.receivers["crm"].delivered == ["a"])
    moves: list[str] = []
    fetch = world.offsets.fetch

    async def fetch_and_move(group: str, partitions: Collection[Partition]) -> dict[Partition, Committed]:
        committed = await fetch(group, partitions)
        if group == "g.erp" and not moves:
            moves.append(group)
            await process.revoke()
            world.offsets.committed["g.erp", P0] = Committed(1, "")
            process.assign()
            await until(lambda: process.pipeline.settled)
        return committed

    await process._begin_new(settings_of({"crm": Plan(), "erp": Plan()}))
    world.offsets.fetch = fetch_and_move  # type: ignore[method-assign]
    await process.reload({"crm": Plan(), "erp": Plan()})
    world.log.add("b")
    await until(lambda: world.receivers["erp"].delivered)
    assert (moves, world.receivers["erp"].ids) == (["g.erp"], ["b"])
    await process.stop()
