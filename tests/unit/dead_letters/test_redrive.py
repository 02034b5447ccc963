"""The rounds of a redrive of held lanes: what is sent, what is waited for, and what is said in the end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bridge.dead_letters.hold import HoldKey
from bridge.dead_letters.letter import Fate
from bridge.dead_letters.redrive import Outcome, Rounds
from tests.support.desk import FakeDesk
from tests.support.fakes import AGAIN, P0, Sent
from tests.support.path import Process
from tests.support.simulated import LoopClock, simulated, until
from tests.unit.pipeline.test_dispatcher_holds import KEY, Stage


async def run(desk: FakeDesk, wait_s: float = 30, *keys: HoldKey) -> Outcome:
    return await Rounds(desk, "ann", LoopClock(), wait_s=wait_s).run(keys or (KEY,))


async def held(*names: str, **plan: Any) -> tuple[Stage, Process, FakeDesk]:
    """A world whose lane waits for ``a``."""
    world = Stage(**plan)
    for name in ("a", *names):
        world.log.add(name)
    process = world.start()
    await until(world.settled)
    assert world.hold.parked == len(names) + 1
    return world, process, FakeDesk(world)


@simulated
async def test_a_mended_lane_is_free_after_one_round_in_order() -> None:
    world, process, desk = await held("b", "c")
    world.refused.clear()
    outcome = await run(desk)
    assert (outcome.released, outcome.settled) == ([KEY], 3)
    assert world.receiver.delivered == ["a", "b", "c"]
    assert {letter.fate for letter in desk.letters()} == {Fate.REDRIVEN}
    await process.stop()


@simulated
async def test_what_comes_while_a_round_is_on_its_way_goes_with_the_next() -> None:
    world, process, desk = await held()
    world.refused.clear()
    end_round = desk.end_round

    async def late(marks: Any) -> None:
        desk.end_round = end_round  # type: ignore[method-assign]
        world.log.add("b")
        await until(lambda: world.hold.parked == 2)
        await end_round(marks)

    desk.end_round = late  # type: ignore[method-assign]
    outcome = await run(desk)
    assert (outcome.released, outcome.settled) == ([KEY], 2)
    assert world.receiver.delivered == ["a", "b"]
    await process.stop()


@simulated
async def test_what_is_refused_again_ends_the_rounds_with_its_cause() -> None:
    world, process, desk = await held("b", "c")
    world.refused = {"b"}
    outcome = await run(desk)
    assert outcome.refused[KEY].facts["cause"] == "status 400"
    assert outcome.refused[KEY].facts["event-id"] == "b"
    assert world.receiver.ids == ["a", "a", "b"], "nobody tries it again and again"
    world.refused.clear()
    assert (await run(desk)).released == [KEY]
    assert world.receiver.delivered == ["a", "b", "c"]
    await process.stop()


@simulated
async def test_without_a_bridge_it_ends_after_its_wait_and_the_mark_works_later() -> None:
    world, process, desk = await held("b")
    await process.stop()
    began = asyncio.get_running_loop().time()
    outcome = await run(desk, 7)
    assert list(outcome.waiting) == [KEY]
    assert 7 <= asyncio.get_running_loop().time() - began < 8
    world.refused.clear()
    process = world.start()
    await until(lambda: KEY not in world.register.now)
    assert world.receiver.delivered == ["a", "b"]
    assert (await run(desk)).released == [KEY]
    await process.stop()


@simulated
async def test_a_long_round_is_waited_for_as_long_as_lanes_get_free() -> None:
    world, process, desk = await held()
    world.refused.clear()

    async def slow(_: Sent) -> int:
        await asyncio.sleep(5)
        return 200

    world.receiver.answer = slow
    assert (await run(desk, 6)).released == [KEY]
    await process.stop()


@simulated
async def test_a_lane_that_gets_an_event_in_every_round_is_not_pursued_for_ever() -> None:
    world, process, desk = await held()
    world.refused.clear()
    end_round, rounds = desk.end_round, []

    async def late(marks: Any) -> None:
        before = world.hold.parked
        world.log.add(f"b{len(rounds)}")
        rounds.append(marks)
        await until(lambda: world.hold.parked > before)
        await end_round(marks)

    desk.end_round = late  # type: ignore[method-assign]
    outcome = await run(desk)
    assert (list(outcome.busy), len(rounds)) == ([KEY], 20)
    assert world.receiver.delivered[:3] == ["a", "b0", "b1"]
    await process.stop()


@simulated
async def test_a_lane_without_letters_is_freed_by_its_mark_alone() -> None:
    """Its letters were settled by a command that died before the mark."""
    world, process, desk = await held("b")
    world.refused.clear()
    for letter in desk.letters():
        desk.settle(letter, Fate.DISCARDED, "ann")
    outcome = await run(desk)
    assert (outcome.released, outcome.settled) == ([KEY], 0)
    assert world.log.bounds(AGAIN)[1] == 1
    await process.stop()


@simulated
async def test_a_redrive_that_is_run_again_after_it_died_repeats_nothing() -> None:
    world, process, desk = await held("b")
    world.refused.clear()
    settle = desk.settle

    def dies(*_: object) -> None:
        raise KeyError

    desk.settle = dies  # type: ignore[method-assign]
    with pytest.raises(KeyError):
        await run(desk)
    await until(world.settled)
    desk.settle = settle  # type: ignore[method-assign]
    assert (await run(desk)).released == [KEY]
    assert world.receiver.delivered == ["a", "b"]
    assert world.offsets.at("crm", P0) == 2
    await process.stop()


@simulated
async def test_of_a_record_of_several_what_is_behind_the_refused_event_waits_and_follows_it() -> None:
    """Also when the process dies between the hold and the commit: each event is one of its own."""
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
    desk = FakeDesk(world)
    assert {letter.facts["event-id"] for letter in desk.letters()} == {"a", "b", "c"}
    world.refused.clear()
    assert (await run(desk)).released == [KEY]
    assert world.receiver.delivered == ["a", "x", "x", "a", "b", "c"]
    await process.stop()
