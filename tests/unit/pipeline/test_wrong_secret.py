"""A wrong secret over the whole path: the endpoint pauses, nothing is lost, and a redrive sends the rest."""

from __future__ import annotations

import asyncio

import pytest

from bridge.core.switches import Switch
from bridge.dead_letters.letter import LetterFilter
from bridge.dead_letters.resend_request import batches, resend_requests
from tests.support.fake_store import FakeStore
from tests.support.fakes import AGAIN, P0, Log, Sent
from tests.support.path import Plan, Process, World
from tests.support.simulated import simulated, until

BACKLOG = 60


@pytest.mark.parametrize("status", [401, 403, 407])
@simulated
async def test_a_wrong_secret_pauses_the_endpoint_and_the_right_one_delivers_everything(status: int) -> None:
    world = World({"crm": Plan(park_limit=(100, 0.5, 60.0))}, log=Log(P0, AGAIN))
    answer_with = [status]

    async def answer(_: Sent) -> int:
        await asyncio.sleep(0.01)
        return answer_with[0]

    world.receiver.answer = answer
    for number in range(BACKLOG):
        world.log.add(f"{number}", entity=f"e{number % 7}")
    process = Process(world, P0, AGAIN).start()
    dispatcher = process.dispatchers["crm"]
    await until(lambda: not dispatcher.on and not dispatcher.in_flight)
    await asyncio.sleep(600)
    parked = {record.offset for record, _ in world.parking.parked}
    assert len(parked) == 10
    assert world.offsets.at("crm") < BACKLOG, "what was not parked waits as lag"

    answer_with[0] = 200
    process._switching.endpoints.put("crm", Switch(False, "2026-06-29T08:00:00Z"))
    process._switching.endpoints.put("crm", Switch(True, "2026-06-29T09:00:00Z"))
    await until(lambda: world.offsets.at("crm") == BACKLOG)
    assert len(world.parking.parked) == 10
    store = FakeStore(world)
    for batch in batches(resend_requests(await store.find(LetterFilter(endpoint="crm")))):
        await store.redrive(batch, "ann")
    await until(lambda: len(world.receiver.delivered) == BACKLOG)
    assert sorted(map(int, world.receiver.delivered)) == list(range(BACKLOG))
    await process.stop()
