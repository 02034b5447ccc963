"""A batch with records of every outcome: each is counted once, and none changes what its neighbors get."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from bridge.core.cursor import Cursor
from bridge.core.dedupe import Claim
from bridge.core.routing import Router, Subscription
from bridge.errors import DecodeError, FilterError
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


def enqueued(
    batch: list[Event],
    special: dict[int, RedriveMark | DecodeError] | None = None,
    **subscriptions: Subscription,
) -> list[tuple[str, str]]:
    """Accept a batch of these events, one per record, and return what is enqueued: endpoint and id.

    ``special``: by offset, what a record contains instead of its event.
    """
    found: list[tuple[str, str]] = []

    class Dispatcher:
        def __init__(self, name: str) -> None:
            self.name = name

        def enqueue(self, events: Iterable[Event], cursor: Any, fault: object = None) -> None:
            found.extend((self.name, event.id) for event in events)

        def enqueue_mark(self, mark: RedriveMark, record: Record, cursor: Any) -> None:
            found.append((self.name, f"{record.offset}"))

    class Undecodable:
        def start_parking(self, tasks: Any, record: Record, error: DecodeError, cursors: list[Any]) -> bool:
            found.extend((cursor.endpoint, f"{record.offset}") for cursor in cursors)
            return True

    class Decoder:
        def decode(self, record: Record) -> list[Event | RedriveMark]:
            found = (special or {}).get(record.offset)
            if isinstance(found, DecodeError):
                raise found
            if found is not None:
                return [found]
            return [one for one in batch if one.record is record]

    intake: Any = Intake(
        decoders={P0.topic: Decoder()},
        router=Router(subscriptions),
        dispatchers={name: Dispatcher(name) for name in subscriptions},  # type: ignore[misc] # a fake
        undecodable=Undecodable(),  # type: ignore[arg-type] # a fake
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
        ("crm", "acme"), ("crm", "acme"), ("erp", "other"), ("erp", "None"),
    ]  # fmt: skip


class Unclear:
    """A filter that cannot be evaluated for the events with these ids."""

    def __init__(self, *ids: str) -> None:
        self._ids = ids

    def matches(self, event: Event) -> bool:
        if event.id in self._ids:
            raise FilterError("p@0", "the filter cannot be evaluated", "correct it")
        return True


@pytest.mark.parametrize("unclear", [(), ("0",), ("1",), ("2",), ("0", "2"), ("1", "2")])
def test_an_event_whose_filter_fails_is_enqueued_in_its_turn(unclear: tuple[str, ...]) -> None:
    batch = [event(f"{offset}", offset) for offset in range(3)]
    found = enqueued(batch, crm=Subscription(when=Unclear(*unclear)), erp=Subscription())
    assert sorted(found) == [(name, one.id) for name in ("crm", "erp") for one in batch]
    assert [id for name, id in found if name == "crm"] == ["0", "1", "2"]


@pytest.mark.parametrize(
    "special", [RedriveMark("crm", E1, "m1", "r1", 3), DecodeError("orders-0@1", "it is broken", "none")]
)
@pytest.mark.parametrize("at", range(3))
def test_what_is_no_event_is_opened_in_its_turn(special: RedriveMark | DecodeError, at: int) -> None:
    batch = [event(f"{offset}", offset) for offset in range(3)]
    assert enqueued(batch, {at: special}, crm=Subscription()) == [("crm", "0"), ("crm", "1"), ("crm", "2")]


def test_two_types_of_a_batch_have_routes_of_their_own() -> None:
    batch = [event(f"{offset}", offset, type=type) for offset, type in enumerate(("A", "B", "A"))]
    assert enqueued(batch, crm=Subscription(("A",)), erp=Subscription(("B",))) == [
        ("crm", "0"), ("crm", "2"), ("erp", "1"),
    ]  # fmt: skip


@pytest.mark.parametrize("again", range(3))
def test_the_route_of_an_event_that_is_sent_again_is_its_own(again: int) -> None:
    batch = [event(f"{offset}", offset) for offset in range(3)]
    batch[again].resend = Resend(batch[again].record, "erp", "again-1")
    both = [(name, one.id) for name in ("crm", "erp") for one in batch]
    both.remove(("crm", f"{again}"))
    assert sorted(enqueued(batch, crm=Subscription(), erp=Subscription())) == both
