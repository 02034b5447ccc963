"""The path during crashes, revokes, stops, broker outages and lost records."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Collection, Mapping

from structlog.testing import capture_logs

from bridge.errors import CommitError, KafkaUnavailable
from bridge.model import Committed, Partition
from bridge.telemetry import events
from tests.support.fake_group import FakeJournal, FakeOffsets
from tests.support.fakes import P0, HeldAnswers, Sent
from tests.support.path import Plan, Process, World
from tests.support.plans import MONTH_S
from tests.support.simulated import simulated, until


async def always_503(_: Sent) -> int:
    return 503


@simulated
async def test_a_parked_record_is_not_parked_again_after_a_restart() -> None:
    world = World()
    world.receiver.answer = HeldAnswers("a")
    world.log.add("a")
    world.log.add("x", raw=b"{", entity="e2")
    process = Process(world).start()
    await until(lambda: world.parking.parked and world.offsets.map_of("crm"))
    await process.crash()
    world.receiver.answer = HeldAnswers()
    process = Process(world).start()
    await until(lambda: world.offsets.at("crm") == 2)
    assert len(world.parking.parked) == 1
    await process.stop()


@simulated
async def test_after_a_crash_only_uncommitted_events_are_sent_again() -> None:
    world = World()
    world.receiver.answer = HeldAnswers("b")
    for number, name in enumerate("abcd"):
        world.log.add(name, entity=f"e{number}")
    process = Process(world).start()
    await until(lambda: world.offsets.at("crm") == 1 and world.receiver.delivered == ["a", "c", "d"])
    await process.crash()
    world.receiver.answer = HeldAnswers()
    process = Process(world).start()
    await until(lambda: world.offsets.at("crm") == 4)
    assert world.receiver.ids == ["a", "b", "c", "d", "b"]
    await process.stop()


@simulated
async def test_an_uncommitted_delivery_is_repeated_with_the_same_id() -> None:
    world = World()
    world.log.add("a")
    process = Process(world, commit_interval_s=1000).start()
    await until(lambda: world.receiver.delivered)
    await process.crash()
    world.journal = FakeJournal()
    process = Process(world).start()
    await until(lambda: world.offsets.at("crm") == 1)
    ids = {dict(sent.request.headers)[b"webhook-id"] for sent in world.receiver.sent}
    assert world.receiver.ids == ["a", "a"]
    assert len(ids) == 1
    await process.stop()


@simulated
async def test_an_uncommitted_delivery_is_not_repeated_on_the_same_disk() -> None:
    world = World()
    world.log.add("a")
    process = Process(world, commit_interval_s=1000).start()
    await until(lambda: world.receiver.delivered)
    await process.crash()
    process = Process(world).start()
    await until(lambda: world.offsets.at("crm") == 1)
    assert world.receiver.ids == ["a"]
    await process.stop()


@simulated
async def test_attempts_before_a_crash_count_afterwards() -> None:
    """Five attempts are five in all, not five per process."""
    random.seed(1)  # of the jitter: no retry within the 0.3 s in which the failure is committed
    world = World({"crm": Plan(max_attempts=5, base_s=1000, max_age_s=MONTH_S)})
    world.receiver.answer = always_503
    world.log.add("a")
    for _ in range(3):
        process = Process(world).start()
        seen = len(world.receiver.sent)
        await until(lambda seen=seen: len(world.receiver.sent) > seen or world.parking.parked)  # type: ignore[misc]
        await asyncio.sleep(0.3)
        await process.crash()
    process = Process(world).start()
    await until(lambda: world.parking.parked)
    assert len(world.receiver.sent) == 5
    await process.stop()


@simulated
async def test_an_endpoint_that_falls_behind_twice_skips_the_duplicates_in_between() -> None:
    world = World({"crm": Plan(window=1), "erp": Plan()})
    crm, erp = world.receivers["crm"], world.receivers["erp"]
    crm.answer = gate = HeldAnswers("a", "d")
    process = Process(world).start()

    async def fall_behind(held: str, missed: str) -> None:
        world.log.add(held, entity=held)
        await until(lambda: crm.in_flight)
        world.log.add(missed, entity=missed)
        await until(lambda: missed in erp.delivered)

    await fall_behind("a", "b")
    gate.open("a")
    await until(lambda: crm.delivered == ["a", "b"])
    world.log.add("c", entity="c")
    await until(lambda: "c" in crm.delivered)
    await fall_behind("d", "e")
    world.log.add("c", entity="c")
    gate.open("d")
    await until(lambda: world.offsets.at("crm") == 6)
    assert crm.delivered == ["a", "b", "c", "d", "e"]
    await process.stop()


@simulated
async def test_a_recreated_topic_is_read_from_its_beginning() -> None:
    world = World()
    for name in "abcdefgh":
        world.log.add(name)
    process = Process(world).start()
    await until(lambda: world.offsets.at("crm") == 8)
    world.log.recreate(P0)
    for name in "xba":  # further on than before: no duplicates of what is gone
        world.log.add(name)
    await until(lambda: world.receiver.delivered[8:] == ["x", "b", "a"])
    await process.stop()


@simulated
async def test_a_revoke_during_a_batch_finishes_requests_in_flight_and_drops_the_rest() -> None:
    world = World({"crm": Plan(concurrency=1)})
    world.receiver.answer = gate = HeldAnswers("a")
    for number, name in enumerate("abc"):
        world.log.add(name, entity=f"e{number}")
    process = Process(world).start()
    await until(lambda: world.receiver.in_flight)
    revoking = asyncio.create_task(process.revoke())
    await asyncio.sleep(1)
    assert not revoking.done(), "it waits for the request in flight"
    gate.open("a")
    await revoking
    assert world.receiver.ids == ["a"]
    assert world.offsets.at("crm") == 1
    process.assign()
    await until(lambda: world.offsets.at("crm") == 3)
    assert world.receiver.ids == ["a", "b", "c"]
    await process.stop()


@simulated
async def test_a_revoke_waits_no_longer_than_its_deadline_and_the_late_answer_is_not_committed() -> None:
    world = World()
    world.receiver.answer = gate = HeldAnswers("a")
    world.log.add("a")
    process = Process(world, drain_timeout_s=3).start()
    await until(lambda: world.receiver.in_flight)
    before = asyncio.get_running_loop().time()
    with capture_logs() as logs:
        await process.revoke()
    assert 2.9 < asyncio.get_running_loop().time() - before < 3.2
    assert [one["unfinished"] for one in logs if one["event"] == events.BRIDGE_DRAINED] == [1]
    gate.open("a")
    await asyncio.sleep(5)
    assert world.offsets.at("crm") == 0
    process.assign()
    await until(lambda: world.offsets.at("crm") == 1)
    assert world.receiver.ids == ["a", "a"]
    await process.stop()


@simulated
async def test_a_stop_during_a_revoke_does_not_wait_for_the_deadline() -> None:
    """Two drains wait for the same request; both go on when it is done."""
    world = World()
    world.receiver.answer = gate = HeldAnswers("a")
    world.log.add("a")
    process = Process(world, drain_timeout_s=500).start()
    await until(lambda: world.receiver.in_flight)
    before = asyncio.get_running_loop().time()
    revoking = asyncio.create_task(process.revoke())
    await asyncio.sleep(1)
    stopping = asyncio.create_task(process.stop())
    await asyncio.sleep(1)
    gate.open("a")
    await asyncio.gather(revoking, stopping)
    assert asyncio.get_running_loop().time() - before < 10
    assert world.offsets.at("crm") == 1


@simulated
async def test_nothing_is_lost_or_repeated_while_the_dedupe_window_cannot_be_covered() -> None:
    world = World()
    for name in ("a", "b", "a", "c"):
        world.log.add(name)
    process = Process(world)
    process.window.trouble.extend([KafkaUnavailable("away"), KafkaUnavailable("away")])
    process.start()
    await until(lambda: world.offsets.at("crm") == 4)
    assert world.receiver.ids == ["a", "b", "c"]
    await process.stop()


@simulated
async def test_a_stop_while_the_dedupe_window_is_not_covered_enqueues_nothing() -> None:
    """An index that does not cover the window would treat a duplicate as the first of its key."""
    world = World()
    for name in ("a", "a"):
        world.log.add(name)
    process = Process(world)
    process.window.trouble.extend([KafkaUnavailable("away")] * 1000)
    process.start()
    await until(lambda: len(process.window.trouble) < 998)
    await process.stop()
    assert world.receiver.ids == []
    assert world.offsets.at("crm") == 0


@simulated
async def test_the_path_waits_for_an_unavailable_broker() -> None:
    world = World()
    process = Process(world)
    process.reader.trouble.extend([KafkaUnavailable("away"), CommitError("away"), KafkaUnavailable("away")])
    world.log.add("a")
    with capture_logs() as logs:
        process.start()
        await until(lambda: world.offsets.at("crm") == 1)
    assert len([one for one in logs if one["event"] == events.SOURCE_FAILED]) == 1, "said once a minute"
    await process.stop()


@simulated
async def test_records_that_retention_deleted_are_reported_and_skipped() -> None:
    """Only for the endpoint that lagged: the other one had settled them."""
    world = World({"crm": Plan(window=2), "erp": Plan()})
    world.receivers["crm"].answer = gate = HeldAnswers("a", "b")
    for number, name in enumerate("abcdefgh"):
        world.log.add(name, entity=f"e{number}")
    process = Process(world, max_batch=2).start()
    await until(lambda: world.offsets.at("erp") == 8)
    world.log.delete_below(P0, 6)
    with capture_logs() as logs:
        gate.open("a")
        gate.open("b")
        await until(lambda: world.offsets.at("crm") == 8)
    lost = [one for one in logs if one["event"] == events.RECORDS_DELETED]
    assert [(one["endpoint"], one["offsets_lost"], one["log_start"]) for one in lost] == [("crm", 4, 6)]
    assert world.receivers["crm"].delivered == ["a", "b", "g", "h"]
    await process.stop()


@simulated
async def test_no_loss_is_reported_for_an_endpoint_that_had_settled_the_deleted_records() -> None:
    """The reader starts at the lowest cursor; retention may overtake that one and not the other.

    Of the three deleted records, the one that lagged had settled two.
    """
    world = World({"behind": Plan(), "ahead": Plan()})
    world.receivers["behind"].answer = HeldAnswers("a")
    for number, name in enumerate("abcdef"):
        world.log.add(name, entity=f"e{number}")
    process = Process(world).start()
    await until(lambda: world.offsets.at("ahead") == 6)
    await process.crash()
    process = Process(world)
    begin = process.reader.start_at

    def begin_too_late(positions: Mapping[Partition, int]) -> None:
        begin(positions)
        world.log.delete_below(P0, 3)

    process.reader.start_at = begin_too_late  # type: ignore[method-assign]
    with capture_logs() as logs:
        process.start()
        world.log.add("g", entity="e7")
        await until(lambda: world.offsets.at("ahead") == 7)
    lost = [one for one in logs if one["event"] == events.RECORDS_DELETED]
    assert [(one["endpoint"], one["offsets_lost"]) for one in lost] == [("behind", 1)]
    await process.stop()


class SlowOffsets(FakeOffsets):
    """While the first answer is on its way, the partition goes to another pod, which moves the cursor."""

    process: Process | None = None

    async def fetch(self, group: str, partitions: Collection[Partition] | None) -> dict[Partition, Committed]:
        found = await super().fetch(group, partitions)
        process, self.process = self.process, None
        if process is not None:
            await process.revoke()
            self.committed["g.crm", P0] = Committed(2, "")
            process.assign()
        return found


@simulated
async def test_cursors_read_for_an_earlier_assignment_are_not_used() -> None:
    world = World(offsets=(offsets := SlowOffsets()))
    for name in "abc":
        world.log.add(name)
    offsets.process = process = Process(world)
    process.start()
    await until(lambda: world.offsets.at("crm") == 3)
    assert world.receiver.ids == ["c"]
    await process.stop()
