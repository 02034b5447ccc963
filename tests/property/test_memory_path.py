"""The path with little memory: dead endpoints, events of any size, and a budget that is never exceeded.

Values above the decoder's limit are parked. The budget may be passed by one batch per endpoint, because
a batch is taken whole. Time is simulated.
"""

from __future__ import annotations

import asyncio
import json
from random import Random

import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.core.memory_budget import DELIVERY_BYTES, RECORD_BYTES, MemoryPlan
from bridge.errors import TransportError
from tests.support.fakes import P0, P1, Log, Sent
from tests.support.path import Plan, Process, World
from tests.support.plans import MONTH_S
from tests.support.simulated import simulated, until

PARTITIONS = (P0, P1)
MAX_BATCH = 5
_HOUR_S = 3600
"""Simulated: far more than any run needs. Without it, an event that is never read would hang the test."""


def plan() -> Plan:
    return Plan(window=10_000, base_s=0.5, max_attempts=1000, max_age_s=MONTH_S)


def make_log(random: Random, count: int, most_bytes: int) -> Log:
    log = Log(*PARTITIONS)
    for number in range(count):
        document = {"id": str(number), "type": "Created", "entity": f"e{random.randint(0, 20)}"}
        document["pad"] = "x" * random.choice((10, 300, random.randint(0, most_bytes)))
        log.add("", partition=random.choice(PARTITIONS), raw=json.dumps(document).encode())
    return log


async def refuse(sent: Sent) -> TransportError:
    return TransportError("connection refused")


async def live(random: Random) -> None:
    names = [f"well{number}" for number in range(random.randint(1, 2))]
    dead = [f"dead{number}" for number in range(random.randint(1, 4))]
    most_bytes = random.choice((500, 5_000, 50_000))
    budget_bytes = random.choice((1, 20_000, 200_000))
    log = make_log(random, 120, most_bytes)
    world = World({name: plan() for name in (*names, *dead)}, log=log)
    for name in dead:
        world.receivers[name].answer = refuse
    memory = MemoryPlan(budget_bytes, budget_bytes, 1, 1, random.choice((0, 3_000)), 1)
    process = Process(world, *PARTITIONS, max_batch=random.randint(1, MAX_BATCH), memory=memory).start()
    batch_bytes = MAX_BATCH * (most_bytes + 500 + RECORD_BYTES + DELIVERY_BYTES * len(world.plans))
    most = budget_bytes + batch_bytes * len(world.plans)

    def all_delivered(*endpoints: str) -> bool:
        process.raise_if_dead()
        assert process.budget.used_bytes <= most
        return all(
            world.offsets.at(name, one) == log.bounds(one)[1] for name in endpoints for one in PARTITIONS
        )

    await until(lambda: all_delivered(*names))
    if random.random() < 0.3:
        await process.revoke()
        assert process.budget.used_bytes == 0
        process.assign()
    if random.random() < 0.3:
        await process.crash()
        process = Process(world, *PARTITIONS, max_batch=MAX_BATCH, memory=memory).start()
    await asyncio.sleep(random.choice((0, 3, 30)))
    for name in dead:
        world.receivers[name].answer = recovered
    await until(lambda: all_delivered(*names, *dead))
    assert process.budget.used_bytes == 0
    assert {process.checkpoints.waiting_bytes(name) for name in world.plans} == {0}
    await process.stop()
    parked = {record.place for record, _ in world.parking.parked}
    for name in world.plans:
        assert len(set(world.receivers[name].delivered)) + len(parked) == 120


async def recovered(sent: Sent) -> int:
    return 200


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32))
def test_with_any_budget_and_any_sizes_everything_is_delivered_and_the_budget_is_kept(seed: int) -> None:
    @simulated
    async def run() -> None:
        async with asyncio.timeout(_HOUR_S):
            await live(Random(seed))

    with structlog.testing.capture_logs():
        run()


@simulated
async def test_a_dead_endpoint_leaves_most_of_the_budget_to_the_others() -> None:
    """The dead one gets a ninth and a batch at most, and the endpoint that works is never refused."""
    budget_bytes = 1_000_000
    log = make_log(Random(1), 800, 2_000)
    world = World({"well": plan(), "dead": plan()}, log=log)
    world.receivers["dead"].answer = refuse
    process = Process(world, *PARTITIONS, max_batch=5, memory=MemoryPlan(1, budget_bytes, 1, 1, 1, 1)).start()
    with structlog.testing.capture_logs():
        await until(lambda: len(world.receivers["well"].delivered) == 800)
        assert 0 < process.checkpoints.waiting_bytes("dead") < 0.15 * budget_bytes
        assert process.budget.used_bytes < 0.15 * budget_bytes
        await process.stop()


@simulated
async def test_an_endpoint_that_used_up_its_share_takes_no_batch_of_another_partition() -> None:
    """Before, each partition could exceed the budget by a batch."""
    log = make_log(Random(1), 0, 0)
    world = World({"dead": plan()}, log=log)
    world.receivers["dead"].answer = refuse
    process = Process(world, *PARTITIONS, max_batch=5, memory=MemoryPlan(1, 100_000, 1, 1, 1, 1)).start()
    with structlog.testing.capture_logs():
        for number in range(20):
            document = {"id": f"a{number}", "type": "Created", "entity": "e", "pad": "x" * 2_000}
            log.add("", partition=P0, raw=json.dumps(document).encode())
        await until(lambda: process.budget.share("dead").is_used_up)
        taken = process.checkpoints.unsettled("dead")
        log.add("b", partition=P1)
        await asyncio.sleep(60)
        assert process.checkpoints.unsettled("dead") == taken
        world.receivers["dead"].answer = recovered
        await until(lambda: len(set(world.receivers["dead"].delivered)) == 21)
        await process.stop()
