"""The last commit of an assignment: tried until it is taken, refused for good, or it is time."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

from structlog.testing import capture_logs

from bridge.model import Batch, Partition
from bridge.telemetry import events
from tests.support.fake_group import FakeJournal
from tests.support.fakes import HeldAnswers
from tests.support.path import Process, World
from tests.support.simulated import simulated, until

NEVER_S = 1000.0


async def delivered(world: World, drain_timeout_s: float = 20.0) -> Process:
    """A process that has delivered two events and committed nothing of it."""
    world.log.add("a", entity="e1")
    world.log.add("b", entity="e2")
    process = Process(world, commit_interval_s=NEVER_S, drain_timeout_s=drain_timeout_s).start()
    await until(lambda: len(world.receiver.delivered) == 2)
    return process


async def sends_nothing_again(world: World) -> None:
    """On another pod's disk."""
    world.journal = FakeJournal()
    process = Process(world).start()
    world.log.add("c", entity="e3")
    await until(lambda: "c" in world.receiver.delivered)
    assert world.receiver.ids == ["a", "b", "c"]
    await process.stop()


@simulated
async def test_an_unanswered_fence_is_retried_before_the_partitions_are_given_up() -> None:
    world = World()
    process = await delivered(world)
    process.reader.unanswered = 5
    await process.revoke()
    assert world.offsets.at("crm") == 2
    await process.stop()
    await sends_nothing_again(world)


@simulated
async def test_refused_cursors_are_committed_again_before_the_assignment_ends() -> None:
    world = World()
    process = await delivered(world)
    world.offsets.trouble.extend(["refused", "refused"])
    await process.stop()
    assert world.offsets.at("crm") == 2
    await sends_nothing_again(world)


@simulated
async def test_the_last_commit_is_not_retried_after_the_membership_was_lost() -> None:
    """The group has rebalanced: the new owner may have committed more."""
    world = World()
    process = await delivered(world)
    process.reader.lost_place = True
    began = asyncio.get_running_loop().time()
    with capture_logs() as logs:
        await process.revoke()
    assert asyncio.get_running_loop().time() - began < 0.1
    (remedy,) = (one["remedy"] for one in logs if one["event"] == events.COMMIT_FAILED)
    assert remedy.endswith("sent again"), "nobody is told that the next commit tries again"
    assert world.offsets.at("crm") == 0
    await process.stop()


@simulated
async def test_an_unavailable_broker_delays_the_drain_no_longer_than_its_deadline() -> None:
    world = World()
    process = await delivered(world, drain_timeout_s=10)
    process.reader.unanswered = 10_000
    began = asyncio.get_running_loop().time()
    with capture_logs() as logs:
        await process.revoke()
    assert 9.9 < asyncio.get_running_loop().time() - began < 10.2
    assert [one["remedy"] for one in logs if one["event"] == events.COMMIT_FAILED][-1].endswith("sent again")
    process.reader.unanswered = 0
    await process.stop()


@simulated
async def test_the_last_commit_has_time_left_when_requests_used_up_the_deadline() -> None:
    """One hangs beyond it; what the other one was answered is committed all the same."""
    world = World()
    world.receiver.answer = HeldAnswers("b")
    world.log.add("a", entity="e1")
    world.log.add("b", entity="e2")
    process = Process(world, commit_interval_s=NEVER_S, drain_timeout_s=1).start()
    await until(lambda: world.receiver.delivered == ["a"])
    process.reader.unanswered = 10
    await process.revoke()
    assert world.offsets.at("crm") == 1
    await process.crash()


@simulated
async def test_a_reader_that_waits_forever_does_not_block_the_stop() -> None:
    """As aiokafka's does for an assignment; what was delivered is committed."""
    world = World()
    process = await delivered(world)

    async def wait_for_ever(full: Collection[Partition], timeout_s: float) -> Sequence[Batch]:
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    process.reader.read = wait_for_ever  # type: ignore[method-assign]
    await asyncio.sleep(1)
    async with asyncio.timeout(5):
        await process.stop()
    assert world.offsets.at("crm") == 2


@simulated
async def test_two_concurrent_drains_run_one_after_the_other() -> None:
    """A rebalance and a stop: the second one finds nothing left to do, and nothing is lost on the way."""
    world = World()
    world.receiver.answer = gate = HeldAnswers("b")
    world.log.add("a", entity="e1")
    world.log.add("b", entity="e2")
    process = Process(world, commit_interval_s=NEVER_S).start()
    await until(lambda: world.receiver.delivered == ["a"])
    async with asyncio.TaskGroup() as both:
        both.create_task(process.revoke())
        both.create_task(process.stop())
        await asyncio.sleep(1)
        gate.open("b")
    assert world.offsets.at("crm") == 2
    await sends_nothing_again(world)
