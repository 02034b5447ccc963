"""Records sent again on the path: to whom, in which lane, from where, and what becomes of them."""

from __future__ import annotations

import asyncio

from bridge.model import Record
from tests.support.fakes import AGAIN, P0, HeldAnswers, Log, Sent
from tests.support.path import Plan, Process, World
from tests.support.simulated import simulated, until


@simulated
async def test_a_redrive_is_sent_only_to_its_endpoint_whatever_its_filters_are_now() -> None:
    world = World({"crm": Plan(patterns=("Paid",)), "shop": Plan()})
    origin = world.log.add("a", type="Created", partition=P0)
    world.log.resend(origin, "crm", "x1")
    process = Process(world, AGAIN).start()
    await until(lambda: world.offsets.at("shop", AGAIN) == world.offsets.at("crm", AGAIN) == 1)
    assert (world.receivers["crm"].ids, world.receivers["shop"].ids) == (["a"], [])
    await process.stop()


@simulated
async def test_a_redrive_without_an_endpoint_is_sent_to_all_that_want_the_event() -> None:
    world = World({"crm": Plan(patterns=("Paid",)), "shop": Plan(), "bank": Plan(patterns=("Created",))})
    world.log.resend(world.log.add("a", type="Created"), None, "x1")
    process = Process(world, AGAIN).start()
    await until(lambda: all(world.offsets.at(name, AGAIN) == 1 for name in world.plans))
    assert {name for name, one in world.receivers.items() if one.ids} == {"shop", "bank"}
    await process.stop()


@simulated
async def test_a_redrive_and_a_live_event_of_one_entity_are_never_in_flight_together() -> None:
    world = World(log=Log(P0, AGAIN))
    world.receiver.answer = gate = HeldAnswers("live")
    origin = Record(P0, 3, 0, b"e1", b'{"id": "old", "type": "Created", "entity": "e1"}')
    world.log.add("live", entity="e1")
    process = Process(world, P0, AGAIN).start()
    await until(lambda: world.receiver.in_flight)
    world.log.resend(origin, "crm", "x1")
    world.log.resend(origin._replace(key=b"e2", value=origin.value.replace(b"old", b"other")), "crm", "x2")  # type: ignore[union-attr]
    await until(lambda: "other" in world.receiver.delivered)
    await asyncio.sleep(5)
    assert world.receiver.ids == ["live", "other"], "it did not wait for the event of its entity"
    gate.open("live")
    await until(lambda: world.offsets.at("crm", AGAIN) == 2)
    assert world.receiver.ids == ["live", "other", "old"]
    await process.stop()


@simulated
async def test_a_redrive_before_the_first_commit_is_read_for_any_start_setting() -> None:
    world = World({"crm": Plan(start="latest")})
    origin = world.log.add("a")
    world.log.add("b")
    world.log.resend(origin, "crm", "x1")
    process = Process(world, P0, AGAIN).start()
    await until(lambda: world.offsets.at("crm", AGAIN) == 1)
    assert world.receiver.ids == ["a"]
    await process.stop()


@simulated
async def test_a_redrive_that_was_produced_twice_is_sent_once_and_two_redrives_twice() -> None:
    world = World()
    origin = world.log.add("a")
    for again_id in ("x1", "x1", "x2"):
        world.log.resend(origin, "crm", again_id)
    process = Process(world, AGAIN).start()
    await until(lambda: world.offsets.at("crm", AGAIN) == 3)
    assert world.receiver.ids == ["a", "a"]
    first, second = (dict(sent.request.headers)[b"webhook-id"] for sent in world.receiver.sent)
    assert first == second
    await process.stop()


@simulated
async def test_an_event_that_is_refused_again_is_parked_with_its_original_record() -> None:
    world = World()

    async def refuse(_: Sent) -> int:
        return 400

    world.receiver.answer = refuse
    origin = world.log.add("a", gap=7)
    world.log.resend(origin, "crm", "x1")
    process = Process(world, AGAIN).start()
    await until(lambda: world.offsets.at("crm", AGAIN) == 1)
    ((record, reason),) = world.parking.parked
    assert record == origin
    assert (reason.endpoint, reason.details["attempts"]) == ("crm", "1")
    await process.stop()


@simulated
async def test_a_redriven_record_that_is_undecodable_is_parked_as_the_original_for_its_endpoint() -> None:
    """The same if the endpoint was removed: the event cannot be delivered, but it is not lost."""
    world = World({"crm": Plan(), "shop": Plan()})
    origin = world.log.add("a", raw=b"{")
    world.log.resend(origin, "crm", "x1")
    world.log.resend(world.log.add("b"), "gone", "x2")
    process = Process(world, AGAIN).start()
    await until(lambda: all(world.offsets.at(name, AGAIN) == 2 for name in world.plans))
    parked = {record.place: reason.endpoint for record, reason in world.parking.parked}
    assert parked == {"orders-0@0": "crm", "orders-0@1": "gone"}
    assert not any(receiver.ids for receiver in world.receivers.values())
    await process.stop()
