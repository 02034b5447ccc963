"""Events that no worker can use yet stay in Kafka: what is read too early only uses memory."""

from __future__ import annotations

import asyncio

from tests.support.fakes import Sent
from tests.support.path import Plan, Process, World
from tests.support.simulated import simulated, until

EVENTS = 3000
PLENTY = 256
WIDE = Plan(window=100_000, concurrency=4)


def world_with_a_backlog(**plans: Plan) -> World:
    world = World(plans)
    for number in range(EVENTS):
        world.log.add(f"id-{number}", entity=f"e{number}")
    return world


async def take_a_second(_: Sent) -> int:
    await asyncio.sleep(1)
    return 200


async def take_a_millisecond(_: Sent) -> int:
    await asyncio.sleep(0.001)
    return 200


@simulated
async def test_a_backlog_is_read_as_far_as_it_can_be_sent_soon() -> None:
    world = world_with_a_backlog(crm=WIDE)
    world.receiver.answer = take_a_second
    process = Process(world, max_batch=50).start()
    await asyncio.sleep(2.2)
    waiting = process.checkpoints.unsettled("crm")
    await process.stop()
    assert PLENTY <= waiting <= PLENTY + 6 * 50, "a batch now and then keeps the member in its group"


@simulated
async def test_no_worker_waits_while_there_is_a_backlog() -> None:
    world = world_with_a_backlog(crm=WIDE)
    world.receiver.answer = take_a_millisecond
    process = Process(world, max_batch=50).start()
    began = asyncio.get_running_loop().time()
    await until(lambda: len(world.receiver.ids) == EVENTS)
    assert asyncio.get_running_loop().time() - began < 1.2 * EVENTS / 4 * 0.001
    await until(lambda: world.offsets.at("crm") == EVENTS)
    await process.stop()


@simulated
async def test_an_endpoint_with_plenty_holds_back_no_other() -> None:
    world = world_with_a_backlog(slow=WIDE, quick=WIDE)
    world.receivers["slow"].answer = take_a_second
    process = Process(world, max_batch=50).start()
    await until(lambda: len(world.receivers["quick"].ids) == EVENTS)
    assert len(world.receivers["slow"].ids) < 100
    await process.stop()


@simulated
async def test_an_endpoint_that_catches_up_reads_as_far_as_it_can_be_sent_soon() -> None:
    world = world_with_a_backlog(slow=Plan(window=300, concurrency=4), quick=WIDE)
    world.receivers["slow"].answer = take_a_second
    process = Process(world, max_batch=50).start()
    await until(lambda: len(world.receivers["quick"].ids) == EVENTS)
    world.receivers["slow"].answer = take_a_millisecond
    await until(lambda: len(world.receivers["slow"].ids) == EVENTS, 600)
    await until(lambda: world.offsets.at("slow") == EVENTS)
    await process.stop()
