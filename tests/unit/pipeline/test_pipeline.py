"""The path from record to commit, over fakes and in made-up time."""

from __future__ import annotations

import asyncio

from bridge.formats.plain_json import PlainJsonDecoder
from tests.support.fakes import P0, P1, HeldAnswers, Log, Sent
from tests.support.path import Plan, Process, World
from tests.support.simulated import simulated, until


@simulated
async def test_a_record_is_delivered_and_then_committed() -> None:
    world = World()
    world.receiver.answer = gate = HeldAnswers("a")
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
async def test_a_status_in_retry_on_is_retried_in_order_and_parks_nothing() -> None:
    world = World({"crm": Plan(retry_on=(401,))})
    answers = iter([200, 401, 401, 200, 200])

    async def answer(_: Sent) -> int:
        return next(answers)

    world.receiver.answer = answer
    for name in "abc":
        world.log.add(name)
    process = Process(world).start()
    await until(lambda: world.offsets.at("crm") == 3)
    assert world.receiver.ids == ["a", "b", "b", "b", "c"]
    assert not world.parking.parked
    await process.stop()


@simulated
async def test_a_duplicate_is_skipped_and_counted() -> None:
    world = World()
    for name in ("a", "b", "a", "a"):
        world.log.add(name)
    process = Process(world).start()
    await until(lambda: world.offsets.at("crm") == 4)
    assert world.receiver.ids == ["a", "b"]
    assert process.count("duplicate") == 2
    await process.stop()


@simulated
async def test_the_dedupe_window_of_a_batch_ends_at_its_first_record() -> None:
    """It may span more than a window: by its last record, what its first one repeats would be forgotten."""
    world = World()
    records = world.log.records[P0]
    for at_ms in (1_000, 9_000, 50_000):
        world.log.add(str(at_ms))
        records[-1] = records[-1]._replace(timestamp_ms=at_ms)
    process = Process(world).start()
    await until(lambda: world.offsets.at("crm") == 3)
    assert process.window.asked_at_ms == [1_000]
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
    assert process.metrics.registry.get_sample_value("hookferry_tombstones_total", {"source": "orders"}) == 1
    await process.stop()


async def refuses_b(sent: Sent) -> int:
    return 400 if sent.event_id == "b" else 200


@simulated
async def test_an_event_without_a_value_is_sent_and_is_parked_with_a_null_value() -> None:
    decoder = PlainJsonDecoder("orders", id="header:id", type="header:type", max_value_bytes=1000)
    world = World({"crm": Plan(max_attempts=1)}, decoder=decoder)
    for offset, number in enumerate(("a", "b")):
        record = world.log.add(number, raw=None)
        headers = (("id", number.encode()), ("type", number.encode()))
        world.log.records[P0][offset] = record._replace(headers=headers)
    world.receiver.answer = refuses_b
    process = Process(world).start()
    await until(lambda: world.offsets.at("crm") == 2)
    assert world.receiver.ids == ["a", "b"]
    ((parked, _),) = world.parking.parked
    assert (parked.value, parked.offset) == (None, 1)
    assert process.count("tombstone") == 0
    await process.stop()


@simulated
async def test_an_undecodable_record_settles_for_no_endpoint_before_it_is_parked() -> None:
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
async def test_an_unwanted_event_moves_the_cursor_and_is_not_sent() -> None:
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
async def test_a_slow_endpoint_has_a_cursor_of_its_own_and_delays_no_other() -> None:
    world = World({"fast": Plan(), "slow": Plan()})
    world.receivers["slow"].answer = gate = HeldAnswers("a")
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
async def test_a_full_partition_is_not_read_while_the_other_one_is() -> None:
    world = World({"crm": Plan(window=2, concurrency=8)}, log=Log(P0, P1))
    world.receiver.answer = gate = HeldAnswers("a", "b")
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
async def test_polling_continues_while_every_partition_is_full() -> None:
    """A member that does not poll is put out of its group."""
    world = World({"crm": Plan(window=1)})
    world.receiver.answer = HeldAnswers("a")
    world.log.add("a")
    world.log.add("b")
    process = Process(world, max_batch=1).start()
    await until(lambda: P0 in process.checkpoints.cursors and process.checkpoints.cursors[P0]["crm"].full)
    before = len(process.reader.reads_of_full)
    await asyncio.sleep(10)
    assert len(process.reader.reads_of_full) - before >= 10
    assert world.receiver.ids == ["a"]
    await process.crash()
