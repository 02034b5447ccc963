"""The path from record to commit, over fakes and in made-up time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from structlog.testing import capture_logs

from bridge.errors import CommitError, KafkaUnavailable
from bridge.model import Partition
from bridge.telemetry import events
from tests.support.fakes import P0, P1, Gate, Log, Sent
from tests.support.path import Plan, Process, World
from tests.support.simulated import simulated, until


@simulated
async def test_a_record_is_delivered_and_then_committed() -> None:
    world = World()
    world.receiver.answer = gate = Gate("a")
    world.log.add("a")
    process = Process(world).start()
    await until(lambda: world.receiver.in_flight)
    await asyncio.sleep(5)
    assert world.offsets.at("crm") == 0, "committed at the lowest unsettled offset, and no further"
    gate.open("a")
    await until(lambda: world.offsets.at("crm") == 1)
    assert world.receiver.delivered == ["a"]
    await process.stop()


@simulated
async def test_the_events_of_an_entity_arrive_in_the_order_of_the_log() -> None:
    world = World()
    answers = iter([503, 200, 500, 200, 200])

    async def answer(_: Sent) -> int:
        return next(answers)

    world.receiver.answer = answer
    for name in "abc":
        world.log.add(name)
    process = Process(world).start()
    await until(lambda: world.offsets.at("crm") == 3)
    assert world.receiver.ids == ["a", "a", "b", "b", "c"]
    await process.stop()


@simulated
async def test_a_duplicate_is_passed_by_and_counted() -> None:
    world = World()
    for name in ("a", "b", "a", "a"):
        world.log.add(name)
    process = Process(world).start()
    await until(lambda: world.offsets.at("crm") == 4)
    assert world.receiver.ids == ["a", "b"]
    assert process.count("duplicate") == 2
    await process.stop()


@simulated
async def test_a_tombstone_is_counted_and_settled() -> None:
    world = World()
    world.log.add("a")
    world.log.add("gone", raw=None)
    process = Process(world).start()
    await until(lambda: world.offsets.at("crm") == 2)
    assert world.receiver.ids == ["a"]
    assert process.count("tombstone") == 1
    await process.stop()


@simulated
async def test_what_cannot_be_decoded_settles_for_no_endpoint_before_it_is_parked() -> None:
    world = World({"crm": Plan(), "erp": Plan()})
    world.parking.refusals = 3
    broken = world.log.add("x", raw=b"{")
    world.log.add("a")
    process = Process(world).start()
    await until(lambda: world.parking.refusals == 1)
    assert (world.offsets.at("crm"), world.offsets.at("erp")) == (0, 0)
    await until(lambda: world.offsets.at("crm") == world.offsets.at("erp") == 2)
    ((parked, reason),) = world.parking.parked
    assert parked == broken
    assert "orders-0@0" in reason.cause
    assert reason.endpoint is None
    assert all(receiver.ids == ["a"] for receiver in world.receivers.values())
    assert process.count("rejected") == 1
    await process.stop()


@simulated
async def test_a_parked_record_is_not_parked_again_after_a_restart() -> None:
    world = World()
    world.receiver.answer = Gate("a")
    world.log.add("a")
    world.log.add("x", raw=b"{", entity="e2")
    process = Process(world).start()
    await until(lambda: world.parking.parked and world.offsets.map_of("crm"))
    await process.crash()
    world.receiver.answer = Gate()
    process = Process(world).start()
    await until(lambda: world.offsets.at("crm") == 2)
    assert len(world.parking.parked) == 1
    await process.stop()


@simulated
async def test_an_unwanted_event_moves_the_cursor_and_reaches_nobody() -> None:
    world = World({"crm": Plan(patterns=("Loan*",))})
    world.log.add("a", type="Client")
    world.log.add("b", type="LoanPaid")
    world.log.add("c", type="Client")
    process = Process(world).start()
    await until(lambda: world.offsets.at("crm") == 3)
    assert world.receiver.ids == ["b"]
    assert (process.count("unwanted"), process.count("handed_over")) == (2, 1)
    await process.stop()


@simulated
async def test_a_slow_endpoint_keeps_its_own_cursor_and_delays_nobody() -> None:
    world = World({"fast": Plan(), "slow": Plan()})
    world.receivers["slow"].answer = gate = Gate("a")
    for number, name in enumerate("abc"):
        world.log.add(name, entity=f"e{number}")
    process = Process(world).start()
    await until(lambda: world.offsets.at("fast") == 3)
    assert world.offsets.at("slow") == 0
    assert world.receivers["slow"].delivered == ["b", "c"]
    assert process.reader.fenced[-1] == {P0: 0}, "the member group commits the lowest of its cursors"
    gate.open("a")
    await until(lambda: world.offsets.at("slow") == 3)
    assert process.reader.fenced[-1] == {P0: 3}
    await process.stop()


@simulated
async def test_after_a_crash_only_what_was_not_committed_is_sent_again() -> None:
    world = World()
    world.receiver.answer = Gate("b")
    for number, name in enumerate("abcd"):
        world.log.add(name, entity=f"e{number}")
    process = Process(world).start()
    await until(lambda: world.offsets.at("crm") == 1 and world.receiver.delivered == ["a", "c", "d"])
    await process.crash()
    world.receiver.answer = Gate()
    process = Process(world).start()
    await until(lambda: world.offsets.at("crm") == 4)
    assert world.receiver.ids == ["a", "b", "c", "d", "b"]
    await process.stop()


@simulated
async def test_a_delivery_that_was_not_committed_is_repeated_with_the_same_id() -> None:
    world = World()
    world.log.add("a")
    process = Process(world, commit_interval_s=1000).start()
    await until(lambda: world.receiver.delivered)
    await process.crash()
    process = Process(world).start()
    await until(lambda: world.offsets.at("crm") == 1)
    ids = {dict(sent.request.headers)[b"webhook-id"] for sent in world.receiver.sent}
    assert world.receiver.ids == ["a", "a"]
    assert len(ids) == 1
    await process.stop()


@simulated
async def test_a_revoke_in_mid_batch_finishes_what_is_in_flight_and_leaves_the_rest() -> None:
    world = World({"crm": Plan(concurrency=1)})
    world.receiver.answer = gate = Gate("a")
    for number, name in enumerate("abc"):
        world.log.add(name, entity=f"e{number}")
    process = Process(world).start()
    await until(lambda: world.receiver.in_flight)
    revoking = asyncio.create_task(process.revoke())
    await asyncio.sleep(1)
    assert not revoking.done(), "it waits for the request in flight"
    gate.open("a")
    await revoking
    assert world.receiver.ids == ["a"]
    assert world.offsets.at("crm") == 1
    process.assign()
    await until(lambda: world.offsets.at("crm") == 3)
    assert world.receiver.ids == ["a", "b", "c"]
    await process.stop()


@simulated
async def test_a_revoke_waits_no_longer_than_its_deadline_and_the_late_answer_is_not_committed() -> None:
    world = World()
    world.receiver.answer = gate = Gate("a")
    world.log.add("a")
    process = Process(world, drain_timeout_s=3).start()
    await until(lambda: world.receiver.in_flight)
    before = asyncio.get_running_loop().time()
    with capture_logs() as logs:
        await process.revoke()
    assert 2.9 < asyncio.get_running_loop().time() - before < 3.2
    assert [one["unfinished"] for one in logs if one["event"] == events.BRIDGE_DRAINED] == [1]
    gate.open("a")
    await asyncio.sleep(5)
    assert world.offsets.at("crm") == 0
    process.assign()
    await until(lambda: world.offsets.at("crm") == 1)
    assert world.receiver.ids == ["a", "a"]
    await process.stop()


@simulated
async def test_a_stop_during_a_revoke_does_not_wait_for_the_deadline() -> None:
    """Two drains wait for the same request; both go on when it is done."""
    world = World()
    world.receiver.answer = gate = Gate("a")
    world.log.add("a")
    process = Process(world, drain_timeout_s=500).start()
    await until(lambda: world.receiver.in_flight)
    before = asyncio.get_running_loop().time()
    revoking = asyncio.create_task(process.revoke())
    await asyncio.sleep(1)
    stopping = asyncio.create_task(process.stop())
    await asyncio.sleep(1)
    gate.open("a")
    await asyncio.gather(revoking, stopping)
    assert asyncio.get_running_loop().time() - before < 10
    assert world.offsets.at("crm") == 1


@simulated
async def test_a_window_that_cannot_be_covered_yet_loses_and_repeats_nothing() -> None:
    world = World()
    for name in ("a", "b", "a", "c"):
        world.log.add(name)
    process = Process(world)
    process.window.trouble.extend([KafkaUnavailable("away"), KafkaUnavailable("away")])
    process.start()
    await until(lambda: world.offsets.at("crm") == 4)
    assert world.receiver.ids == ["a", "b", "c"]
    await process.stop()


@simulated
async def test_a_stop_while_the_window_is_not_covered_hands_nothing_over() -> None:
    """An index that does not know the window would take a duplicate for the first of its key."""
    world = World()
    for name in ("a", "a"):
        world.log.add(name)
    process = Process(world)
    process.window.trouble.extend([KafkaUnavailable("away")] * 1000)
    process.start()
    await until(lambda: len(process.window.trouble) < 998)
    await process.stop()
    assert world.receiver.ids == []
    assert world.offsets.at("crm") == 0


@simulated
async def test_a_broker_in_trouble_is_waited_for() -> None:
    world = World()
    process = Process(world)
    process.reader.trouble.extend([KafkaUnavailable("away"), CommitError("away"), KafkaUnavailable("away")])
    world.log.add("a")
    with capture_logs() as logs:
        process.start()
        await until(lambda: world.offsets.at("crm") == 1)
    assert len([one for one in logs if one["event"] == events.SOURCE_FAILED]) == 3
    await process.stop()


@simulated
async def test_records_that_retention_deleted_are_reported_and_passed() -> None:
    world = World({"crm": Plan(window=2), "erp": Plan()})
    world.receivers["crm"].answer = gate = Gate("a", "b")
    for number, name in enumerate("abcdefgh"):
        world.log.add(name, entity=f"e{number}")
    process = Process(world, max_batch=2).start()
    await until(lambda: world.offsets.at("erp") == 2)
    world.log.delete_below(P0, 6)
    with capture_logs() as logs:
        gate.open("a")
        gate.open("b")
        await until(lambda: world.offsets.at("crm") == 8)
    lost = [one for one in logs if one["event"] == events.RECORDS_DELETED]
    assert [(one["endpoint"], one["offsets_lost"], one["log_start"]) for one in lost] == [
        ("crm", 4, 6),
        ("erp", 4, 6),
    ]
    assert world.receivers["crm"].delivered == ["a", "b", "g", "h"]
    await process.stop()


@simulated
async def test_no_loss_is_reported_for_an_endpoint_that_is_past_what_was_deleted() -> None:
    """The reader starts at the lowest cursor; retention may overtake that one and not the other."""
    world = World({"behind": Plan(), "ahead": Plan()})
    world.receivers["behind"].answer = Gate("a")
    for number, name in enumerate("abcdef"):
        world.log.add(name, entity=f"e{number}")
    process = Process(world).start()
    await until(lambda: world.offsets.at("ahead") == 6)
    await process.crash()
    process = Process(world)
    begin = process.reader.start_at

    def begin_too_late(positions: Mapping[Partition, int]) -> None:
        begin(positions)
        world.log.delete_below(P0, 3)

    process.reader.start_at = begin_too_late  # type: ignore[method-assign]
    with capture_logs() as logs:
        process.start()
        world.log.add("g", entity="e7")
        await until(lambda: world.offsets.at("ahead") == 7)
    lost = [one for one in logs if one["event"] == events.RECORDS_DELETED]
    assert [(one["endpoint"], one["offsets_lost"]) for one in lost] == [("behind", 3)]
    await process.stop()


@simulated
async def test_a_full_partition_is_not_read_on_and_the_other_one_is() -> None:
    world = World({"crm": Plan(window=2, concurrency=8)}, log=Log(P0, P1))
    world.receiver.answer = gate = Gate("a", "b")
    for number, name in enumerate("abcd"):
        world.log.add(name, entity=f"e{number}")
    for number, name in enumerate("wxyz"):
        world.log.add(name, entity=f"e{number}", partition=P1)
    process = Process(world, P0, P1, max_batch=2).start()
    await until(lambda: world.offsets.at("crm", P1) == 4)
    await asyncio.sleep(5)
    assert not {"c", "d"} & set(world.receiver.ids)
    assert process.reader.reads_of_full[-1] == {P0}
    gate.open("a")
    gate.open("b")
    await until(lambda: world.offsets.at("crm", P0) == 4)
    await process.stop()


@simulated
async def test_when_every_partition_is_full_polling_goes_on() -> None:
    """A member that does not poll is put out of its group."""
    world = World({"crm": Plan(window=1)})
    world.receiver.answer = Gate("a")
    world.log.add("a")
    world.log.add("b")
    process = Process(world, max_batch=1).start()
    await until(lambda: P0 in process.checkpoints.cursors and process.checkpoints.cursors[P0]["crm"].full)
    before = len(process.reader.reads_of_full)
    await asyncio.sleep(10)
    assert len(process.reader.reads_of_full) - before >= 10
    assert world.receiver.ids == ["a"]
    await process.crash()
