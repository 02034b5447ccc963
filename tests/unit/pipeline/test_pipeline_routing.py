"""Filters and switched-off types on the path: every event ends sent, parked or settled unsent."""

from __future__ import annotations

import asyncio

from structlog.testing import capture_logs

from bridge.core.filter import Filter
from bridge.errors import DecodeError
from bridge.model import Event, Record
from tests.support.fakes import DECODER, HeldAnswers
from tests.support.path import Plan, Process, World
from tests.support.simulated import simulated, until


@simulated
async def test_an_event_that_a_filter_refuses_is_settled_unsent() -> None:
    world = World({"crm": Plan(when='data.entity == "e1"'), "all": Plan()})
    for name, entity in (("a", "e1"), ("b", "e2"), ("c", "e1")):
        world.log.add(name, entity=entity)
    process = Process(world).start()
    await until(lambda: world.offsets.at("crm") == world.offsets.at("all") == 3)
    assert world.receivers["crm"].delivered == ["a", "c"]
    assert world.receivers["all"].delivered == ["a", "b", "c"]
    assert (process.count("handed_over"), process.count("unwanted")) == (3, 0)
    await process.stop()


@simulated
async def test_an_event_that_every_filter_refuses_is_unwanted() -> None:
    world = World({"crm": Plan(when='data.entity == "e2"'), "erp": Plan(when='type == "Other"')})
    world.log.add("a")
    world.log.add("b", entity="e2")
    process = Process(world).start()
    await until(lambda: world.offsets.at("crm") == world.offsets.at("erp") == 2)
    assert world.receivers["crm"].delivered == ["b"]
    assert (process.count("handed_over"), process.count("unwanted")) == (1, 1)
    await process.stop()


@simulated
async def test_an_event_that_a_filter_cannot_evaluate_is_parked_in_its_turn() -> None:
    """With the filter's reason, after the earlier events of its entity, and only for its endpoint."""
    world = World({"crm": Plan(when='data.id > 1 or type == "x"'), "all": Plan()})
    world.log.add("a")
    world.log.add("b")
    process = Process(world).start()
    await until(lambda: world.offsets.at("crm") == world.offsets.at("all") == 2)
    assert world.receivers["crm"].sent == []
    assert world.receivers["all"].delivered == ["a", "b"]
    assert [(record.offset, reason.endpoint) for record, reason in world.parking.parked] == [
        (0, "crm"),
        (1, "crm"),
    ]
    reason = world.parking.parked[0][1]
    assert "orders-0@0: the filter" in reason.cause
    assert "text > a number" in reason.cause
    assert "when" in reason.remedy
    await process.stop()


@simulated
async def test_a_filter_that_parks_everything_is_logged_once_a_minute() -> None:
    world = World({"crm": Plan(when="data.id > 1"), "erp": Plan(when="data.id > 2")})
    for number in range(20):
        world.log.add(f"a{number}", entity=f"e{number}")
    with capture_logs() as lines:
        process = Process(world).start()
        await until(lambda: len(world.parking.parked) == 40)
        assert sorted(one["endpoint"] for one in lines if one["event"] == "event.parked") == ["crm", "erp"]
        await asyncio.sleep(61)
        world.log.add("b")
        await until(lambda: len(world.parking.parked) == 42)
        assert len([one for one in lines if one["event"] == "event.parked"]) == 4
        await process.stop()


class PayloadCutShort:
    """Decodes events whose payload cannot be decoded."""

    def decode(self, record: Record) -> tuple[Event, ...]:
        def payload() -> object:
            raise DecodeError(record.place, "the bytes end", "mend what writes them")

        (event,) = DECODER.decode(record)
        event.payload = payload
        return (event,)


@simulated
async def test_an_event_that_cannot_be_decoded_for_a_filter_is_parked_with_the_decoders_reason() -> None:
    plans = {"crm": Plan(when="data.x == 1"), "unasked": Plan(when='type == "Other" and data.x == 1')}
    world = World(plans, decoder=PayloadCutShort())
    world.log.add("a")
    world.log.add("b")
    with capture_logs() as lines:
        process = Process(world).start()
        await until(lambda: world.offsets.at("crm") == world.offsets.at("unasked") == 2)
    assert len([one for one in lines if one["event"] == "event.parked"]) == 2, "each has a reason of its own"
    (_, reason), _ = world.parking.parked
    assert (reason.endpoint, reason.cause, reason.remedy) == (
        "crm", "orders-0@0: the bytes end", "mend what writes them",
    )  # fmt: skip
    await process.stop()


@simulated
async def test_a_filter_is_evaluated_once_per_event_and_endpoint() -> None:
    """Even if another endpoint lags: its own reader evaluates only its filter."""
    world = World({"crm": Plan(when="data.id is defined"), "slow": Plan(when="data.id is defined", window=2)})
    asked: list[tuple[str, str]] = []

    class Asked(Filter):
        def __init__(self, name: str) -> None:
            super().__init__("data.id is defined")
            self.name = name

        def matches(self, event: Event) -> bool:
            asked.append((self.name, event.id))
            return super().matches(event)

    world.receivers["slow"].answer = gate = HeldAnswers("a", "b")
    ids = "abcdefgh"
    for name in ids:
        world.log.add(name, entity=name)
    process = Process(world)
    for rule in process.router._rules:
        rule.when = Asked(rule.target)
    process.start()
    await until(lambda: world.offsets.at("crm") == 8)
    await until(lambda: len(world.receivers["slow"].in_flight) == 2)
    gate.open("a")
    gate.open("b")
    await until(lambda: world.offsets.at("slow") == 8)
    assert sorted(asked) == [(name, id_) for name in ("crm", "slow") for id_ in ids]
    await process.stop()


@simulated
async def test_events_of_a_type_that_is_off_are_settled_unsent_and_counted() -> None:
    world = World({"crm": Plan(), "erp": Plan(patterns=("Paid",))})
    process = Process(world)
    process.turn_off({"crm": ("Pa*",), "erp": ("Pa*",)})
    process.start()
    for name, type_ in (("a", "Paid"), ("b", "Created"), ("c", "Paid")):
        world.log.add(name, type=type_)
    await until(lambda: world.offsets.at("crm") == world.offsets.at("erp") == 3)
    assert world.receivers["crm"].delivered == ["b"]
    assert (process.count("switched_off"), process.count("handed_over")) == (2, 1)
    assert (process.events_off("crm"), process.events_off("erp")) == (2, 2)
    process.turn_off({"erp": ("Pa*",)})
    world.log.add("d", type="Paid")
    await until(lambda: world.offsets.at("crm") == world.offsets.at("erp") == 4)
    assert world.receivers["crm"].delivered == ["b", "d"]
    assert world.receivers["erp"].sent == []
    assert (process.count("switched_off"), process.count("handed_over")) == (2, 2)
    assert (process.events_off("crm"), process.events_off("erp")) == (2, 3)
    assert world.parking.parked == []
    await process.stop()


@simulated
async def test_waiting_events_are_not_sent_after_their_type_is_switched_off() -> None:
    """Queued after another event, and waiting for a retry; the request in flight finishes."""
    world = World({"crm": Plan(concurrency=2, base_s=50)})
    world.receiver.answer = gate = HeldAnswers("a", "r")
    for name, entity in (("a", "e1"), ("b", "e1"), ("r", "e2"), ("s", "e2")):
        world.log.add(name, entity=entity, type="Other" if name == "s" else "Paid")
    process = Process(world).start()
    await until(lambda: len(world.receiver.in_flight) == 2)
    gate.open("r", 503)
    await until(lambda: len(world.receiver.in_flight) == 1)
    process.turn_off({"crm": ("Paid",)})
    gate.open("a")
    await until(lambda: world.offsets.at("crm") == 4)
    assert world.receiver.ids == ["a", "r", "s"]
    assert process.events_off("crm") == 2
    await process.stop()


@simulated
async def test_a_redrive_is_sent_though_its_type_is_off_and_the_filter_refuses_it() -> None:
    """Who sends one event again has decided."""
    world = World({"crm": Plan(when='type == "Other"')})
    origin = world.log.add("a")
    process = Process(world)
    process.turn_off({"crm": ("*",)})
    process.start()
    await until(lambda: world.offsets.at("crm") == 1)
    assert world.receiver.sent == []
    await process.stop()

    world.log.resend(origin, "crm", "again-1")
    process = Process(world, *world.log.records)
    process.turn_off({"crm": ("*",)})
    process.start()
    await until(lambda: world.receiver.delivered == ["a"])
    await asyncio.sleep(1)
    await process.stop()
