"""What stops, slows and ends a replay: switches, limits, operators, and what happens to its log."""

from __future__ import annotations

import asyncio

from bridge.core.jobs import Job, JobState
from bridge.core.replay import ReplayQuery
from tests.support.fakes import P0, HeldAnswers, Sent
from tests.support.path import Plan, Process, World
from tests.support.replays import replay
from tests.support.simulated import simulated, until

COUNT = 20
SINCE = "1970-01-01T00:00:00Z"


def names(start: int, end: int) -> list[str]:
    return [f"n{number}" for number in range(start, end)]


async def started(plan: Plan | None = None, entities: int = COUNT) -> tuple[World, Process]:
    """Return a world whose events are all delivered, and its process."""
    world = World({"crm": plan or Plan()})
    for name in names(0, COUNT):
        world.log.add(name, entity=f"e{int(name[1:]) % entities}", type=f"Type{int(name[1:]) % 2}")
    process = Process(world).follow_jobs().start()
    await until(lambda: world.offsets.at("crm") == COUNT)
    return world, process


def change(world: World, job: Job, state: JobState) -> None:
    world.jobs.put(job._replace(state=state))


async def quiet(world: World) -> None:
    """Return after a minute in which nothing of a replay was sent."""
    sent = len(world.replay_receivers["crm"].ids)
    await asyncio.sleep(60)
    assert len(world.replay_receivers["crm"].ids) == sent


@simulated
async def test_a_pause_keeps_the_place_and_a_cancelled_replay_never_goes_on() -> None:
    world, process = await started()
    again = world.replay_receivers["crm"]
    job = replay({P0: (0, COUNT)}, rate_per_s=1.0)
    world.jobs.put(job)
    await until(lambda: len(again.ids) == 3)
    change(world, job, JobState.PAUSED)
    await asyncio.sleep(2)
    await quiet(world)
    change(world, job, JobState.RUNNING)
    await until(lambda: len(again.ids) >= 8)
    assert len(set(again.ids)) == len(again.ids)
    change(world, job, JobState.CANCELLED)
    await asyncio.sleep(2)
    await quiet(world)
    await until(lambda: world.replay_offsets.deleted == ["g.crm.replay-r1"])
    change(world, job, JobState.RUNNING)
    await until(lambda: world.jobs.now("r1").state is JobState.CANCELLED)
    await quiet(world)
    await process.stop()


@simulated
async def test_a_pause_that_comes_after_the_end_does_not_bring_a_replay_back() -> None:
    world, process = await started()
    job = replay({P0: (0, COUNT)})
    world.jobs.put(job)
    await until(lambda: world.jobs.now("r1").state is JobState.DONE)
    change(world, job, JobState.PAUSED)
    change(world, job, JobState.RUNNING)
    await until(lambda: world.jobs.now("r1").state is JobState.DONE)
    await quiet(world)
    assert sorted(world.replay_receivers["crm"].ids) == sorted(names(0, COUNT))
    await process.stop()


@simulated
async def test_a_replay_keeps_its_rate() -> None:
    world, process = await started()
    times: list[float] = []
    loop = asyncio.get_running_loop()
    world.replay_receivers["crm"].on_send = lambda sent: times.append(loop.time())
    world.jobs.put(replay({P0: (0, COUNT)}, rate_per_s=2.0))
    await until(lambda: world.jobs.now("r1").state is JobState.DONE)
    assert 9.0 <= times[-1] - times[0] <= 12.0
    await process.stop()


@simulated
async def test_while_the_endpoint_is_off_a_replay_sends_nothing() -> None:
    world, process = await started()
    process.switch("crm", on=False)
    world.jobs.put(replay({P0: (0, COUNT)}))
    await quiet(world)
    process.switch("crm", on=True)
    await until(lambda: world.jobs.now("r1").state is JobState.DONE)
    assert sorted(world.replay_receivers["crm"].ids) == sorted(names(0, COUNT))
    await process.stop()


@simulated
async def test_an_event_type_that_is_off_is_not_replayed() -> None:
    world, process = await started()
    process.turn_off({"crm": ("Type1",)})
    world.jobs.put(replay({P0: (0, COUNT)}))
    await until(lambda: world.jobs.now("r1").state is JobState.DONE)
    assert sorted(world.replay_receivers["crm"].ids) == sorted(names(0, COUNT)[::2])
    await process.stop()


@simulated
async def test_a_receiver_that_is_gone_turns_the_endpoint_off_for_both() -> None:
    world, process = await started()

    async def gone(sent: Sent) -> int:
        return 410

    world.replay_receivers["crm"].answer = gone
    world.jobs.put(replay({P0: (0, COUNT)}))
    await until(lambda: process.turned_off)
    assert not process.dispatchers["crm"].on
    assert world.jobs.now("r1").state is JobState.RUNNING
    world.replay_receivers["crm"].answer = HeldAnswers()
    process.switch("crm", on=True)
    await until(lambda: world.jobs.now("r1").state is JobState.DONE)
    assert set(world.replay_receivers["crm"].delivered) == set(names(0, COUNT))
    await process.stop()


@simulated
async def test_too_many_dead_letters_pause_the_replay_and_not_the_endpoint() -> None:
    world, process = await started(Plan(park_limit=(3, 0.1, 600.0)))

    async def refuse(sent: Sent) -> int:
        return 422

    world.replay_receivers["crm"].answer = refuse
    world.jobs.put(replay({P0: (0, COUNT)}))
    await until(lambda: world.jobs.now("r1").state is JobState.PAUSED)
    assert "park_limit" in world.jobs.now("r1").reason
    assert len(world.parking.parked) <= 3
    assert process.dispatchers["crm"].on
    assert not process.turned_off
    world.log.add("live")
    await until(lambda: "live" in world.receiver.delivered)
    world.replay_receivers["crm"].answer = HeldAnswers()
    change(world, world.jobs.now("r1"), JobState.RUNNING)
    await until(lambda: world.jobs.now("r1").state is JobState.DONE)
    parked = {record.offset for record, _ in world.parking.parked}
    done = {int(name[1:]) for name in world.replay_receivers["crm"].delivered}
    assert parked | done == set(range(COUNT))
    await process.stop()


@simulated
async def test_live_events_have_the_endpoint_first() -> None:
    """With a concurrency of one and a full live lane, the replay has one request at a time at most."""
    world, process = await started(Plan(concurrency=2), entities=COUNT)
    most = 0

    async def slowly(sent: Sent) -> int:
        nonlocal most
        both = len(world.receiver.in_flight) + len(world.replay_receivers["crm"].in_flight)
        most = max(most, both)
        await asyncio.sleep(1)
        return 200

    world.receiver.answer = world.replay_receivers["crm"].answer = slowly
    world.jobs.put(replay({P0: (0, COUNT)}))
    await until(lambda: len(world.replay_receivers["crm"].ids) >= 4)
    began = asyncio.get_running_loop().time()
    for number in range(20):
        world.log.add(f"live{number}", entity=f"live{number}")
    await until(lambda: sum(name.startswith("live") for name in world.receiver.delivered) == 20)
    assert asyncio.get_running_loop().time() - began <= 12, "20 live events, two at a time, a second each"
    assert most <= 3
    await until(lambda: world.jobs.now("r1").state is JobState.DONE)
    await process.stop()


@simulated
async def test_records_that_retention_deletes_end_a_replay_that_has_not_read_them() -> None:
    world, process = await started()
    again = world.replay_receivers["crm"]
    job = replay({P0: (0, COUNT)}, rate_per_s=1.0)
    change(world, job, JobState.PAUSED)
    world.log.delete_below(P0, 12)
    change(world, job, JobState.RUNNING)
    await until(lambda: world.jobs.now("r1").state is JobState.DONE)
    assert sorted(again.ids) == sorted(names(12, COUNT))
    world.log.delete_below(P0, COUNT)
    world.jobs.put(replay({P0: (0, COUNT)}, id="r2"))
    await until(lambda: world.jobs.now("r2").state is JobState.DONE)
    assert len(again.ids) == 8
    await process.stop()


@simulated
async def test_a_topic_that_was_created_again_fails_the_replay() -> None:
    world, process = await started()
    ids = {"orders": "another-id-than-before"}
    world.jobs.put(replay({P0: (0, COUNT)}, topic_ids=ids))
    await until(lambda: world.jobs.now("r1").state is JobState.FAILED)
    assert "deleted and created again" in world.jobs.now("r1").error
    assert not world.replay_receivers["crm"].ids
    await process.stop()


@simulated
async def test_an_undecodable_record_is_not_parked_again() -> None:
    world, process = await started()
    world.log.add("bad", raw=b"no json")
    world.log.add("after")
    await until(lambda: world.offsets.at("crm") == COUNT + 2)
    assert len(world.parking.parked) == 1
    world.jobs.put(replay({P0: (COUNT, COUNT + 2)}))
    await until(lambda: world.jobs.now("r1").state is JobState.DONE)
    assert world.replay_receivers["crm"].ids == ["after"]
    assert len(world.parking.parked) == 1
    await process.stop()


@simulated
async def test_a_control_topic_that_is_away_delays_the_end_and_loses_nothing() -> None:
    world, process = await started()
    world.jobs.trouble = 5
    world.jobs.put(replay({P0: (0, COUNT)}))
    await until(lambda: world.jobs.now("r1").state is JobState.DONE)
    assert len(world.replay_receivers["crm"].ids) == COUNT
    process.raise_if_dead()
    await process.stop()


@simulated
async def test_a_replay_that_is_cancelled_before_its_end_is_written_stays_cancelled() -> None:
    world, process = await started()
    world.jobs.trouble = 1000
    world.jobs.put(job := replay({P0: (0, COUNT)}))
    await until(lambda: world.jobs.trouble < 999)  # it is done, and the control topic does not take that
    change(world, job, JobState.CANCELLED)
    world.jobs.trouble = 0
    await asyncio.sleep(600)
    assert world.jobs.now("r1").state is JobState.CANCELLED
    await process.stop()


@simulated
async def test_a_failed_commit_delays_the_end_and_repeats_nothing() -> None:
    world, process = await started()
    world.jobs.put(replay({P0: (0, COUNT)}, rate_per_s=5.0))
    await until(lambda: len(world.replay_receivers["crm"].ids) >= 5)
    world.offsets.trouble.extend(["no coordinator"] * 8)
    await until(lambda: world.jobs.now("r1").state is JobState.DONE)
    assert sorted(world.replay_receivers["crm"].ids) == sorted(names(0, COUNT))
    await process.stop()


@simulated
async def test_a_commit_that_is_refused_leaves_the_replay_open_until_it_is_accepted() -> None:
    world, process = await started()
    world.offsets.refused.add(P0)
    world.jobs.put(replay({P0: (0, COUNT)}))
    await asyncio.sleep(30)
    assert world.jobs.now("r1").state is JobState.RUNNING
    world.offsets.refused.clear()
    await until(lambda: world.jobs.now("r1").state is JobState.DONE)
    await process.stop()


@simulated
async def test_a_restart_of_the_runs_repeats_nothing() -> None:
    """As after another configuration was taken over."""
    world, process = await started()
    world.jobs.put(replay({P0: (0, COUNT)}, rate_per_s=2.0))
    for count in (5, 12):
        await until(lambda count=count: len(world.replay_receivers["crm"].ids) >= count)
        process.replays.restart()
    await until(lambda: world.jobs.now("r1").state is JobState.DONE)
    assert sorted(world.replay_receivers["crm"].ids) == sorted(names(0, COUNT))
    await process.stop()


@simulated
async def test_several_replays_run_next_to_each_other_and_the_rest_wait() -> None:
    world, process = await started()
    for number in range(6):
        world.jobs.put(replay({P0: (0, COUNT)}, id=f"r{number}", rate_per_s=2.0))
    await asyncio.sleep(3)
    running = [row.again_id for row in process.history.rows if row.again_id]
    assert {*running} == {f"replay-r{number}" for number in range(4)}
    await until(lambda: all(world.jobs.now(f"r{number}").state is JobState.DONE for number in range(6)))
    assert len(world.replay_receivers["crm"].ids) == 6 * COUNT
    assert process.budget.used_bytes == 0, "the memory of the replays is given back"
    await process.stop()


@simulated
async def test_a_replay_whose_own_filter_cannot_be_evaluated_makes_dead_letters_up_to_the_limit() -> None:
    world, process = await started(Plan(park_limit=(3, 0.1, 600.0)))
    world.jobs.put(replay({P0: (0, COUNT)}, ReplayQuery(SINCE, when="data.entity > 5")))
    await until(lambda: world.jobs.now("r1").state is JobState.PAUSED)
    assert len(world.parking.parked) <= 3
    assert process.dispatchers["crm"].on
    await process.stop()


@simulated
async def test_a_query_that_this_release_cannot_read_fails_the_replay() -> None:
    """It must not send more than was asked for."""
    world, process = await started()
    job = replay({P0: (0, COUNT)})
    world.jobs.put(job._replace(query={**job.query, "tenant": "acme"}))
    await until(lambda: world.jobs.now("r1").state is JobState.FAILED)
    world.jobs.put(replay({P0: (0, COUNT)}, ReplayQuery(SINCE, when="data.("), id="r2"))
    await until(lambda: world.jobs.now("r2").state is JobState.FAILED)
    assert not world.replay_receivers["crm"].ids
    await process.stop()


@simulated
async def test_a_process_that_lost_its_place_commits_nothing_of_a_replay() -> None:
    world, process = await started()
    world.jobs.put(replay({P0: (0, COUNT)}, rate_per_s=2.0))
    await until(lambda: (world.offsets.at("crm.replay-r1") or 0) >= 2)
    process.reader.lost_place = True
    at = world.offsets.at("crm.replay-r1")
    await asyncio.sleep(10)
    assert world.offsets.at("crm.replay-r1") == at
    assert world.jobs.now("r1").state is JobState.RUNNING, "its successor has not replayed the rest"
    await process.crash()
