"""`endpoints on` tries at once: events that wait for a retry are sent, in every pod."""

from __future__ import annotations

import asyncio

import pytest

from bridge.core.backoff import RetrySchedule
from bridge.core.switches import Switch
from tests.support.fakes import Sent
from tests.support.parts import part
from tests.support.path import Plan, Process, World
from tests.support.simulated import simulated, until

ON = Switch(True, "2026-06-29T09:00:00Z")
LATER_ON = Switch(True, "2026-06-29T10:00:00Z")


def patient(world: World) -> Process:
    """Start a process that retries after an hour."""
    process = Process(world)
    part(process.dispatchers["crm"], RetrySchedule)._wait = lambda state: 3600.0  # type: ignore[assignment]
    return process.start()


def switch(process: Process, *switches: Switch) -> None:
    """Apply records of the control topic, as the pod that follows it does."""
    for one in switches:
        process._switching.endpoints.put("crm", one)


@pytest.mark.parametrize("switches", [(ON,), (Switch(False, "2026-06-29T08:00:00Z"), ON)])
@simulated
async def test_events_that_wait_for_a_retry_are_sent_at_once(switches: tuple[Switch, ...]) -> None:
    world = World({"crm": Plan(max_age_s=1e6)})
    statuses = [500, 500]

    async def answer(_: Sent) -> int:
        return statuses.pop() if statuses else 200

    world.receiver.answer = answer
    world.log.add("a", entity="e1")
    world.log.add("b", entity="e1")
    world.log.add("c", entity="e2")
    process = patient(world)
    await until(lambda: len(world.receiver.sent) == 2)
    await asyncio.sleep(1)
    began = asyncio.get_running_loop().time()
    switch(process, *switches)
    await until(lambda: len(world.receiver.delivered) == 3)
    assert asyncio.get_running_loop().time() - began < 1
    assert world.receiver.delivered.index("a") < world.receiver.delivered.index("b")
    await process.stop()


@simulated
async def test_a_record_of_the_control_topic_that_is_read_again_tries_nothing() -> None:
    """Compaction and a reader that begins again repeat records; only an operator's new one counts."""
    world = World({"crm": Plan(max_age_s=1e6)})

    async def always_500(_: Sent) -> int:
        return 500

    world.receiver.answer = always_500
    world.log.add("a")
    process = patient(world)
    await until(lambda: world.receiver.sent)
    await asyncio.sleep(1)
    switch(process, ON)
    await until(lambda: len(world.receiver.sent) == 2)
    await asyncio.sleep(1)
    switch(process, ON, ON)
    await asyncio.sleep(60)
    assert len(world.receiver.sent) == 2
    switch(process, LATER_ON)
    await until(lambda: len(world.receiver.sent) == 3)
    await process.crash()


@simulated
async def test_each_pod_tries_at_once_for_its_own_partitions() -> None:
    world = World({"crm": Plan(max_age_s=1e6)})

    async def always_500(_: Sent) -> int:
        return 500

    world.receiver.answer = always_500
    world.log.add("a", entity="e1")
    pods = [patient(world), patient(world)]
    await until(lambda: len(world.receiver.sent) == 2)
    await asyncio.sleep(1)
    for pod in pods:
        switch(pod, ON)
    await until(lambda: len(world.receiver.sent) == 4)
    for pod in pods:
        await pod.crash()
