"""A replay sends a part of the log to one endpoint again, next to live deliveries."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Collection

from bridge.core.jobs import JobState
from bridge.core.replay import ReplayQuery
from tests.support.fakes import P0, P1, HeldAnswers, Log, Sent
from tests.support.path import Plan, Process, World
from tests.support.replays import replay
from tests.support.simulated import simulated, until

SINCE = "1970-01-01T00:00:00Z"


def world_of(count: int, plan: Plan | None = None, entities: int = 3) -> World:
    world = World({"crm": plan or Plan()})
    for number in range(count):
        world.log.add(f"n{number}", entity=f"e{number % entities}", type=("Paid", "Made")[number % 2])
    return world


async def delivered(world: World, process: Process) -> None:
    count = len(world.log.records[P0])
    await until(lambda: len(world.receiver.delivered) == count and world.offsets.at("crm") == count)


@simulated
async def test_a_replay_sends_its_offsets_once_in_order_and_is_done() -> None:
    world = world_of(20)
    process = Process(world).follow_jobs().start()
    await delivered(world, process)
    world.jobs.put(replay({P0: (5, 15)}))
    await until(lambda: world.jobs.now("r1").state is JobState.DONE)
    again = world.replay_receivers["crm"]
    assert sorted(again.ids) == sorted(f"n{number}" for number in range(5, 15))
    for entity in range(3):
        mine = [sent for sent in again.ids if int(sent[1:]) % 3 == entity]
        assert mine == sorted(mine, key=lambda sent: int(sent[1:]))
    assert len(world.receiver.ids) == 20, "nothing was sent as a live delivery"
    assert world.offsets.at("crm") == 20, "the endpoint's own cursor does not move"
    await until(lambda: world.replay_offsets.deleted == ["g.crm.replay-r1"])
    await process.stop()


@simulated
async def test_a_replay_that_ends_in_offsets_without_a_record_is_done() -> None:
    world = world_of(10)
    world.log.add("beyond", gap=5)
    process = Process(world).follow_jobs().start()
    await until(lambda: world.offsets.at("crm") == 16)
    world.jobs.put(replay({P0: (5, 13)}))
    await until(lambda: world.jobs.now("r1").state is JobState.DONE)
    assert sorted(world.replay_receivers["crm"].ids) == [f"n{number}" for number in range(5, 10)]
    await process.stop()


@simulated
async def test_the_query_and_the_endpoint_both_select() -> None:
    world = world_of(12, Plan(("Paid",)))
    world.log.add("other", entity="e0", type="Paid")
    process = Process(world).follow_jobs().start()
    await until(lambda: world.offsets.at("crm") == 13)
    world.jobs.put(replay({P0: (0, 13)}, ReplayQuery(SINCE, entity="e0", when='id != "n6"')))
    await until(lambda: world.jobs.now("r1").state is JobState.DONE)
    assert world.replay_receivers["crm"].ids == ["n0", "other"]
    await process.stop()


@simulated
async def test_a_duplicate_in_the_log_is_not_replayed() -> None:
    world = World()
    for id in ("a", "b", "a", "c"):
        world.log.add(id)
    process = Process(world).follow_jobs().start()
    await until(lambda: world.offsets.at("crm") == 4)
    world.jobs.put(replay({P0: (1, 4)}))
    await until(lambda: world.jobs.now("r1").state is JobState.DONE)
    assert world.replay_receivers["crm"].ids == ["b", "c"]
    await process.stop()


@simulated
async def test_history_and_dead_letters_name_the_replay() -> None:
    world = world_of(3)
    process = Process(world).follow_jobs().start()
    await delivered(world, process)

    async def refuse(sent: Sent) -> int:
        return 422 if sent.event_id == "n1" else 200

    world.replay_receivers["crm"].answer = refuse
    world.jobs.put(replay({P0: (0, 3)}))
    await until(lambda: world.jobs.now("r1").state is JobState.DONE)
    rows = process.history.rows
    assert [row.again_id for row in rows] == [None] * 3 + ["replay-r1"] * 3
    assert len({row.webhook_id for row in rows}) == 3, "the same webhook-id as before"
    ((record, reason),) = world.parking.parked
    assert (record.offset, reason.endpoint, reason.details["replay"]) == (1, "crm", "replay-r1")
    await process.stop()


@simulated
async def test_a_new_id_is_the_same_after_a_restart_and_another_in_each_replay() -> None:
    world = world_of(2)
    process = Process(world).follow_jobs().start()
    await delivered(world, process)
    for id in ("r1", "r2"):
        world.jobs.put(replay({P0: (0, 2)}, ReplayQuery(SINCE, new_id=True), id=id))
        await until(lambda id=id: world.jobs.now(id).state is JobState.DONE)
    ids = [row.webhook_id for row in process.history.rows]
    assert len(set(ids)) == 6
    assert all(id.startswith("replay-r1-") for id in ids[2:4])
    await process.stop()


@simulated
async def test_a_killed_process_repeats_only_what_was_in_flight() -> None:
    """The offsets and the journal outlive it; so does the job."""
    world = world_of(30, Plan(concurrency=4), entities=30)
    process = Process(world).follow_jobs().start()
    await delivered(world, process)
    again = world.replay_receivers["crm"]

    async def slowly(sent: Sent) -> int:
        await asyncio.sleep(0.3)
        return 200

    again.answer = slowly
    world.jobs.put(replay({P0: (0, 30)}))
    await until(lambda: (world.offsets.at("crm.replay-r1") or 0) > 0)
    world.offsets.trouble.extend(["no coordinator"] * 1000)  # from now on, only the journal has it
    at = len(again.delivered)
    await until(lambda: len(again.delivered) >= at + 6)
    in_flight = {sent.event_id for sent in again.in_flight}
    await process.crash()
    world.offsets.trouble.clear()
    second = Process(world).start()
    await until(lambda: world.jobs.now("r1").state is JobState.DONE)
    assert set(again.delivered) == {f"n{number}" for number in range(30)}
    repeated = {id for id in again.ids if again.ids.count(id) > 1}
    assert repeated <= in_flight
    await second.stop()


@simulated
async def test_a_stop_in_the_middle_repeats_nothing() -> None:
    world = world_of(30)
    process = Process(world).follow_jobs().start()
    await delivered(world, process)
    again = world.replay_receivers["crm"]

    async def slowly(sent: Sent) -> int:
        await asyncio.sleep(0.3)
        return 200

    again.answer = slowly
    world.jobs.put(replay({P0: (0, 30)}))
    await until(lambda: len(again.delivered) >= 8)
    await process.stop()
    shutil.rmtree(world.jobs.folder)  # the next process is on another disk
    second = Process(world).start()
    await until(lambda: world.jobs.now("r1").state is JobState.DONE)
    assert sorted(again.ids) == sorted(f"n{number}" for number in range(30))
    await second.stop()


@simulated
async def test_two_processes_replay_each_their_partitions_and_the_last_one_ends_the_job() -> None:
    world = World(log=Log(P0, P1))
    for number in range(10):
        world.log.add(f"a{number}", partition=P0)
        world.log.add(f"b{number}", partition=P1)
    pair = [Process(world, each).follow_jobs().start() for each in (P0, P1)]
    await until(lambda: len(world.receiver.delivered) == 20)
    again = world.replay_receivers["crm"]
    gate = HeldAnswers("b3")
    again.answer = gate
    world.jobs.put(replay({P0: (0, 10), P1: (0, 10)}))
    await until(lambda: [sent.event_id for sent in again.in_flight] == ["b3"] and len(again.delivered) == 13)
    await asyncio.sleep(60)
    assert world.jobs.now("r1").state is JobState.RUNNING, "one partition is not done"
    gate.open("b3")
    await until(lambda: world.jobs.now("r1").state is JobState.DONE)
    assert sorted(again.ids) == sorted(f"{name}{number}" for name in "ab" for number in range(10))
    for process in pair:
        await process.stop()


@simulated
async def test_a_rebalance_moves_a_replay_without_repeating_anything() -> None:
    world = world_of(30)
    process = Process(world).follow_jobs().start()
    await delivered(world, process)
    again = world.replay_receivers["crm"]

    async def slowly(sent: Sent) -> int:
        await asyncio.sleep(0.3)
        return 200

    again.answer = slowly
    world.jobs.put(replay({P0: (0, 30)}))
    for count in (5, 12, 20):
        await until(lambda count=count: len(again.delivered) >= count)
        await process.revoke()
        assert not again.in_flight
        process.assign()
    await until(lambda: world.jobs.now("r1").state is JobState.DONE)
    assert sorted(again.ids) == sorted(f"n{number}" for number in range(30))
    process.raise_if_dead()
    await process.stop()


@simulated
async def test_a_replay_that_is_about_to_start_waits_if_its_partition_is_revoked_meanwhile() -> None:
    world = world_of(10)
    process = Process(world).follow_jobs()
    look, asked, answer = world.log.look, asyncio.Event(), asyncio.Event()

    async def look_later(topics: Collection[str]) -> dict[str, str | None] | None:
        asked.set()
        await answer.wait()
        return await look(topics)

    world.log.look = look_later  # type: ignore[method-assign] # of the replays: the path has its own already
    answer.set()
    process.start()
    await delivered(world, process)
    asked.clear()
    answer.clear()
    world.jobs.put(replay({P0: (0, 10)}))
    await asked.wait()
    await process.revoke()
    answer.set()
    await asyncio.sleep(60)
    assert not world.replay_receivers["crm"].ids
    process.assign()
    await until(lambda: world.jobs.now("r1").state is JobState.DONE)
    assert sorted(world.replay_receivers["crm"].ids) == sorted(f"n{number}" for number in range(10))
    await process.stop()
