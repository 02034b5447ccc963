"""A batch with records of every outcome: each is counted once, and none changes what its neighbors get."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.core.cursor import Cursor
from bridge.core.routing import Router, Subscription
from bridge.model import Event, RedriveMark, Resend
from bridge.pipeline.batch_routes import BatchRoutes
from bridge.telemetry.counted import Counter
from tests.support.fakes import P0, event
from tests.support.held_endpoint import E1, Stage
from tests.support.path import Plan, Process, World
from tests.support.simulated import simulated, until

OUTCOMES = ("handed_over", "unwanted", "switched_off", "duplicate", "tombstone", "rejected")


@simulated
async def test_each_record_of_a_batch_is_counted_once_under_its_outcome() -> None:
    world = World({"crm": Plan(patterns=("Created", "Off"))})
    process = Process(world)
    process.turn_off({"crm": ("Off",)})
    for id, type, raw in (
        ("a", "Created", b""), ("b", "Other", b""), ("a", "Created", b""), ("", "", b"{"), ("", "", None),
        ("c", "Created", b""), ("d", "Off", b""), ("b", "Other", b""), ("e", "Created", b""),
    ):  # fmt: skip
        world.log.add(id, type=type, raw=raw)
    world.log.add_damaged(3)
    world.log.add("f", type="Created")
    process.start()
    await until(lambda: world.offsets.at("crm") == 13)
    assert world.receiver.ids == ["a", "c", "e", "f"]
    assert [process.count(one) for one in OUTCOMES] == [4, 1, 1, 2, 1, 2]
    assert [record.offset for record, _ in world.parking.parked] == [3, 9]
    await process.stop()


@pytest.mark.parametrize("broken", range(4))
@simulated
async def test_a_record_that_cannot_be_decoded_hides_none_of_its_neighbors(broken: int) -> None:
    world = World({"crm": Plan()})
    for number in range(4):
        world.log.add(f"id-{number}", raw=b"{" if number == broken else b"")
    process = Process(world).start()
    await until(lambda: world.offsets.at("crm") == 4)
    assert world.receiver.ids == [f"id-{number}" for number in range(4) if number != broken]
    assert [record.offset for record, _ in world.parking.parked] == [broken]
    await process.stop()


@simulated
async def test_the_mark_of_a_redrive_counts_as_handed_over() -> None:
    world = Stage()
    world.log.mark(RedriveMark("crm", E1, "m1", "r1", 3))
    process = world.start()
    await until(lambda: process.count("handed_over") == 1)
    await process.stop()


def routes_of(**subscriptions: Subscription) -> tuple[BatchRoutes, list[tuple[str, str]]]:
    """Return the routes of a batch that feeds these endpoints, and what is enqueued: endpoint and id."""
    enqueued: list[tuple[str, str]] = []

    class Dispatcher:
        def __init__(self, name: str) -> None:
            self.name = name

        def enqueue(self, event: Event, cursor: Any, fault: object = None) -> None:
            enqueued.append((self.name, event.id))

    dispatchers: Any = {name: Dispatcher(name) for name in subscriptions}
    cursors: Any = [Cursor(P0, 0, window=9, window_bytes=999, endpoint=name) for name in subscriptions]
    left_out = {name: Counter() for name in subscriptions}
    return BatchRoutes(Router(subscriptions), dispatchers, left_out, 0, cursors), enqueued


def hand_over(routes: BatchRoutes, one: Event) -> None:
    for cursor, enqueue in routes.of(one)[1]:
        enqueue(one, cursor)


def test_two_tenants_of_a_batch_have_routes_of_their_own() -> None:
    routes, enqueued = routes_of(crm=Subscription(tenants=("acme",)), erp=Subscription(tenants=("!acme",)))
    for offset, tenant in enumerate(("acme", "other", "acme", None)):
        one = event(f"{tenant}", offset)
        one.tenant = tenant
        hand_over(routes, one)
    assert enqueued == [("crm", "acme"), ("erp", "other"), ("crm", "acme"), ("erp", "None")]


def test_the_route_of_a_type_is_not_that_of_an_event_that_is_sent_again() -> None:
    routes, enqueued = routes_of(crm=Subscription(), erp=Subscription())
    hand_over(routes, event("a"))
    again = event("b", 1)
    again.resend = Resend(again.record, "erp", "again-1")
    hand_over(routes, again)
    hand_over(routes, event("c", 2))
    assert enqueued == [("crm", "a"), ("erp", "a"), ("erp", "b"), ("crm", "c"), ("erp", "c")]
