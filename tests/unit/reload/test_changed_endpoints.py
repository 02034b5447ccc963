"""Endpoints that a change of the configuration changes, on the wired path: in flight, queued, and to come."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from bridge.errors import KafkaUnavailable
from bridge.settings import HistorySettings
from tests.support.fakes import FakeReceiver, HeldAnswers, Sent
from tests.support.path import Plan, Process, World
from tests.support.simulated import simulated, until


@simulated
async def test_a_request_in_flight_ends_as_it_began_and_what_is_queued_goes_the_new_way() -> None:
    world = World({"crm": Plan(concurrency=1)})
    world.receiver.answer = answers = HeldAnswers("a")
    before, after = world.receivers["crm"], FakeReceiver()
    for id in "abc":
        world.log.add(id, entity="e1")
    process = Process(world).start()
    await until(lambda: before.ids == ["a"])
    world.receivers["crm"] = after
    await process.reload({"crm": Plan(concurrency=2)})
    answers.open("a")
    await until(lambda: after.delivered == ["b", "c"])
    assert before.delivered == ["a"]
    await process.stop()


@simulated
async def test_two_events_of_an_entity_are_never_in_flight_together_across_a_change() -> None:
    world = World({"crm": Plan(concurrency=1)})
    world.receiver.answer = answers = HeldAnswers("a")
    for id in "abc":
        world.log.add(id, entity="e1")
    world.log.add("d", entity="e2")
    process = Process(world).start()
    await until(lambda: world.receiver.ids == ["a"])
    await process.reload({"crm": Plan(concurrency=8)})
    await until(lambda: world.receiver.delivered == ["d"])
    assert world.receiver.ids == ["a", "d"], "more workers, and still one event per entity"
    answers.open("a")
    await until(lambda: world.receiver.delivered == ["d", "a", "b", "c"])
    await process.stop()


@simulated
async def test_events_already_routed_stay_as_they_were_decided_and_later_ones_obey_the_new_filter() -> None:
    world = World({"crm": Plan(concurrency=1)})
    world.receiver.answer = answers = HeldAnswers("a")
    world.log.add("a", type="Old")
    world.log.add("b", type="Old")
    process = Process(world).start()
    await until(lambda: world.receiver.ids == ["a"])
    await process.reload({"crm": Plan(("New",), concurrency=1)})
    world.log.add("c", type="Old")
    world.log.add("d", type="New")
    answers.open("a")
    await until(lambda: world.receiver.delivered == ["a", "b", "d"])
    await process.stop()
    assert world.offsets.at("crm") == 4


@simulated
async def test_a_type_that_is_off_stays_off_after_a_change_of_the_filter() -> None:
    world = World({"crm": Plan()})
    process = Process(world).start()
    process.turn_off({"crm": ("Muted",)})
    await process.reload({"crm": Plan(("*", "!Other"))})
    world.log.add("a", type="Muted")
    world.log.add("b")
    await until(lambda: world.receiver.delivered == ["b"])
    await process.stop()


@simulated
async def test_what_waits_for_a_retry_is_tried_at_once_with_the_changed_endpoint() -> None:
    world = World({"crm": Plan(base_s=60)})
    status = [503]

    async def answer(_: Sent) -> int:
        return status[0]

    world.receiver.answer = answer
    world.log.add("a")
    process = Process(world).start()
    await until(lambda: world.receiver.ids == ["a"])
    status[0] = 200
    began = asyncio.get_running_loop().time()
    await process.reload({"crm": Plan(base_s=50)})
    await until(lambda: world.receiver.delivered == ["a"])
    assert asyncio.get_running_loop().time() - began < 1, "simulated seconds: it does not wait for its delay"
    await process.stop()


@simulated
async def test_attempts_before_a_change_count_after_it() -> None:
    world = World({"crm": Plan(max_attempts=3, base_s=0.1)})

    async def refuse(_: Sent) -> int:
        return 500

    world.receiver.answer = refuse
    world.log.add("a")
    process = Process(world).start()
    await until(lambda: world.receiver.ids == ["a", "a"])
    await process.reload({"crm": Plan(max_attempts=3, base_s=0.2)})
    await until(lambda: world.parking.parked)
    assert world.receiver.ids == ["a"] * 3
    await process.stop()


@simulated
async def test_a_change_of_the_rate_is_no_second_allowance() -> None:
    world = World({"crm": Plan(rate=("4/100s",))})
    sent_at: list[float] = []
    world.receiver.on_send = lambda sent: sent_at.append(asyncio.get_running_loop().time())
    for number in range(12):
        world.log.add(str(number), entity=f"e{number}")
    process = Process(world).start()
    await until(lambda: len(sent_at) == 4)
    await process.reload({"crm": Plan(rate=("6/100s",))})
    await until(lambda: len(sent_at) == 12, within_s=1000)
    await process.stop()
    for first, seventh in zip(sent_at, sent_at[6:], strict=False):
        assert seventh - first >= 99, "more than six within a hundred seconds"


@simulated
async def test_an_unchanged_limit_keeps_its_gate_and_what_it_learned() -> None:
    world = World({"crm": Plan(), "erp": Plan()})
    process = Process(world).start()
    gates = {name: dispatcher.gate for name, dispatcher in process.dispatchers.items()}
    await process.reload({"crm": Plan(base_s=7), "erp": Plan(concurrency=9)})
    assert process.dispatchers["crm"].gate is gates["crm"]
    assert process.dispatchers["erp"].gate is not gates["erp"]
    await process.stop()


@simulated
async def test_larger_windows_are_used_by_the_cursors_that_exist() -> None:
    world = World({"crm": Plan(window=1, concurrency=4)})
    world.receiver.answer = answers = HeldAnswers("0", "1", "2", "3")
    process = Process(world, max_batch=1).start()
    for number in range(4):
        world.log.add(str(number), entity=f"e{number}")
    await until(lambda: world.receiver.ids == ["0"])
    await asyncio.sleep(3)
    assert world.receiver.ids == ["0"]
    await process.reload({"crm": Plan(window=100, concurrency=4)})
    answers.open("0")
    await until(lambda: sorted(world.receiver.ids) == ["0", "1", "2", "3"])
    for number in "123":
        answers.open(number)
    await until(lambda: world.offsets.at("crm") == 4)
    await process.stop()


@simulated
async def test_a_setting_of_all_requests_reaches_every_endpoint() -> None:
    world = World({"crm": Plan(), "erp": Plan()})
    process = Process(world).start()
    others = {"history": HistorySettings(bodies="none")}
    await process.reload({"crm": Plan(), "erp": Plan()}, others)
    targets = [dispatcher._client._target for dispatcher in process.dispatchers.values()]
    assert [target.kept_success for target in targets] == [-1, -1]
    await process.stop()


@simulated
async def test_if_the_broker_fails_before_the_swap_nothing_has_changed() -> None:
    world = World({"crm": Plan()})
    process = Process(world).start()
    await until(lambda: world.offsets.at("crm") == 0)
    settings, router = process.in_force.settings, process.router
    rules = router._rules
    world.control.trouble.append("the control topic is away")
    with pytest.raises(KafkaUnavailable):
        await process.reload({"crm": Plan(("Other",)), "erp": Plan()})
    assert (process.in_force.settings, router._rules) == (settings, rules)
    assert sorted(process.dispatchers) == ["crm"]
    world.log.add("a")
    await until(lambda: world.receivers["crm"].delivered == ["a"])
    await process.reload({"crm": Plan(), "erp": Plan()})
    await until(lambda: world.receivers["erp"].delivered == ["a"])
    await process.stop()


@simulated
async def test_many_changes_under_traffic_lose_repeat_and_reorder_nothing() -> None:
    world = World({"crm": Plan(), "erp": Plan()})
    process = Process(world, max_batch=2).start()
    plans = {"crm": Plan(), "erp": Plan()}
    for turn in range(30):
        for number in range(5):
            world.log.add(f"{turn}-{number}", entity=f"e{number % 2}")
        plans["crm"] = replace(plans["crm"], base_s=1.0 + turn, concurrency=1 + turn % 5)
        if turn % 3 == 1:
            plans.pop("erp", None)
        elif turn % 3 == 2:
            plans["erp"] = Plan()
        if turn % 7 == 3:
            await process.revoke()
            process.assign()
        await process.reload(dict(plans))
    plans["erp"] = Plan()
    await process.reload(plans)
    for name in ("crm", "erp"):
        await until(lambda name=name: len(world.receivers[name].delivered) == 150)  # type: ignore[misc]
        ids = world.receivers[name].ids
        assert len(ids) == len(set(ids)), f"{name} got an event twice"
        for entity in (0, 1):
            of_entity = [id for id in ids if int(id.split("-")[1]) % 2 == entity]
            assert of_entity == sorted(of_entity, key=lambda id: [int(part) for part in id.split("-")])
    await process.stop()
