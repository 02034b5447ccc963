"""Records that cannot be read from the log, on the path: parked once, and the offsets move past them."""

from __future__ import annotations

from bridge.model import Damage
from tests.support.fakes import P0, P1, HeldAnswers, Log
from tests.support.path import Plan, Process, World
from tests.support.simulated import simulated, until


@simulated
async def test_a_batch_that_cannot_be_read_is_parked_once_and_the_offset_moves_behind_it() -> None:
    world = World({"crm": Plan(), "shop": Plan()})
    world.log.add("a")
    world.log.add_damaged(5)
    world.log.add("b")
    process = Process(world).start()
    await until(lambda: world.offsets.at("crm") == world.offsets.at("shop") == 7)
    ((record, reason),) = world.parking.parked
    assert (record.offset, record.value, reason.endpoint) == (1, b"raw", None)
    assert reason.details == {"raw-of": "batch", "last-offset": "5"}
    assert all(one.delivered == ["a", "b"] for one in world.receivers.values())
    await process.stop()


@simulated
async def test_a_damaged_record_is_parked_even_if_its_value_is_an_event() -> None:
    world = World()
    damaged = world.log.add("a")._replace(damage=Damage("a header name", "redrive it", 1))
    world.log.records[P0][:] = [damaged]
    world.log.add("b")
    process = Process(world).start()
    await until(lambda: world.offsets.at("crm") == 2)
    ((record, reason),) = world.parking.parked
    assert (record.offset, reason.cause, reason.details) == (0, "orders-0@0: a header name", {})
    assert world.receiver.delivered == ["b"]
    await process.stop()


@simulated
async def test_an_unreadable_batch_at_the_end_of_the_log_is_not_read_again_after_a_restart() -> None:
    world = World()
    world.log.add("a")
    world.log.add_damaged(5)
    process = Process(world).start()
    await until(lambda: world.offsets.at("crm") == 6)
    await process.crash()
    process = Process(world).start()
    world.log.add("b")
    await until(lambda: world.offsets.at("crm") == 7)
    assert len(world.parking.parked) == 1
    await process.stop()


@simulated
async def test_what_was_parked_before_a_kill_is_not_parked_again_while_an_earlier_event_is_open() -> None:
    world = World()
    world.receiver.answer = gate = HeldAnswers("a")
    world.log.add("a")
    world.log.add_damaged(5)
    world.log.add("b", entity="e2")
    process = Process(world).start()
    await until(lambda: world.parking.parked and "b" in world.receiver.delivered)
    await until(lambda: world.offsets.map_of("crm"))
    await process.crash()
    world.receiver.answer = gate = HeldAnswers()
    process = Process(world).start()
    await until(lambda: world.offsets.at("crm") == 7)
    assert (len(world.parking.parked), world.receiver.delivered.count("b")) == (1, 1)
    assert gate is not None
    await process.stop()


@simulated
async def test_the_offset_waits_until_the_dead_letter_of_an_unreadable_batch_is_written() -> None:
    world = World(log=Log(P0, P1))
    world.parking.refusals = 3
    world.log.add_damaged(2)
    world.log.add("b")
    world.log.add("c", partition=P1, entity="e3")
    process = Process(world, P0, P1).start()
    await until(lambda: {"b", "c"} <= set(world.receiver.delivered))
    assert world.offsets.at("crm", P0) == 0
    await until(lambda: world.offsets.at("crm", P0) == 3)
    assert len(world.parking.parked) == 1
    await process.stop()


@simulated
async def test_a_cursor_that_catches_up_passes_an_unreadable_batch_too() -> None:
    world = World({"slow": Plan(window=2, concurrency=1), "crm": Plan()})
    world.receivers["slow"].answer = gate = HeldAnswers("a")
    world.log.add("a")
    for number in range(6):
        world.log.add(f"b{number}", entity=f"e{number}")
    world.log.add_damaged(3)
    world.log.add("z", entity="ez")
    process = Process(world).start()
    await until(lambda: world.offsets.at("crm") == 11)
    gate.open("a")
    await until(lambda: world.offsets.at("slow") == 11)
    assert "z" in world.receivers["slow"].delivered
    assert {record.offset for record, _ in world.parking.parked} == {7}
    await process.stop()
