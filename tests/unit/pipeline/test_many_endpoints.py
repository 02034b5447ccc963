"""Many endpoints in many partitions: what is at rest costs nothing, and commits go round among the others."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping

import pytest

from bridge.model import Committed, Partition
from bridge.pipeline import changed_cursors, group_offsets
from bridge.pipeline.changed_cursors import endpoints_per_commit
from tests.support.fakes import TOPIC, FakeWindow, Log
from tests.support.path import Process, World
from tests.support.plans import Plan
from tests.support.simulated import simulated, until

ENDPOINTS, PARTITIONS = 60, 10
LOG = [Partition(TOPIC, number) for number in range(PARTITIONS)]
BEAT_S = 0.2
PER_BEAT = endpoints_per_commit(BEAT_S)
SWEEP_S = (ENDPOINTS // PER_BEAT + 2) * BEAT_S


class Stage:
    """A process with many endpoints, each with a type of its own, and the commits that it sends."""

    def __init__(self) -> None:
        plans = {f"e{number}": Plan((f"Type{number}",), concurrency=10) for number in range(ENDPOINTS)}
        self.world = World(plans, log=Log(*LOG))
        self.commits: list[tuple[float, str]] = []
        self.world.offsets.on_commit = self._note

    def _note(self, group: str, offsets: Mapping[Partition, Committed]) -> None:
        self.commits.append((asyncio.get_running_loop().time(), group))

    async def start(self) -> Process:
        """Return a process that has its assignment, and whose first cursors are committed."""
        process = Process(self.world, *LOG, commit_interval_s=BEAT_S, max_batch=50).start()
        await asyncio.sleep(SWEEP_S)
        process.raise_if_dead()
        self.commits.clear()
        return process

    def publish(self, *types: int, partition: Partition = LOG[0]) -> None:
        for number in types:
            self.world.log.add(f"id{number}", type=f"Type{number}", entity=f"x{number}", partition=partition)

    def delivered(self) -> int:
        return sum(len(receiver.delivered) for receiver in self.world.receivers.values())

    def per_beat(self) -> list[int]:
        """Return how many commits were sent in each interval in which any was."""
        return list(Counter(int(at / BEAT_S + 0.5) for at, _ in self.commits).values())


def endpoint_tasks() -> list[str]:
    names = (task.get_name() for task in asyncio.all_tasks())
    return sorted(name for name in names if name.startswith("e") and name[1:2].isdigit())


@simulated
async def test_endpoints_at_rest_have_no_workers_and_send_no_commits() -> None:
    stage = Stage()
    process = await stage.start()
    assert endpoint_tasks() == []
    await asyncio.sleep(10)
    assert stage.commits == []
    await process.stop()


def test_the_member_group_gets_the_offsets_of_all_partitions_soon_after_the_last_event(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One commit looks at some partitions only; the others follow, also when no cursor changes any more."""
    monkeypatch.setattr(group_offsets, "_LOOKS", 1)

    @simulated
    async def check() -> None:
        stage = Stage()
        process = await stage.start()
        for partition in LOG:
            stage.publish(3, partition=partition)
        await asyncio.sleep(SWEEP_S + 2 * PARTITIONS * BEAT_S)
        latest: dict[Partition, int] = {}
        for fenced in process.reader.fenced:
            latest.update(fenced)
        assert latest == dict.fromkeys(LOG, 1)
        commits = len(process.reader.fenced)
        await asyncio.sleep(10)
        assert len(process.reader.fenced) == commits, "at rest, nothing is committed"
        await process.stop()

    check()


@simulated
async def test_an_endpoint_starts_as_many_workers_as_it_has_events_up_to_its_concurrency() -> None:
    stage = Stage()
    process = await stage.start()
    stage.publish(3)
    await asyncio.sleep(2)
    assert endpoint_tasks() == ["e3-0"], "one event needs one worker"
    busy = asyncio.Event()

    async def wait_for_all(sent: object) -> int:
        await busy.wait()
        return 200

    stage.world.receivers["e5"].answer = wait_for_all
    for _ in range(30):
        stage.publish(5, 5, 5)
    for number in range(30):
        stage.world.log.add(f"b{number}", type="Type5", entity=f"y{number}", partition=LOG[1])
    await asyncio.sleep(2)
    assert len(stage.world.receivers["e5"].in_flight) == 10
    assert len(endpoint_tasks()) == 11
    busy.set()
    await asyncio.sleep(2)
    await process.stop()


@simulated
async def test_workers_that_were_started_late_end_with_their_endpoint() -> None:
    stage = Stage()
    process = await stage.start()
    stage.publish(3, 4)
    await until(lambda: stage.delivered() == 2)
    left = {name: plan for name, plan in stage.world.plans.items() if name != "e3"}
    await process.reload(left)
    assert endpoint_tasks() == ["e4-0"]
    await process.stop()
    assert endpoint_tasks() == []


@simulated
async def test_a_retry_that_is_due_after_its_endpoint_left_starts_no_worker() -> None:
    stage = Stage()
    process = await stage.start()

    async def refuse(sent: object) -> int:
        return 503

    stage.world.receivers["e3"].answer = refuse
    stage.publish(3)
    await until(lambda: len(stage.world.receivers["e3"].sent) == 1)
    await process.reload({name: plan for name, plan in stage.world.plans.items() if name != "e3"})
    await asyncio.sleep(120)
    assert endpoint_tasks() == []
    assert len(stage.world.receivers["e3"].sent) == 1
    await process.stop()


@simulated
async def test_no_endpoint_opens_a_dedupe_window_unless_it_catches_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened: list[FakeWindow] = []
    original = FakeWindow.__init__

    def note(self: FakeWindow, *args: object) -> None:
        original(self, *args)  # type: ignore[arg-type]
        opened.append(self)

    monkeypatch.setattr(FakeWindow, "__init__", note)
    stage = Stage()
    process = await stage.start()
    assert len(opened) == 1, "that of the main reader"
    stuck = asyncio.Event()

    async def wait(sent: object) -> int:
        await stuck.wait()
        return 200

    stage.world.receivers["e7"].answer = wait
    for number in range(500):
        stage.world.log.add(f"c{number}", type="Type7", entity=f"z{number}")
    await asyncio.sleep(5)
    stuck.set()
    await asyncio.sleep(60)
    assert len(stage.world.receivers["e7"].delivered) == 500
    _, *sides = opened
    assert sides, "it caught up"
    assert all(window.is_closed for window in sides)
    await process.stop()


@simulated
async def test_the_broker_gets_a_bounded_number_of_commits_however_many_endpoints_change() -> None:
    stage = Stage()
    process = await stage.start()
    for partition in LOG:
        stage.publish(*range(ENDPOINTS), partition=partition)
    await asyncio.sleep(SWEEP_S * 2)
    assert max(stage.per_beat()) <= PER_BEAT
    assert {group for _, group in stage.commits} == {f"g.e{number}" for number in range(ENDPOINTS)}
    for endpoint in stage.world.plans:
        assert [stage.world.offsets.at(endpoint, partition) for partition in LOG] == [ENDPOINTS] * PARTITIONS
    sent = len(stage.commits)
    await asyncio.sleep(10)
    assert len(stage.commits) == sent, "nothing changed since"
    await process.stop()


@simulated
async def test_an_endpoint_with_many_events_does_not_delay_the_commits_of_others() -> None:
    stage = Stage()
    process = await stage.start()
    for beat in range(60):
        stage.world.log.add(f"n{beat}", type="Type0", entity="x")
        await asyncio.sleep(BEAT_S)
    by_group = Counter(group for _, group in stage.commits)
    assert max(by_group.values()) - min(by_group.values()) <= 2
    assert len(by_group) == ENDPOINTS, "the cursors of all move past what they do not select"
    await process.stop()


@simulated
async def test_a_kill_before_an_endpoint_had_its_turn_repeats_nothing_on_the_same_disk() -> None:
    stage = Stage()
    process = await stage.start()
    stage.publish(*range(ENDPOINTS))
    await asyncio.sleep(BEAT_S * 2.5)
    committed = {group for _, group in stage.commits}
    assert stage.delivered() == ENDPOINTS
    assert 0 < len(committed) < ENDPOINTS
    await process.crash()
    process = Process(stage.world, *LOG, commit_interval_s=BEAT_S).start()
    await asyncio.sleep(BEAT_S * 2.5)
    await process.crash()  # again, before the second process has committed all of it
    process = Process(stage.world, *LOG, commit_interval_s=BEAT_S).start()
    await asyncio.sleep(SWEEP_S)
    assert stage.delivered() == ENDPOINTS
    await process.stop()


@simulated
async def test_a_stop_commits_every_endpoint() -> None:
    stage = Stage()
    process = await stage.start()
    stage.publish(*range(ENDPOINTS))
    await until(lambda: stage.delivered() == ENDPOINTS)
    await process.stop()
    assert {stage.world.offsets.at(endpoint) for endpoint in stage.world.plans} == {ENDPOINTS}


@simulated
async def test_cursors_at_rest_at_one_offset_share_what_is_committed() -> None:
    stage = Stage()
    process = await stage.start()
    stage.publish(1)
    await asyncio.sleep(SWEEP_S)
    distinct = {id(committed) for committed in stage.world.offsets.committed.values()}
    assert len(distinct) <= PARTITIONS * 2
    await process.stop()


@simulated
async def test_the_lowest_offset_of_a_partition_is_computed_only_after_a_cursor_in_it_moved() -> None:
    stage = Stage()
    process = await stage.start()
    process.reader.fenced.clear()
    stage.publish(1, partition=LOG[4])
    await asyncio.sleep(SWEEP_S)
    assert {partition for fenced in process.reader.fenced for partition in fenced} == {LOG[4]}
    assert process.reader.fenced[-1] == {LOG[4]: 1}
    await process.stop()


def test_a_short_interval_takes_at_least_one_endpoint_and_a_long_one_what_the_rate_allows() -> None:
    assert endpoints_per_commit(0.001) == 1
    assert endpoints_per_commit(0.2) == 9
    assert endpoints_per_commit(2.0) == 2 * changed_cursors._REQUESTS_PER_S - 1
