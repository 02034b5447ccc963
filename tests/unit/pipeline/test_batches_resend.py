"""Endpoints with batches: an attempt that is sent again as it was, and other limits while the bridge runs."""

from __future__ import annotations

from bridge.formats.resent import packed
from bridge.model import LaneKey, Record, Resend, StoredRequest
from tests.support.batch_receiver import BatchReceiver, read_events
from tests.support.fakes import AGAIN, P0, Log
from tests.support.path import Plan, Process, World
from tests.support.simulated import simulated, until

HEADERS = ((b"content-type", b"application/json"),)
BODY = b' {"type":"Created", "data":{"id":"old","entity":"e1"}}\n'


@simulated
async def test_a_request_that_is_sent_as_it_was_is_a_batch_of_its_own_with_its_method() -> None:
    """Live events that wait with it must not be sent with its method, nor it with theirs."""
    world = World({"crm": Plan(batch=(10, 1 << 20, 0.5, "array"))}, Log(P0, AGAIN))
    receiver = BatchReceiver()
    world.receivers["crm"] = receiver  # type: ignore[assignment]  # both are transports
    lane = LaneKey(P0.topic, P0.number, b"e1", "")
    stored = StoredRequest(
        "PUT", "https://old:443/***", HEADERS, "old", "Created", "2026-06-29T08:15:30Z", "e1", None, lane
    )
    origin = Record(P0, 3, 99, b"e1", BODY)
    world.log.ask(origin, packed(Resend(origin, "crm", "x1", webhook_id="evt_old", stored=stored)))
    for name in "abc":
        world.log.add(name, entity=name)
    process = Process(world, P0, AGAIN).start()
    await until(lambda: world.offsets.at("crm") == 3 and world.offsets.at("crm", AGAIN) == 1)
    sent = {tuple(batch.ids): batch.request.method for batch in receiver.sent}
    assert sent == {("old",): "PUT", ("a", "b", "c"): "POST"}
    (again,) = (batch for batch in receiver.sent if batch.ids == ["old"])
    (event,) = read_events(again.request.body)
    assert event["webhook_id"] == "evt_old"
    (row,) = (row for row in process.history.rows if row.event_id == "old")
    assert row.body == BODY, "its own body, unchanged"
    await process.stop()


@simulated
async def test_a_request_that_is_sent_as_it_was_is_parked_if_its_body_is_not_one_event() -> None:
    """It may be older than ``batch``, and then its body was text of any kind."""
    world = World({"crm": Plan(batch=(10, 1 << 20, 0.5, "array"))}, Log(P0, AGAIN))
    receiver = BatchReceiver()
    world.receivers["crm"] = receiver  # type: ignore[assignment]  # both are transports
    lane = LaneKey(P0.topic, P0.number, b"e1", "")
    stored = StoredRequest(
        "POST", "https://old:443/***", HEADERS, "old", "Created", "2026-06-29T08:15:30Z", "e1", None, lane
    )
    origin = Record(P0, 3, 99, b"e1", BODY.strip() + b"," + BODY.strip())
    world.log.ask(origin, packed(Resend(origin, "crm", "x1", webhook_id="evt_old", stored=stored)))
    process = Process(world, P0, AGAIN).start()
    await until(lambda: world.offsets.at("crm", AGAIN) == 1)
    assert not receiver.sent
    assert len(world.parking.parked) == 1
    await process.stop()


@simulated
async def test_other_limits_are_taken_over_while_events_wait() -> None:
    small, large = (Plan(batch=(most, 1 << 20, 30.0, "array")) for most in (2, 50))
    world = World({"crm": large})
    receiver = BatchReceiver()
    world.receivers["crm"] = receiver  # type: ignore[assignment]  # both are transports
    process = Process(world).start()
    for name in "abcd":
        world.log.add(name, entity=name)
    await until(lambda: process.checkpoints.unsettled("crm") == 4)
    await process.reload({"crm": small})
    await until(lambda: world.offsets.at("crm") == 4)
    assert sorted(receiver.batches) == [["a", "b"], ["c", "d"]]
    await process.stop()
