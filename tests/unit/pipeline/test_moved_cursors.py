"""An operator moves the cursor of an endpoint while the bridge delivers: back, or forward."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from bridge.core.moves import Move
from bridge.model import Partition
from tests.support.fakes import P0, P1, HeldAnswers, Log, Sent
from tests.support.path import Plan, Process, World
from tests.support.simulated import simulated, until

NAMES = [f"n{number}" for number in range(20)]


def move(
    offset: int, *, back: bool, id: str = "m1", endpoint: str = "crm", partition: Partition = P0
) -> Move:
    return Move(id, endpoint, partition, back, offset, "2026-11-27T09:00:00Z", "a test")


def world_of(plans: dict[str, Plan] | None = None, entities: int = 4) -> World:
    world = World(plans or {"crm": Plan()})
    for number, name in enumerate(NAMES):
        world.log.add(name, entity=f"e{number % entities}")
    return world


def in_order(ids: list[str], entities: int = 4) -> bool:
    return all(
        (mine := [int(id[1:]) for id in ids if int(id[1:]) % entities == entity]) == sorted(mine)
        for entity in range(entities)
    )


@simulated
async def test_a_rewind_sends_everything_again_from_there_on_in_order() -> None:
    world = world_of({"crm": Plan(), "shop": Plan()})
    process = Process(world).follow_moves().start()
    await until(lambda: world.offsets.at("crm") == world.offsets.at("shop") == 20)
    world.moves.put(move(8, back=True))
    await until(lambda: len(world.receivers["crm"].ids) == 32 and world.offsets.at("crm") == 20)
    again = world.receivers["crm"].ids[20:]
    assert sorted(again) == sorted(NAMES[8:])
    assert in_order(again)
    assert len(world.receivers["shop"].ids) == 20, "the other endpoint gets nothing again"
    assert not world.moves.now.all(), "the record of the move is deleted"
    await process.stop()
    second = Process(world).follow_moves().start()
    await asyncio.sleep(60)
    assert len(world.receivers["crm"].ids) == 32
    await second.stop()


@simulated
async def test_a_kill_just_after_a_rewind_leaves_nothing_of_it_unsent() -> None:
    """The journal still has what settled before the rewind: it says nothing about the cursor that follows."""
    world = world_of()
    process = Process(world, commit_interval_s=1000.0).follow_moves().start()
    await until(lambda: len(world.receiver.delivered) == 20)
    world.receiver.answer = HeldAnswers(*NAMES[9:])
    world.moves.put(move(8, back=True))
    await until(lambda: world.receiver.delivered.count("n8") == 2 and world.offsets.at("crm") == 8)
    await process.crash()
    before = len(world.receiver.delivered)
    world.receiver.answer = HeldAnswers()
    second = Process(world).follow_moves().start()
    await until(lambda: world.offsets.at("crm") == 20)
    assert sorted(world.receiver.delivered[before:]) == sorted(NAMES[9:])
    await second.stop()


@simulated
async def test_a_skip_sends_nothing_before_its_place_and_everything_after_it() -> None:
    world = world_of()

    async def refuse(sent: Sent) -> int:
        return 503

    world.receiver.answer = refuse
    process = Process(world).follow_moves().start()
    await until(lambda: len(world.receiver.ids) >= 8)
    world.moves.put(move(12, back=False))
    await until(lambda: world.offsets.at("crm") == 12)
    sent = len(world.receiver.sent)

    async def accept(sent: Sent) -> int:
        return 200

    world.receiver.answer = accept
    await until(lambda: world.offsets.at("crm") == 20)
    assert set(world.receiver.delivered) - set(NAMES[12:]) <= set(world.receiver.ids[:sent])
    assert set(NAMES[12:]) <= set(world.receiver.delivered)
    assert Counter(world.receiver.delivered).most_common(1)[0][1] == 1
    await process.stop()


@simulated
async def test_a_skip_to_the_end_settles_all_that_waits_and_later_events_are_sent() -> None:
    world = world_of()
    world.receiver.answer = HeldAnswers(*NAMES)
    process = Process(world).follow_moves().start()
    await until(lambda: len(world.receiver.in_flight) == 4)
    world.moves.put(move(20, back=False))
    await until(lambda: world.offsets.at("crm") == 20)
    for sent in list(world.receiver.in_flight):
        world.receiver.answer.open(sent.event_id)  # what is in flight ends without an effect
    world.log.add("later", entity="e0")
    await until(lambda: world.offsets.at("crm") == 21)
    assert "later" in world.receiver.delivered
    assert len(world.receiver.ids) == 5
    await process.stop()


@simulated
async def test_a_rewind_keeps_what_it_sends_again_behind_what_is_in_flight() -> None:
    """Two requests about one entity are never in flight at the same time."""
    world = world_of(entities=1)
    world.receiver.answer = HeldAnswers("n10")
    overlaps: list[str] = []
    world.receiver.on_send = lambda sent: overlaps.extend(one.event_id for one in world.receiver.in_flight)
    process = Process(world).follow_moves().start()
    await until(lambda: [sent.event_id for sent in world.receiver.in_flight] == ["n10"])
    world.moves.put(move(3, back=True))
    await until(lambda: not world.moves.now.all())
    await asyncio.sleep(5)
    assert world.receiver.ids == NAMES[:11]
    gate = world.receiver.answer
    assert isinstance(gate, HeldAnswers)
    gate.open("n10")
    await until(lambda: world.offsets.at("crm") == 20)
    assert world.receiver.ids == [*NAMES[:11], *NAMES[3:]]
    assert not overlaps
    await process.stop()


@pytest.mark.parametrize("back", [True, False])
@simulated
async def test_a_move_in_the_wrong_direction_changes_nothing(back: bool) -> None:
    world = world_of()
    process = Process(world).follow_moves().start()
    await until(lambda: world.offsets.at("crm") == 20)
    world.moves.put(move(20 if back else 5, back=back))
    await until(lambda: not world.moves.now.all())
    await asyncio.sleep(5)
    assert (world.offsets.at("crm"), len(world.receiver.ids)) == (20, 20)
    await process.stop()


@simulated
async def test_a_rewind_to_a_place_ahead_of_the_cursor_loses_nothing() -> None:
    world = world_of(entities=1)
    world.receiver.answer = HeldAnswers("n10")
    process = Process(world).follow_moves().start()
    await until(lambda: [sent.event_id for sent in world.receiver.in_flight] == ["n10"])
    world.moves.put(move(15, back=True))
    await until(lambda: not world.moves.now.all())
    assert isinstance(world.receiver.answer, HeldAnswers)
    world.receiver.answer.open("n10")
    await until(lambda: world.offsets.at("crm") == 20)
    assert world.receiver.ids == NAMES
    await process.stop()


@simulated
async def test_a_skip_over_an_event_does_not_send_its_duplicate_from_further_on() -> None:
    """The cursor catches up by itself, and its dedupe window is to cover what it skips, too."""
    world = World({"crm": Plan(window=2), "shop": Plan()})
    for name in [*NAMES[:8], "twice", *NAMES[8:12], "twice", *NAMES[12:]]:
        world.log.add(name)
    world.receivers["crm"].answer = gate = HeldAnswers("n0", "n3")
    process = Process(world, max_batch=2).follow_moves().start()
    await until(lambda: world.offsets.at("shop") == 22)
    gate.open("n0")  # what follows is read by the cursor's own reader
    await until(lambda: [sent.event_id for sent in world.receivers["crm"].in_flight] == ["n3"])
    world.moves.put(move(12, back=False))
    await until(lambda: not world.moves.now.all())
    gate.open("n3")
    await until(lambda: world.offsets.at("crm") == 22)
    assert world.receivers["crm"].ids == [*NAMES[:4], *NAMES[11:]]
    await process.stop()


@simulated
async def test_a_move_without_a_bridge_waits_for_the_one_that_gets_the_partition() -> None:
    world = world_of()
    first = Process(world).start()
    await until(lambda: world.offsets.at("crm") == 20)
    await first.stop()
    world.moves.put(move(15, back=True))
    second = Process(world).follow_moves().start()
    await until(lambda: len(world.receiver.ids) == 25 and world.offsets.at("crm") == 20)
    assert not world.moves.now.all()
    await second.stop()


@simulated
async def test_a_move_belongs_to_the_owner_of_the_partition() -> None:
    world = World(log=Log(P0, P1))
    for name in NAMES:
        world.log.add(name, partition=P0, entity=name)
        world.log.add(f"b{name}", partition=P1, entity=name)
    pair = [Process(world, each).follow_moves().start() for each in (P0, P1)]
    await until(lambda: world.offsets.at("crm", P0) == world.offsets.at("crm", P1) == 20)
    world.moves.put(move(18, back=True, partition=P1))
    await until(lambda: len(world.receiver.ids) == 42)
    assert sorted(world.receiver.ids[40:]) == ["bn18", "bn19"]
    for process in pair:
        await process.stop()


@simulated
async def test_a_kill_before_the_record_is_deleted_repeats_and_loses_nothing() -> None:
    world = world_of()
    process = Process(world).follow_moves().start()
    await until(lambda: world.offsets.at("crm") == 20)
    world.moves.trouble = 1000
    world.moves.put(move(10, back=True))
    await until(lambda: len(world.receiver.ids) >= 23)
    await process.crash()
    world.moves.trouble = 0
    second = Process(world).follow_moves().start()
    await until(lambda: not world.moves.now.all())
    await until(lambda: world.offsets.at("crm") == 20)
    again = Counter(world.receiver.ids[20:])
    assert set(again) == set(NAMES[10:])
    await second.stop()


@simulated
async def test_while_the_record_cannot_be_deleted_the_cursor_is_moved_once() -> None:
    world = world_of()
    process = Process(world).follow_moves().start()
    await until(lambda: world.offsets.at("crm") == 20)
    world.moves.trouble = 5
    world.moves.put(move(10, back=True))
    await until(lambda: not world.moves.now.all())
    await until(lambda: world.offsets.at("crm") == 20)
    await asyncio.sleep(30)
    assert len(world.receiver.ids) == 30
    await process.stop()


@simulated
async def test_a_move_waits_in_the_topic_until_the_broker_has_the_moved_cursor() -> None:
    world = world_of()
    process = Process(world).follow_moves().start()
    await until(lambda: world.offsets.at("crm") == 20)
    world.offsets.trouble.extend(["no coordinator"] * 1000)
    world.moves.put(move(10, back=True))
    await until(lambda: len(world.receiver.ids) >= 25)
    await process.crash()
    assert world.moves.now.all()
    world.offsets.trouble.clear()
    second = Process(world).follow_moves().start()
    await until(lambda: not world.moves.now.all() and world.offsets.at("crm") == 20)
    assert set(NAMES[10:]) <= set(world.receiver.ids[25:])
    await second.stop()


@simulated
async def test_the_last_of_several_moves_holds() -> None:
    world = world_of()
    first = Process(world).start()
    await until(lambda: world.offsets.at("crm") == 20)
    await first.stop()
    world.moves.put(move(3, back=True))
    world.moves.put(move(15, back=True, id="m2"))
    second = Process(world).follow_moves().start()
    await until(lambda: not world.moves.now.all())
    await until(lambda: world.offsets.at("crm") == 20)
    assert sorted(world.receiver.ids[20:]) == NAMES[15:]
    await second.stop()


@simulated
async def test_a_rebalance_in_the_middle_of_a_rewind_keeps_it() -> None:
    world = world_of()
    process = Process(world).follow_moves().start()
    await until(lambda: world.offsets.at("crm") == 20)
    world.moves.put(move(2, back=True))
    await process.revoke()
    process.assign()
    await until(lambda: not world.moves.now.all())
    await until(lambda: world.offsets.at("crm") == 20 and len(world.receiver.ids) >= 38)
    assert set(NAMES[2:]) <= set(world.receiver.ids[20:])
    process.raise_if_dead()
    await process.stop()
