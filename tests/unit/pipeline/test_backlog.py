"""The backlog of an endpoint, over the path that the wiring builds: what waits, what is not read, its age."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping

from bridge.errors import KafkaUnavailable
from bridge.model import Committed, Partition
from bridge.pipeline.backlog import Backlogs
from tests.support.fakes import AGAIN, P0, HeldAnswers, Log, Sent
from tests.support.path import Plan, Process, World
from tests.support.simulated import LoopClock, simulated, until


def backlogs_of(process: Process) -> Backlogs:
    """Return the backlogs of a process; its logs end where the world's do."""

    async def ends(partitions: Collection[Partition]) -> Mapping[Partition, int]:
        if process.world.log.has_topic_ids:
            return {partition: process.world.log.bounds(partition)[1] for partition in partitions}
        raise KafkaUnavailable("no answer")

    next_offsets = process.pipeline.assignment.next_offsets
    return Backlogs(process.checkpoints, process.dispatchers, ends, next_offsets, AGAIN.topic, LoopClock())


async def refuse(_: Sent) -> int:
    return 503


@simulated
async def test_events_of_other_endpoints_do_not_count_and_a_filter_leaves_none_waiting() -> None:
    world = World({"paid": Plan(("Paid",)), "none": Plan(("Other",)), "all": Plan()})
    for receiver in world.receivers.values():
        receiver.answer = refuse
    for number in range(9):
        world.log.add(f"e{number}", entity=f"n{number}", type="Paid" if number < 2 else "Made")
    process = Process(world).start()
    await until(lambda: process.checkpoints.unsettled("all") == 9)
    backlogs = backlogs_of(process)
    await backlogs.look()
    counts = {
        name: (lag.waiting, lag.unread, lag.events) for name in world.plans for lag in [backlogs.of(name)]
    }
    assert counts == {"paid": (2, 0, 2), "none": (0, 0, 0), "all": (9, 0, 9)}
    await process.crash()


@simulated
async def test_what_a_full_endpoint_has_not_read_is_estimated_by_the_share_that_it_wants() -> None:
    world = World({"paid": Plan(("Paid",), window=30)})
    for number in range(100):
        world.log.add(f"e{number}", entity=f"n{number}", type="Paid" if number % 4 == 0 else "Made")
    process = Process(world, max_batch=50).start()
    await until(lambda: world.offsets.at("paid") == 100)
    world.receiver.answer = HeldAnswers(*(f"f{number}" for number in range(2000)))
    for number in range(2000):
        world.log.add(f"f{number}", entity=f"n{number}", type="Paid" if number % 4 == 0 else "Made")
    backlogs = backlogs_of(process)
    await until(lambda: process.checkpoints.unsettled("paid") > 20)
    await asyncio.sleep(5)
    await backlogs.look()
    lag = backlogs.of("paid")
    assert 20 < lag.waiting < 60
    assert lag.unread > 1500
    assert abs(lag.events - 500) < 50, "a fourth of 2000"
    await process.crash()


@simulated
async def test_a_process_that_has_read_little_counts_every_unread_offset() -> None:
    world = World({"crm": Plan(("Paid",))})
    process = Process(world).start()
    world.log.add("a", type="Made")
    await until(lambda: process.pipeline.assignment.next_offsets.get(P0) == 1)
    backlogs = backlogs_of(process)
    process.pipeline.stop()
    for number in range(10):
        world.log.add(f"b{number}", type="Made")
    await backlogs.look()
    assert backlogs.of("crm")[1:3] == (10, 10.0)
    await process.crash()


@simulated
async def test_the_age_is_that_of_the_oldest_event_that_waits() -> None:
    world = World({"crm": Plan(base_s=5.0)})
    world.receiver.answer = refuse
    process = Process(world).start()
    backlogs = backlogs_of(process)
    assert backlogs.of("crm").age_s == 0
    world.log.add("a", entity="e1")
    world.log.add("b", entity="e2")
    await until(lambda: process.checkpoints.unsettled("crm") == 2)
    oldest_ms = backlogs.oldest_ms("crm")
    assert oldest_ms == world.log.records[P0][0].timestamp_ms
    assert abs(backlogs.of("crm").age_s - (LoopClock().time() - oldest_ms / 1000)) < 0.001
    await process.crash()


@simulated
async def test_records_that_are_not_read_age_from_the_first_look_that_finds_them_still() -> None:
    world = World()
    process = Process(world).start()
    await until(lambda: P0 in process.checkpoints.cursors)
    backlogs = backlogs_of(process)
    await backlogs.look()
    assert backlogs.of("crm").age_s == 0
    process.reader.assign()  # the reader returns nothing more, and the cursors stay
    process.reader._positions.clear()
    world.log.add("a")
    for _ in range(4):
        await backlogs.look()
        await asyncio.sleep(10)
    assert backlogs.of("crm").age_s == 40
    await process.crash()


@simulated
async def test_while_the_broker_does_not_answer_the_last_ends_count() -> None:
    world = World({"crm": Plan(window=1)})
    world.receiver.answer = refuse
    for number in range(50):
        world.log.add(f"a{number}", entity=f"n{number}")
    process = Process(world, max_batch=1).start()
    await until(lambda: process.checkpoints.unsettled("crm") > 0)
    await asyncio.sleep(5)
    backlogs = backlogs_of(process)
    await backlogs.look()
    before = backlogs.of("crm")
    assert before.unread > 0
    world.log.has_topic_ids = False
    await backlogs.look()
    assert backlogs.of("crm")[:3] == before[:3]
    await process.crash()


@simulated
async def test_the_depth_of_again_is_what_the_slowest_endpoint_has_not_settled() -> None:
    world = World({"crm": Plan(), "erp": Plan()}, Log(P0, AGAIN))
    process = Process(world, P0, AGAIN).start()
    backlogs = backlogs_of(process)
    await until(lambda: AGAIN in process.checkpoints.cursors)
    await backlogs.look()
    assert backlogs.again_records() == 0
    for cursor, settled in zip(process.checkpoints.cursors[AGAIN].values(), (3, 5), strict=True):
        cursor.advance(settled)
    backlogs._main_at[AGAIN] = 7  # type: ignore[index] # the reader's next offset
    assert backlogs.again_records() == 4
    await process.crash()


@simulated
async def test_cursors_that_have_read_all_are_not_looked_at_again_until_one_comes_or_the_log_grows() -> None:
    world = World({"crm": Plan(), "shop": Plan()})
    for number in range(9):
        world.log.add(f"e{number}", entity=f"n{number}")
    process = Process(world).start()
    await until(lambda: world.offsets.at("crm") == world.offsets.at("shop") == 9)
    backlogs = backlogs_of(process)
    await backlogs.look()
    assert set(backlogs._read) == {P0}
    assert backlogs.of("crm") == (0, 0, 0, 0)
    moved = process.pipeline.assignment.move("crm", P0, Committed(2, ""))
    await backlogs.look()  # before it has caught up
    assert set(backlogs._still) == {moved}
    assert backlogs.of("crm").unread == 7
    await until(lambda: moved.position == 9)
    await backlogs.look()
    assert not backlogs._still
    assert set(backlogs._read) == {P0}
    world.log.add("e9", entity="n9")
    await backlogs.look()  # before it is read
    assert {cursor.endpoint for cursor in backlogs._still} == {"crm", "shop"}
    assert backlogs.of("shop").unread == 1
    await until(lambda: world.offsets.at("crm") == world.offsets.at("shop") == 10)
    await backlogs.look()
    assert backlogs.of("shop") == (0, 0, 0, 0)
    world.receivers["crm"].answer = refuse
    world.log.add("e10", entity="n10")
    await until(lambda: process.checkpoints.unsettled("crm"))
    assert backlogs.of("crm").waiting == 1, "since the last look"
    await process.crash()


@simulated
async def test_what_the_main_reader_passes_counts_at_once_although_nothing_waits() -> None:
    """As when other endpoints use up the memory: the cursor is full, and holds no event."""
    world = World({"crm": Plan(), "erp": Plan()})
    world.log.add("e0")
    process = Process(world).start()
    await until(lambda: world.offsets.at("crm") == world.offsets.at("erp") == 1)
    backlogs = backlogs_of(process)
    await backlogs.look()
    process.checkpoints.cursors[P0]["crm"].full = True
    for number in range(1, 5):
        world.log.add(f"e{number}")
    await until(lambda: world.offsets.at("erp") == 5)
    assert backlogs.of("crm") == (0, 4, 4, 0), "without another look"
    assert backlogs.of("erp") == (0, 0, 0, 0)
    await backlogs.look()
    assert backlogs.of("crm").unread == 4
    await process.crash()


@simulated
async def test_what_an_endpoint_that_leaves_does_not_take_any_more_counts_at_once() -> None:
    world = World({"crm": Plan(), "erp": Plan()})
    process = Process(world).start()
    await until(lambda: P0 in process.checkpoints.cursors)
    backlogs = backlogs_of(process)
    await backlogs.look()
    process.pipeline.let_go("crm")
    world.log.add("e0")
    await until(lambda: world.offsets.at("erp") == 1)
    assert backlogs.of("crm").unread == 1
    await process.crash()
