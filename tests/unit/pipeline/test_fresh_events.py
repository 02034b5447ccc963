"""The newest events keep their decoded data; whatever waits longer keeps its record alone."""

from __future__ import annotations

import gc
import weakref

import pytest

from bridge.errors import DecodeError
from bridge.model import Event
from bridge.pipeline.fresh_events import FreshEvents
from bridge.rendering import standard_body
from tests.support.fakes import FakeReceiver, Log, Sent, event
from tests.support.path import Plan, Process, World
from tests.support.simulated import simulated, until


def size(one: Event) -> int:
    return len(one.record.value or b"") + 200


def waiting(*ids: str) -> list[Event]:
    events = [event(id, offset) for offset, id in enumerate(ids)]
    for one in events:
        one.holders = 1
    return events


def test_the_oldest_events_forget_when_the_newest_need_the_room() -> None:
    events = waiting(*(f"{number:04}" for number in range(10)))
    fresh = FreshEvents(3 * size(events[0]))
    fresh.add(events[:6])
    assert [one.is_fresh for one in events[:6]] == [False] * 3 + [True] * 3
    fresh.add(events[6:])
    assert [one.is_fresh for one in events] == [False] * 7 + [True] * 3


def test_an_event_that_is_larger_than_the_room_forgets_at_once() -> None:
    (one,) = waiting("a")
    FreshEvents(1).add([one])
    assert not one.is_fresh


def test_a_body_that_was_rendered_for_another_endpoint_is_forgotten_too() -> None:
    (one,) = waiting("a")
    body = standard_body(one)
    FreshEvents(0).add([one])
    assert one.rendered is None
    assert standard_body(one) == body


def test_settled_events_are_not_kept_alive() -> None:
    """Kept until their bytes push them out, thousands of small ones would slow each garbage collection."""
    events = waiting(*(str(number) for number in range(10)))
    fresh = FreshEvents(1 << 30)
    fresh.add(events[:9])
    for one in events[:5]:
        one.holders = 0
    fresh.add(events[9:])
    assert list(fresh._events) == events[5:]
    assert fresh._bytes == sum(map(size, events[5:]))


@simulated
async def test_an_event_that_waits_for_a_retry_keeps_neither_data_nor_body() -> None:
    async def refuse(sent: Sent) -> int:
        return 503

    world = World({"crm": Plan(max_attempts=100)}, log=Log())
    world.receivers["crm"] = FakeReceiver(answer=refuse)
    world.log.add("a")
    process = Process(world).start()
    process.pipeline._intake._fresh._max_bytes = 0
    await until(lambda: len(world.receiver.sent) >= 2)
    (lane,) = process.dispatchers["crm"]._queue._lanes.values()
    one = lane.items[0].event  # type: ignore[union-attr]
    assert not one.is_fresh
    assert one.rendered is None
    assert one.payload is one.decode_again
    await process.stop()


class Document(dict[str, str]):
    """Decoded data; a test can see whether it is still alive."""


@simulated
async def test_the_error_of_a_record_that_waits_to_be_parked_keeps_no_decoded_data() -> None:
    alive: list[weakref.ref[Document]] = []

    class Refusing:
        def decode(self, record: object) -> tuple[Event, ...]:
            document = Document(text="what was decoded before the error")
            alive.append(weakref.ref(document))
            try:
                raise ValueError(document)
            except ValueError as exc:
                raise DecodeError("orders-0@0", "it cannot be decoded", "correct it") from exc

    world = World({"crm": Plan()}, log=Log(), decoder=Refusing())
    world.log.add("a")
    world.parking.refusals = 1_000
    process = Process(world).start()
    await until(lambda: bool(alive))
    await until(lambda: process.budget.used_bytes > 0)
    gc.collect()
    assert [each() for each in alive] == [None] * len(alive)
    world.parking.refusals = 0
    await until(lambda: bool(world.parking.parked))
    await until(lambda: process.budget.used_bytes == 0)
    await process.stop()


@pytest.mark.parametrize("endpoints", [1, 3])
@simulated
async def test_the_items_of_a_record_that_is_split_count_its_bytes_once(endpoints: int) -> None:
    async def refuse(sent: Sent) -> int:
        return 503

    world = World({f"crm{number}": Plan(max_attempts=100) for number in range(endpoints)}, log=Log())
    for receiver in world.receivers.values():
        receiver.answer = refuse
    record = world.log.add_several(*((f"{number}", "Created", "e1") for number in range(50)))
    process = Process(world).start()
    process.pipeline._intake._fresh._max_bytes = 0
    await until(lambda: process.budget.used_bytes > 0)
    (lane,) = process.dispatchers["crm0"]._queue._lanes.values()
    assert len(lane.items) == 50
    assert not any(item.event.is_fresh for item in lane.items)  # type: ignore[union-attr]
    per_delivery = process.budget.used_bytes - 2 * record.size_bytes
    assert per_delivery < 50 * endpoints * 2_000
    await process.revoke()
    assert process.budget.used_bytes == 0
    await process.stop()
