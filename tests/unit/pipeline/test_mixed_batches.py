"""A batch with records of every outcome: each is counted once, and none changes what its neighbors get."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.core.cursor import Cursor
from bridge.core.dedupe import Claim
from bridge.core.routing import Router, Subscription
from bridge.model import Event, Partition, Record, RedriveMark, Resend
from bridge.pipeline.fresh_events import FreshEvents
from bridge.pipeline.intake import Intake
from bridge.telemetry.metrics import Metrics
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


class Window:
    """A dedupe window that has seen no key."""

    def claim(self, partition: Partition, claims: list[Claim], end: int, at_ms: int) -> list[Claim]:
        return list(claims)


def enqueued(batch: list[Event], **subscriptions: Subscription) -> list[tuple[str, str]]:
    """Accept a batch of these events, one per record, and return what is enqueued: endpoint and id."""
    found: list[tuple[str, str]] = []

    class Dispatcher:
        def __init__(self, name: str) -> None:
            self.name = name

        def enqueue(self, event: Event, cursor: Any, fault: object = None) -> None:
            found.append((self.name, event.id))

    class Decoder:
        def decode(self, record: Record) -> list[Event]:
            return [one for one in batch if one.record is record]

    intake: Any = Intake(
        decoders={P0.topic: Decoder()},
        router=Router(subscriptions),
        dispatchers={name: Dispatcher(name) for name in subscriptions},  # type: ignore[misc] # a fake
        undecodable=None,  # type: ignore[arg-type] # every record can be decoded
        fresh=FreshEvents(0),
        metrics=Metrics(),
    )
    cursors = [Cursor(P0, 0, window=9, window_bytes=999, endpoint=name) for name in subscriptions]
    intake.accept(None, Window(), P0, [one.record for one in batch], cursors)
    return found


def test_two_tenants_of_a_batch_have_routes_of_their_own() -> None:
    batch = [event(f"{tenant}", offset) for offset, tenant in enumerate(("acme", "other", "acme", None))]
    for one, tenant in zip(batch, ("acme", "other", "acme", None), strict=True):
        one.tenant = tenant
    assert enqueued(batch, crm=Subscription(tenants=("acme",)), erp=Subscription(tenants=("!acme",))) == [
        ("crm", "acme"), ("erp", "other"), ("crm", "acme"), ("erp", "None"),
    ]  # fmt: skip


def test_two_types_of_a_batch_have_routes_of_their_own() -> None:
    batch = [event(f"{offset}", offset, type=type) for offset, type in enumerate(("A", "B", "A"))]
    assert enqueued(batch, crm=Subscription(("A",)), erp=Subscription(("B",))) == [
        ("crm", "0"), ("erp", "1"), ("crm", "2"),
    ]  # fmt: skip


@pytest.mark.parametrize("again", range(3))
def test_the_route_of_an_event_that_is_sent_again_is_its_own(again: int) -> None:
    batch = [event(f"{offset}", offset) for offset in range(3)]
    batch[again].resend = Resend(batch[again].record, "erp", "again-1")
    both = [(name, one.id) for one in batch for name in ("crm", "erp")]
    both.remove(("crm", f"{again}"))
    assert enqueued(batch, crm=Subscription(), erp=Subscription()) == both
