"""A replay to an endpoint with batches: its rate is one of events, whatever the number of requests."""

from __future__ import annotations

import asyncio

import pytest

from bridge.core.limits import RateWindows
from tests.support.batch_receiver import BatchReceiver, SentBatch
from tests.support.batch_worlds import ROOMY, fill, world_of
from tests.support.fakes import P0
from tests.support.path import Plan, Process
from tests.support.replays import replay
from tests.support.simulated import simulated, until

COUNT = 60


@simulated
@pytest.mark.parametrize("rate_per_s", [4.0, 0.5, 2.5])
async def test_a_replay_sends_no_more_events_per_second_than_asked_for(rate_per_s: float) -> None:
    world, _ = world_of(Plan(batch=(10, ROOMY, 0.1, "array"), concurrency=4))
    sent_at: list[float] = []

    async def answer(batch: SentBatch) -> int:
        sent_at.extend([asyncio.get_running_loop().time()] * len(batch.ids))
        return 200

    again = BatchReceiver(answer)
    world.replay_receivers["crm"] = again  # type: ignore[assignment]  # both are transports
    fill(world, map(str, range(COUNT)))
    process = Process(world).follow_jobs().start()
    await until(lambda: world.offsets.at("crm") == COUNT)
    world.jobs.put(replay({P0: (0, COUNT)}, rate_per_s=rate_per_s))
    await until(lambda: len(again.accepted) == COUNT)
    most = max(1, int(rate_per_s))
    assert max(map(len, again.batches)) == most
    for first, last in zip(sent_at, sent_at[most:], strict=False):
        assert last - first >= most / rate_per_s - 0.001, "so many events in any such period"
    assert COUNT / rate_per_s - 2 * most / rate_per_s <= sent_at[-1] - sent_at[0]
    await process.stop()


@simulated
async def test_a_replay_without_a_rate_sends_full_batches() -> None:
    world, _ = world_of(Plan(batch=(10, ROOMY, 0.1, "array"), concurrency=4))
    again = BatchReceiver()
    world.replay_receivers["crm"] = again  # type: ignore[assignment]  # both are transports
    fill(world, map(str, range(COUNT)))
    process = Process(world).follow_jobs().start()
    await until(lambda: world.offsets.at("crm") == COUNT)
    world.jobs.put(replay({P0: (0, COUNT)}))
    await until(lambda: len(again.accepted) == COUNT)
    assert [len(batch) for batch in again.batches] == [10] * 6
    await process.stop()


def test_several_events_at_once_use_up_the_periods_that_follow() -> None:
    windows = RateWindows(((2, 1.0),))
    windows.spend_several(10.0, 5)
    assert windows.wait_s(10.0) == 2.0
    assert windows.wait_s(12.0) == 0.0
    windows.spend(12.0)
    assert windows.wait_s(12.0) == 1.0
