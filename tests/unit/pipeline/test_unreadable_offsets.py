"""Offsets without a readable record: every cursor passes them, and none passes a record it has not taken."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

import pytest
from structlog.testing import capture_logs

from bridge.core import completion_map
from bridge.errors import KafkaUnavailable, SchemaNeeded
from bridge.model import Batch, Committed, Event, Partition, Record
from bridge.telemetry import events
from tests.support.fake_group import FakeReader
from tests.support.fakes import AGAIN, DECODER, P0, P1, HeldAnswers, Log
from tests.support.path import Plan, Process, World
from tests.support.simulated import simulated, until


@pytest.mark.parametrize("offsets", [1, 2, 5_000])
@simulated
async def test_markers_and_aborted_records_at_the_end_leave_no_lag(offsets: int) -> None:
    world = World()
    world.log.add("a")
    process = Process(world).start()
    await until(lambda: world.offsets.at("crm") == 1)
    world.log.add_unreadable(offsets)
    await until(lambda: world.offsets.at("crm") == 1 + offsets)
    assert process.reader.fenced[-1] == {P0: 1 + offsets}, "the group's own offset moves too"
    await process.stop()


@simulated
async def test_a_log_that_never_held_an_event_leaves_no_lag() -> None:
    world = World(log=Log(P0, AGAIN))
    world.log.add_unreadable(7)
    world.log.add_unreadable(3, AGAIN)
    process = Process(world, P0, AGAIN).start()
    await until(lambda: world.offsets.at("crm") == 7 and world.offsets.at("crm", AGAIN) == 3)
    await process.stop()


class NeverIdle(FakeReader):
    """A reader whose every poll takes a moment, and returns a record of the busy partition."""

    async def read(self, full: Collection[Partition], timeout_s: float) -> Sequence[Batch]:
        await asyncio.sleep(0.01)
        self._log.add(f"busy-{self._log.bounds(P0)[1]}")
        batches = await super().read(full, timeout_s)
        assert batches
        return batches


@simulated
async def test_a_quiet_partition_passes_its_markers_while_every_poll_returns_records_of_another() -> None:
    world = World(log=Log(P0, P1))
    world.log.add_unreadable(4, P1)
    process = Process(world, P0, P1)
    process.reader.__class__ = NeverIdle
    process.start()
    await until(lambda: world.offsets.at("crm", P1) == 4, within_s=60)
    await process.stop()


@simulated
async def test_the_cursors_stop_at_an_open_transaction_and_pass_it_when_it_ends() -> None:
    world = World()
    world.log.add("a")
    world.log.begin_transaction()
    world.log.add("b")
    process = Process(world).start()
    await until(lambda: world.offsets.at("crm") == 1)
    await asyncio.sleep(60)
    assert (world.offsets.at("crm"), world.receiver.delivered) == (1, ["a"])
    world.log.end_transaction(commit=True)
    await until(lambda: world.offsets.at("crm") == 3)
    assert world.receiver.delivered == ["a", "b"]
    world.log.begin_transaction()
    world.log.add("c")
    world.log.end_transaction(commit=False)
    await until(lambda: world.offsets.at("crm") == 5)
    assert world.receiver.delivered == ["a", "b"]
    await process.stop()


@simulated
async def test_an_endpoint_that_starts_at_the_latest_record_gets_the_transaction_that_was_open() -> None:
    world = World({"crm": Plan(start="latest")})
    world.log.add("a")
    world.log.begin_transaction()
    world.log.add("b")
    process = Process(world).start()
    await until(lambda: world.offsets.at("crm") == 1)
    world.log.end_transaction(commit=True)
    await until(lambda: world.offsets.at("crm") == 3)
    assert world.receiver.delivered == ["b"]
    await process.stop()


@simulated
async def test_an_open_event_keeps_the_offset_and_the_markers_after_it_are_passed_with_it() -> None:
    world = World()
    world.receiver.answer = gate = HeldAnswers("a")
    world.log.add("a")
    world.log.add_unreadable(3)
    process = Process(world).start()
    await until(lambda: world.receiver.in_flight)
    await asyncio.sleep(5)
    assert world.offsets.at("crm") == 0
    gate.open("a")
    await until(lambda: world.offsets.at("crm") == 4)
    await process.stop()


@simulated
async def test_a_detached_cursor_is_not_moved_with_the_others_and_catches_up_past_the_markers() -> None:
    world = World({"slow": Plan(window=2), "fast": Plan()})
    world.receivers["slow"].answer = gate = HeldAnswers("a", "b")
    for number, name in enumerate("abcdef"):
        world.log.add(name, entity=f"e{number}")
    world.log.add_unreadable(5)
    process = Process(world, max_batch=2).start()
    await until(lambda: world.offsets.at("fast") == 11)
    (slow,) = process.checkpoints.of("slow")
    await asyncio.sleep(5)
    assert (slow.attached, slow.position) == (False, 2)
    gate.open("a")
    gate.open("b")
    await until(lambda: world.offsets.at("slow") == 11)
    assert world.receivers["slow"].delivered == list("abcdef")
    await process.stop()


@simulated
async def test_a_full_cursor_that_missed_nothing_passes_markers_without_a_second_reader() -> None:
    world = World({"slow": Plan(window=2)})
    world.receivers["slow"].answer = gate = HeldAnswers("a", "b")
    for number, name in enumerate("ab"):
        world.log.add(name, entity=f"e{number}")
    process = Process(world).start()
    world.log.add_unreadable(5)
    await until(lambda: len(world.receiver.in_flight) == 2)
    gate.open("a")
    gate.open("b")
    await until(lambda: world.offsets.at("slow") == 7)
    (slow,) = process.checkpoints.of("slow")
    assert slow.attached
    await process.stop()


class UnknownSchema:
    """A decoder without the schema of the type ``New``, and a registry that answers once it is ``up``."""

    def __init__(self) -> None:
        self.up = asyncio.Event()

    def decode(self, record: Record) -> tuple[Event, ...]:
        event = DECODER.decode(record)[0]
        if event.type == "New" and not self.up.is_set():
            raise SchemaNeeded("orders", "New")
        return (event,)

    async def learn(self, needed: SchemaNeeded) -> None:
        await self.up.wait()


@simulated
async def test_a_cursor_that_waits_for_a_schema_passes_what_is_before_the_record_and_not_the_record() -> None:
    schemas = UnknownSchema()
    world = World(log=Log(P0, P1), decoder=schemas, learn=schemas.learn)
    world.log.add("a")
    world.log.add_unreadable(2)
    world.log.add("b", type="New")
    world.log.add_unreadable(4)
    process = Process(world, P0, P1, max_batch=1).start()
    await until(lambda: process.pipeline.without_schema)
    for number in range(20):
        world.log.add(f"other-{number}", partition=P1)
        await asyncio.sleep(0.1)
    assert world.offsets.at("crm") in {1, 3}
    schemas.up.set()
    await until(lambda: world.offsets.at("crm") == 8)
    assert [one for one in world.receiver.delivered if one in "ab"] == ["a", "b"]
    await process.stop()


class FailsAfterReading(FakeReader):
    """A client that reads a batch, moves past it, and then fails instead of returning it."""

    failures = 0

    async def read(self, full: Collection[Partition], timeout_s: float) -> Sequence[Batch]:
        batches = await super().read(full, timeout_s)
        if batches and self.failures:
            self.failures -= 1
            raise KafkaUnavailable("a fetch of another partition failed")
        return batches


@simulated
async def test_records_that_a_failed_read_had_passed_are_read_again() -> None:
    world = World()
    process = Process(world)
    process.reader.__class__ = FailsAfterReading
    assert isinstance(process.reader, FailsAfterReading)
    process.reader.failures = 2
    world.log.add("a")
    world.log.add("b")
    process.start()
    await until(lambda: world.offsets.at("crm") == 2)
    assert world.receiver.delivered == ["a", "b"]
    await process.stop()


@simulated
async def test_nothing_is_reported_as_undelivered_if_only_passed_offsets_are_deleted() -> None:
    """Retention may delete a log to its end, markers included."""
    world = World()
    world.log.add("a")
    world.log.add_unreadable(4)
    with capture_logs() as logs:
        process = Process(world).start()
        await until(lambda: world.offsets.at("crm") == 5)
        world.log.delete_below(P0, 5)
        await asyncio.sleep(5)
        await process.stop()
        process = Process(world).start()
        world.log.add("b")
        await until(lambda: world.offsets.at("crm") == 6)
        await process.stop()
    assert [line for line in logs if line["event"] == events.RECORDS_DELETED] == []


@simulated
async def test_only_the_offsets_that_an_endpoint_had_not_settled_are_reported_as_deleted() -> None:
    world = World()
    text, _ = completion_map.encode(2, [2, 5, 20], 30)
    world.offsets.committed["g.crm", P0] = Committed(2, text)
    world.log.add_unreadable(40)
    world.log.delete_below(P0, 33)
    with capture_logs() as logs:
        process = Process(world).start()
        await until(lambda: world.offsets.at("crm") == 40)
        await process.stop()
    (line,) = [line for line in logs if line["event"] == events.RECORDS_DELETED]
    assert (line["offsets_lost"], line["log_start"]) == (3 + 3, 33)
    assert "no longer known" in line["cause"], "they may have held no event"
