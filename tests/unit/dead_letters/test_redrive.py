"""The rounds of a redrive of held lanes: what they send, what they wait for, and how they end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bridge.dead_letters.hold import HoldKey
from bridge.dead_letters.letter import Fate
from bridge.dead_letters.redrive import Outcome, RedriveRounds
from tests.support.fake_store import FakeStore
from tests.support.fakes import AGAIN, P0, Sent
from tests.support.held_endpoint import KEY, Stage
from tests.support.path import Process
from tests.support.simulated import LoopClock, simulated, until


async def run(store: FakeStore, wait_s: float = 30, *keys: HoldKey) -> Outcome:
    return await RedriveRounds(store, "ann", LoopClock(), wait_s=wait_s).run(keys or (KEY,))


async def held(*names: str, **plan: Any) -> tuple[Stage, Process, FakeStore]:
    """Return a world whose lane waits for ``a``."""
    world = Stage(**plan)
    for name in ("a", *names):
        world.log.add(name)
    process = world.start()
    await until(world.settled)
    assert world.hold.parked == len(names) + 1
    return world, process, FakeStore(world)


@simulated
async def test_if_the_receiver_is_fixed_one_round_frees_the_lane_and_keeps_its_order() -> None:
    world, process, store = await held("b", "c")
    world.refused.clear()
    outcome = await run(store)
    assert (outcome.released, outcome.settled) == ([KEY], 3)
    assert world.receiver.delivered == ["a", "b", "c"]
    assert {letter.fate for letter in store.letters()} == {Fate.REDRIVEN}
    await process.stop()


@simulated
async def test_an_event_parked_during_a_round_is_sent_in_the_next_round() -> None:
    world, process, store = await held()
    world.refused.clear()
    send_marks = store.send_marks

    async def late(marks: Any) -> None:
        store.send_marks = send_marks  # type: ignore[method-assign]
        world.log.add("b")
        await until(lambda: world.hold.parked == 2)
        await send_marks(marks)

    store.send_marks = late  # type: ignore[method-assign]
    outcome = await run(store)
    assert (outcome.released, outcome.settled) == ([KEY], 2)
    assert world.receiver.delivered == ["a", "b"]
    await process.stop()


@simulated
async def test_an_event_that_is_refused_again_ends_the_rounds_with_its_cause() -> None:
    world, process, store = await held("b", "c")
    world.refused = {"b"}
    outcome = await run(store)
    assert outcome.refused[KEY].facts["cause"] == "status 400"
    assert outcome.refused[KEY].facts["event-id"] == "b"
    assert world.receiver.ids == ["a", "a", "b"], "it was sent again without end"
    world.refused.clear()
    assert (await run(store)).released == [KEY]
    assert world.receiver.delivered == ["a", "b", "c"]
    await process.stop()


@simulated
async def test_without_a_bridge_the_redrive_ends_after_its_wait_and_takes_effect_later() -> None:
    world, process, store = await held("b")
    await process.stop()
    began = asyncio.get_running_loop().time()
    outcome = await run(store, 7)
    assert list(outcome.waiting) == [KEY]
    assert 7 <= asyncio.get_running_loop().time() - began < 8
    world.refused.clear()
    process = world.start()
    await until(lambda: KEY not in world.register.now)
    assert world.receiver.delivered == ["a", "b"]
    assert (await run(store)).released == [KEY]
    await process.stop()


@simulated
async def test_a_round_may_last_longer_than_its_wait_while_lanes_are_released() -> None:
    world, process, store = await held()
    world.refused.clear()

    async def slow(_: Sent) -> int:
        await asyncio.sleep(5)
        return 200

    world.receiver.answer = slow
    assert (await run(store, 6)).released == [KEY]
    await process.stop()


@simulated
async def test_a_lane_that_gets_an_event_in_every_round_is_given_up_after_twenty() -> None:
    world, process, store = await held()
    world.refused.clear()
    send_marks, rounds = store.send_marks, []

    async def late(marks: Any) -> None:
        before = world.hold.parked
        world.log.add(f"b{len(rounds)}")
        rounds.append(marks)
        await until(lambda: world.hold.parked > before)
        await send_marks(marks)

    store.send_marks = late  # type: ignore[method-assign]
    outcome = await run(store)
    assert (list(outcome.busy), len(rounds)) == ([KEY], 20)
    assert world.receiver.delivered[:3] == ["a", "b0", "b1"]
    await process.stop()


@simulated
async def test_a_mark_frees_a_lane_without_waiting_letters() -> None:
    """An earlier command settled its letters and died before it sent the mark."""
    world, process, store = await held("b")
    world.refused.clear()
    for letter in store.letters():
        store.settle(letter, Fate.DISCARDED, "ann")
    outcome = await run(store)
    assert (outcome.released, outcome.settled) == ([KEY], 0)
    assert world.log.bounds(AGAIN)[1] == 1
    await process.stop()


@simulated
async def test_a_redrive_that_is_repeated_after_a_crash_delivers_nothing_twice() -> None:
    world, process, store = await held("b")
    world.refused.clear()
    settle = store.settle

    def dies(*_: object) -> None:
        raise KeyError

    store.settle = dies  # type: ignore[method-assign]
    with pytest.raises(KeyError):
        await run(store)
    await until(world.settled)
    store.settle = settle  # type: ignore[method-assign]
    assert (await run(store)).released == [KEY]
    assert world.receiver.delivered == ["a", "b"]
    assert world.offsets.at("crm", P0) == 2
    await process.stop()


@simulated
async def test_later_events_of_a_record_wait_for_its_refused_event_and_follow_it() -> None:
    """Also if the process dies between the hold and the commit: each event has its own letter."""
    world = Stage()
    world.refused = {"b"}
    world.log.add_several(("a", "Paid", "e1"), ("b", "Made", "e1"), ("c", "Paid", "e1"), ("x", "Paid", "e2"))
    process = world.start()
    await until(world.settled)
    assert world.receiver.delivered == ["a", "x"]
    assert world.causes == ["status 400", "held behind orders-0@0#2"]
    await process.crash()
    world.offsets.committed.clear()
    world.journal.__init__()  # type: ignore[misc]
    process = world.start()
    await until(world.settled)
    assert world.receiver.ids == ["a", "x", "b", "x"]
    store = FakeStore(world)
    assert {letter.facts["event-id"] for letter in store.letters()} == {"a", "b", "c"}
    world.refused.clear()
    assert (await run(store)).released == [KEY]
    assert world.receiver.delivered == ["a", "x", "x", "a", "b", "c"]
    await process.stop()
