"""A record of several events on the path: settled with the last of them, repeated and redriven one by one."""

from __future__ import annotations

import asyncio

import pytest

from bridge.core import completion_map
from bridge.core.completion_map import Failures
from bridge.dead_letters.letter import to_letter
from bridge.dead_letters.resend_request import resend_requests
from bridge.dead_letters.topic import Reason
from bridge.formats.resent import AgainDecoder, ResentDecodeError
from bridge.model import Partition, Record
from tests.support.fakes import AGAIN, DECODER, P0, TOPIC, HeldAnswers, Log, Sent
from tests.support.path import Plan, Process, World
from tests.support.simulated import simulated, until

BULK = (("a", "Paid", "e1"), ("b", "Made", "e1"), ("c", "Paid", "e1"))


def as_letter(record: Record, reason: Reason, at: int) -> Record:
    """The record of the dead-letter topic that ``Parking`` writes."""
    facts = {
        "topic": record.partition.topic, "partition": "0", "offset": str(record.offset),
        "cause": reason.cause, "timestamp-ms": "1", "parked-at-ms": "2",
        "endpoint": reason.endpoint or "", **reason.details,
    }  # fmt: skip
    headers = tuple((f"hookferry-{name}", text.encode()) for name, text in facts.items())
    return Record(Partition("g.parked", 0), at, 3, record.key, record.value, headers)


@simulated
async def test_an_offset_settles_with_the_last_event_that_the_endpoint_wants() -> None:
    world = World({"all": Plan(), "paid": Plan(("Paid",)), "none": Plan(("Other",))})
    gates = {name: HeldAnswers("b", "c") for name in world.plans}
    for name, gate in gates.items():
        world.receivers[name].answer = gate
    world.log.add_several(*BULK)
    process = Process(world).start()
    await until(lambda: world.offsets.at("none") == 1 and world.receivers["paid"].ids == ["a", "c"])
    assert world.receivers["all"].ids == ["a", "b"], "the events of an entity are sent one by one"
    await asyncio.sleep(5)
    assert (world.offsets.at("all"), world.offsets.at("paid")) == (0, 0)
    gates["paid"].open("c")
    await until(lambda: world.offsets.at("paid") == 1)
    gates["all"].open("b")
    await until(lambda: world.receivers["all"].ids == ["a", "b", "c"])
    await asyncio.sleep(5)
    assert world.offsets.at("all") == 0
    gates["all"].open("c")
    await until(lambda: world.offsets.at("all") == 1)
    await process.stop()


@simulated
async def test_events_of_different_entities_in_one_record_do_not_wait_for_one_another() -> None:
    world = World()
    world.receiver.answer = HeldAnswers("a")
    world.log.add_several(("a", "Paid", "e1"), ("b", "Paid", "e2"), ("c", "Paid", "e1"))
    process = Process(world).start()
    await until(lambda: world.receiver.delivered == ["b"])
    assert completion_map.decode(*world.offsets.committed["g.crm", P0]).parts.get(0) in (None, {2})
    await process.crash()


@simulated
async def test_a_restart_within_a_record_repeats_nothing_and_keeps_the_attempts_of_each_event() -> None:
    world = World({"crm": Plan(max_attempts=3, base_s=0.1)})
    failing = {"b": 2, "c": 2}

    async def answer(sent: Sent) -> int:
        failing[sent.event_id] = failing.get(sent.event_id, 0) - 1
        return 503 if failing[sent.event_id] >= 0 else 200

    world.receiver.answer = answer
    world.log.add_several(*BULK)
    process = Process(world).start()
    await until(lambda: world.receiver.ids == ["a", "b", "b"])
    await process.stop()
    done = completion_map.decode(*world.offsets.committed["g.crm", P0])
    assert (done.offset, done.parts, [*done.failures]) == (0, {0: frozenset({1})}, [(0, 2)])
    process = Process(world).start()
    await until(lambda: world.offsets.at("crm") == 1)
    assert world.receiver.ids == ["a", "b", "b", "b", "c", "c", "c"]
    assert not world.parking.parked, "c was held to the attempts of b"
    await process.stop()


@simulated
async def test_attempts_of_one_event_survive_a_restart_while_others_of_its_record_settle() -> None:
    world = World({"crm": Plan(max_attempts=4, base_s=0.1)})

    async def answer(sent: Sent) -> int:
        return 503 if sent.event_id == "a" else 200

    world.receiver.answer = answer
    world.log.add_several(("a", "Paid", "e1"), ("b", "Paid", "e2"))
    process = Process(world).start()
    await until(lambda: world.receiver.ids.count("a") == 2 and "b" in world.receiver.ids)
    await process.stop()
    note = completion_map.decode(*world.offsets.committed["g.crm", P0]).failures[0, 1]
    assert note == Failures(2, note.first_at_s)
    process = Process(world).start()
    await until(lambda: bool(world.parking.parked))
    assert (world.receiver.ids.count("a"), world.receiver.ids.count("b")) == (4, 1)
    await process.stop()


@simulated
async def test_a_refused_event_of_a_record_is_parked_by_its_number_and_redriven_alone() -> None:
    world = World({"crm": Plan(), "shop": Plan()}, log=Log(P0, AGAIN))

    async def refuses(sent: Sent) -> int:
        return 400 if sent.event_id in ("b", "c") else 200

    world.receivers["crm"].answer = refuses
    world.log.add_several(*BULK)
    process = Process(world, P0, AGAIN).start()
    await until(lambda: world.offsets.at("crm") == world.offsets.at("shop") == 1)
    assert [reason.details["event-index"] for _, reason in world.parking.parked] == ["2", "3"]
    letters = [to_letter(as_letter(*parked, at)) for at, parked in enumerate(world.parking.parked)]
    planned = resend_requests([one for one in reversed(letters) if one])
    assert [errand.letter.index for errand in planned] == [2, 3], "two events, in their order"

    world.receivers["crm"].answer = HeldAnswers()
    again = planned[0].letter
    world.log.resend(again.origin, again.endpoint, again.again_id, again.index)
    await until(lambda: world.offsets.at("crm", AGAIN) == world.offsets.at("shop", AGAIN) == 1)
    assert world.receivers["crm"].ids == ["a", "b", "c", "b"]
    assert world.receivers["shop"].ids == ["a", "b", "c"]
    await process.stop()


@simulated
async def test_an_event_that_is_refused_again_is_parked_by_its_number_again() -> None:
    world = World(log=Log(P0, AGAIN))

    async def refuses(sent: Sent) -> int:
        return 400

    world.receiver.answer = refuses
    origin = Log().add_several(*BULK)
    world.log.resend(origin, "crm", "x1", 3)
    process = Process(world, AGAIN).start()
    await until(lambda: world.offsets.at("crm", AGAIN) == 1)
    ((parked, reason),) = world.parking.parked
    assert (parked, reason.details["event-id"], reason.details["event-index"]) == (origin, "c", "3")
    await process.stop()


@simulated
async def test_a_record_that_becomes_undecodable_after_some_events_settled_is_parked_whole() -> None:
    """The settings of the source changed between two starts: the remaining events must not be lost."""
    world = World()
    world.receiver.answer = HeldAnswers("b")
    made = world.log.add_several(*BULK)
    process = Process(world).start()
    await until(lambda: world.receiver.ids == ["a", "b"])
    await process.crash()
    world.log.records[P0] = [made._replace(value=b"{")]
    process = Process(world).start()
    await until(lambda: world.offsets.at("crm") == 1)
    assert [parked.offset for parked, _ in world.parking.parked] == [0]
    await process.stop()


@simulated
async def test_a_duplicate_of_a_bulk_record_is_skipped_whole() -> None:
    world = World()
    world.log.add_several(*BULK)
    world.log.add_several(*BULK)
    process = Process(world).start()
    await until(lambda: world.offsets.at("crm") == 2)
    assert world.receiver.ids == ["a", "b", "c"]
    assert process.count("duplicate") == 3
    await process.stop()


def test_a_redrive_of_one_event_fails_if_its_record_is_no_longer_split() -> None:
    log = Log(P0, AGAIN)
    resent = log.resend(log.add("a"), "crm", "x1", 2)
    with pytest.raises(ResentDecodeError, match=r"not split into events any more.*bulk: split") as caught:
        AgainDecoder({TOPIC: DECODER}.get, ["crm"]).decode(resent)
    assert caught.value.resend.number == 2
