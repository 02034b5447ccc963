"""Requests to send an attempt as it was, on the path: exact, to one endpoint, in its lane, parked whole."""

from __future__ import annotations

import asyncio

import orjson

from bridge.formats.resent import packed
from bridge.model import LaneKey, Record, Resend, StoredRequest
from tests.support.fakes import AGAIN, P0, HeldAnswers, Log, Sent
from tests.support.path import Plan, Process, World
from tests.support.simulated import simulated, until

HEADERS = ((b"content-type", b"application/json"), (b"x-odd", b" \xff "))


def stored_for(entity: str, type: str = "Created") -> StoredRequest:
    lane = LaneKey(P0.topic, P0.number, entity.encode(), "")
    return StoredRequest(
        "PUT", "https://old:443/***", HEADERS, "a", type, "2026-06-29T08:15:30Z", entity, None, lane
    )


def body(id: str, entity: str = "e1") -> bytes:
    return b" " + orjson.dumps({"type": "Created", "data": {"id": id, "entity": entity}}) + b"\n"


def ask(log: Log, id: str, again_id: str, *, entity: str = "e1", endpoint: str = "crm") -> Record:
    """Append a request to send a body again; its record in the source is gone."""
    origin = Record(P0, 3, 99, entity.encode(), body(id, entity))
    resend = Resend(
        origin, endpoint, again_id, webhook_id=f"evt_{id}", stored=stored_for(entity), repeats="1:2:3"
    )
    return log.ask(origin, packed(resend))


@simulated
async def test_the_request_is_sent_as_it_was_to_its_endpoint_whatever_filters_and_switches_say() -> None:
    world = World({"crm": Plan(patterns=("Paid",), when="false"), "shop": Plan()})
    ask(world.log, "old", "x1")
    process = Process(world, AGAIN)
    process.turn_off({"crm": ("Created",)})
    process.start()
    await until(lambda: world.offsets.at("shop", AGAIN) == world.offsets.at("crm", AGAIN) == 1)
    assert world.receivers["shop"].sent == []
    (sent,) = world.receivers["crm"].sent
    assert (sent.request.method, sent.request.body) == ("PUT", body("old"))
    assert sent.request.headers[:2] == HEADERS
    assert dict(sent.request.headers)[b"webhook-id"] == b"evt_old"
    assert f"{sent.request.url.origin}{sent.request.url.target}" == "http://crm.test:80/hooks", (
        "that of today"
    )
    await process.stop()


@simulated
async def test_a_request_that_was_written_twice_is_sent_once_and_two_requests_twice() -> None:
    world = World()
    for again_id in ("x1", "x1", "x2"):
        ask(world.log, "old", again_id)
    process = Process(world, AGAIN).start()
    await until(lambda: world.offsets.at("crm", AGAIN) == 3)
    assert world.receiver.ids == ["old", "old"]
    await process.stop()


@simulated
async def test_it_waits_for_the_live_event_of_its_entity_and_for_no_other() -> None:
    world = World(log=Log(P0, AGAIN))
    world.receiver.answer = gate = HeldAnswers("live")
    world.log.add("live", entity="e1")
    process = Process(world, P0, AGAIN).start()
    await until(lambda: world.receiver.in_flight)
    ask(world.log, "old", "x1")
    ask(world.log, "other", "x2", entity="e2")
    await until(lambda: "other" in world.receiver.delivered)
    await asyncio.sleep(5)
    assert world.receiver.ids == ["live", "other"]
    gate.open("live")
    await until(lambda: world.offsets.at("crm", AGAIN) == 2)
    assert world.receiver.ids == ["live", "other", "old"]
    await process.stop()


@simulated
async def test_a_request_that_is_refused_is_parked_with_all_that_it_was() -> None:
    world = World()

    async def refuse(_: Sent) -> int:
        return 400

    world.receiver.answer = refuse
    ask(world.log, "old", "x1")
    process = Process(world, AGAIN).start()
    await until(lambda: world.offsets.at("crm", AGAIN) == 1)
    ((record, reason),) = world.parking.parked
    assert (record.place, record.value) == ("orders-0@3", body("old"))
    assert reason.details["stored"]
    assert (reason.details["repeats"], reason.details["webhook-id"]) == ("1:2:3", "evt_old")
    await process.stop()


@simulated
async def test_a_request_for_an_endpoint_that_was_removed_is_parked_with_all_that_it_was() -> None:
    world = World()
    ask(world.log, "old", "x1", endpoint="gone")
    process = Process(world, AGAIN).start()
    await until(lambda: world.offsets.at("crm", AGAIN) == 1)
    ((record, reason),) = world.parking.parked
    assert (record.value, reason.endpoint) == (body("old"), "gone")
    assert reason.details.keys() >= {"stored", "repeats", "webhook-id"}
    await process.stop()


@simulated
async def test_a_request_for_an_endpoint_that_is_off_waits() -> None:
    world = World()
    process = Process(world, AGAIN).start()
    process.dispatchers["crm"].turn(False)
    ask(world.log, "old", "x1")
    await asyncio.sleep(5)
    assert world.receiver.sent == []
    process.dispatchers["crm"].turn(True)
    await until(lambda: world.offsets.at("crm", AGAIN) == 1)
    assert world.receiver.ids == ["old"]
    await process.stop()
