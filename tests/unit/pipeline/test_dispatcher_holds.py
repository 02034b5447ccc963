"""An endpoint that holds a lane after a parking: what waits, what passes, and what is written first."""

from __future__ import annotations

import asyncio
from typing import Any

from structlog.testing import capture_logs

from bridge.dead_letters.hold import Hold
from bridge.model import Partition, Record, RedriveMark
from bridge.telemetry import events
from bridge.telemetry.sparse_log import MOST
from tests.support.fakes import AGAIN, P0, HeldAnswers
from tests.support.held_endpoint import E1, KEY, Stage
from tests.support.path import Process
from tests.support.simulated import simulated, until


async def refuse(_: object) -> int:
    return 400


@simulated
async def test_a_parked_event_holds_the_later_events_of_its_lane_and_no_others() -> None:
    world = Stage()
    for name, entity in (("a", "e1"), ("x", "e2"), ("b", "e1"), ("c", "e1")):
        world.log.add(name, entity=entity)
    process = world.start()
    with capture_logs() as logs:
        await until(world.settled)
    assert world.receiver.ids == ["a", "x"]
    assert world.causes == ["status 400", "held behind orders-0@0", "held behind orders-0@0"]
    details = [reason.details for _, reason in world.parking.parked]
    assert {one["lane"] for one in details} == {KEY.lane_id}
    assert [one.get("held-behind") for one in details] == [None, "orders-0@0", "orders-0@0"]
    assert [one["attempts"] for one in details] == ["1", "0", "0"]
    assert (world.hold.first, world.hold.last, world.hold.parked) == ("orders-0@0", "orders-0@3", 3)
    (said,) = [one for one in logs if one["event"] == events.LANE_HELD]
    assert (said["entity"], said["place"], said["cause"]) == ("e1", "orders-0@0", "status 400")
    await process.stop()


@simulated
async def test_of_many_lanes_that_are_held_at_once_a_few_are_logged() -> None:
    world = Stage()
    for number in range(MOST + 4):
        world.log.add(f"a{number}", entity=f"e{number}")
    world.receiver.answer = refuse
    process = world.start()
    with capture_logs() as logs:
        await until(world.settled)
    assert len(world.causes) == MOST + 4
    assert [one["event"] for one in logs].count(events.LANE_HELD) == MOST
    await process.stop()


@simulated
async def test_an_event_without_an_ordering_key_is_never_held() -> None:
    world = Stage()
    for name in ("a", "b"):
        made = world.log.add(name)
        value = (made.value or b"").replace(b'"e1"', b"null")
        world.log.records[P0][-1] = made._replace(key=None, value=value)
    process = world.start()
    await until(world.settled)
    assert world.receiver.ids == ["a", "b"]
    assert world.register.written == []
    await process.stop()


@simulated
async def test_an_event_settles_only_after_its_hold_is_written() -> None:
    world = Stage()
    world.register.refusals = 3
    world.log.add("a")
    world.log.add("b")
    process = world.start()
    with capture_logs() as logs:
        await until(lambda: world.register.refusals == 1)
        assert world.offsets.at("crm") == 0
        await until(world.settled)
    assert [one["event"] for one in logs].count(events.HOLD_FAILED) == 1
    assert world.receiver.ids == ["a"]
    await process.stop()


@simulated
async def test_a_new_process_reads_the_holds_that_another_one_wrote() -> None:
    world = Stage()
    world.log.add("a")
    first = world.start()
    await until(world.settled)
    await first.crash()
    world.log.add("b")
    second = world.start()
    with capture_logs() as logs:
        await until(world.settled)
    assert world.receiver.ids == ["a"]
    assert [one for one in logs if one["event"] == events.LANE_HELD] == [], "it was said before"
    await second.stop()


@simulated
async def test_holds_are_read_after_the_cursors() -> None:
    """A hold is written before the commit that relies on it, so the commit must not be seen without it."""
    world = Stage()
    steps: list[str] = []
    fetch, read = world.offsets.fetch, world.register.read

    async def fetching(*args: Any) -> Any:
        steps.append("cursors")
        return await fetch(*args)

    async def reading() -> Any:
        steps.append("holds")
        return await read()

    world.offsets.fetch, world.register.read = fetching, reading  # type: ignore[method-assign]
    world.receiver.on_send = lambda sent: steps.append("sent")
    world.log.add("x")
    process = world.start()
    await until(world.settled)
    assert steps == ["cursors", "cursors", "holds", "sent"], "the first look only finds out whether it is new"
    await process.stop()


@simulated
async def test_the_event_that_a_hold_waits_for_is_not_parked_twice_after_a_crash() -> None:
    world = Stage()
    origin = world.log.add("a")
    hold = Hold(E1, 0, origin.place, origin.timestamp_ms, origin.place, 1, "r1")
    world.register.written.append((KEY, hold.to_bytes()))
    process = world.start()
    await until(world.settled)
    assert (world.receiver.ids, world.parking.parked) == ([], [])
    await process.stop()


@simulated
async def test_the_events_of_a_redrive_are_sent_and_its_mark_releases_the_lane() -> None:
    world = Stage()
    a, b = world.log.add("a"), world.log.add("b")
    process = world.start()
    await until(world.settled)
    world.refused.clear()
    world.resend(a, "x1", world.hold.round)
    world.resend(b, "x2", world.hold.round)
    world.mark()
    with capture_logs() as logs:
        await until(lambda: KEY not in world.register.now)
    world.log.add("c")
    await until(world.settled)
    assert world.receiver.ids == ["a", "a", "b", "c"]
    assert [one["event"] for one in logs].count(events.LANE_RELEASED) == 1
    await process.stop()


@simulated
async def test_an_event_that_is_refused_again_ends_the_redrive_of_its_lane() -> None:
    """The rest of it is parked again, in order, and its mark lifts nothing."""
    world = Stage()
    a, b, c = (world.log.add(name) for name in "abc")
    process = world.start()
    await until(world.settled)
    round = world.hold.round
    world.refused = {"b"}
    for number, origin in enumerate((a, b, c)):
        world.resend(origin, f"x{number}", round)
    world.mark()
    await until(world.settled)
    assert world.receiver.ids == ["a", "a", "b"]
    assert world.causes[3:] == ["status 400", "held behind orders-0@1"]
    assert (world.hold.first, world.hold.answered) == ("orders-0@1", "m1")
    assert world.hold.round != round
    await process.stop()


@simulated
async def test_a_mark_does_not_release_a_lane_with_events_parked_since_the_redrive_began() -> None:
    world = Stage()
    a = world.log.add("a")
    process = world.start()
    await until(world.settled)
    world.refused.clear()
    covers = world.hold.parked
    world.log.add("b")
    await until(world.settled)
    world.resend(a, "x1", world.hold.round)
    world.mark(covers=covers)
    await until(world.settled)
    assert (world.hold.answered, world.hold.parked) == ("m1", 2)
    world.log.add("c")
    await until(world.settled)
    assert world.receiver.ids == ["a", "a"]
    await process.stop()


@simulated
async def test_an_event_that_is_sent_again_outside_the_redrive_is_parked() -> None:
    """The redrive was requested before the hold existed."""
    world = Stage()
    a = world.log.add("a")
    process = world.start()
    await until(world.settled)
    world.resend(a, "x1")
    await until(world.settled)
    assert world.receiver.ids == ["a"]
    assert world.causes == ["status 400", "held behind orders-0@0"]
    await process.stop()


@simulated
async def test_a_mark_waits_for_the_event_before_it() -> None:
    world = Stage()
    a = world.log.add("a")
    process = world.start()
    await until(world.settled)
    world.receiver.answer = gate = HeldAnswers("a")
    world.resend(a, "x1", world.hold.round)
    world.mark()
    await until(lambda: world.receiver.in_flight)
    await asyncio.sleep(10)
    assert KEY in world.register.now
    gate.open("a")
    await until(lambda: KEY not in world.register.now)
    await process.stop()


@simulated
async def test_a_mark_for_a_free_lane_or_a_removed_endpoint_has_no_effect() -> None:
    world = Stage()
    world.log.mark(RedriveMark("crm", E1, "m1", "r1", 3))
    world.log.mark(RedriveMark("gone", E1, "m2", "r1", 3))
    world.log.add("b")
    process = world.start()
    await until(world.settled)
    assert world.receiver.ids == ["b"]
    assert world.parking.parked == []
    await process.stop()


@simulated
async def test_a_damaged_mark_is_parked_and_logged() -> None:
    world = Stage()
    place = Record(Partition("orders", 0), 0, 0, b"e1", b"release")
    world.log.ask(place, (("hookferry-covers", b"x"), ("hookferry-lane-key", b"[]")))
    process = world.start()
    with capture_logs():
        await until(world.settled)
    ((_, reason),) = world.parking.parked
    assert "damaged" in reason.cause
    await process.stop()


@simulated
async def test_an_ended_assignment_writes_no_hold() -> None:
    """Its next owner tries the event itself."""
    world = Stage()
    world.parking.pause_s = lambda: 30.0
    world.log.add("a")
    process = Process(world, P0, AGAIN, drain_timeout_s=1).start()
    await until(lambda: world.receiver.sent)
    with capture_logs():
        await process.revoke()
        await asyncio.sleep(100)
    assert world.causes == ["status 400"]
    assert world.register.written == []
    await process.stop()


@simulated
async def test_an_event_refused_after_the_assignment_ended_is_not_parked() -> None:
    """Its next owner has tried it by then, and may have delivered it."""
    world = Stage()
    world.receiver.answer = gate = HeldAnswers("a")
    world.log.add("a")
    process = Process(world, P0, AGAIN, drain_timeout_s=1).start()
    await until(lambda: world.receiver.in_flight)
    with capture_logs():
        await process.revoke()
        gate.open("a", 400)
        await asyncio.sleep(100)
    assert (world.parking.parked, world.register.written) == ([], [])
    await process.stop()
