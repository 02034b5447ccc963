"""Cursors of an assignment: where they start, what a commit contains, and in which order it happens."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from random import Random

import pytest
from structlog.testing import capture_logs

from bridge.core import completion_map
from bridge.core.cursor import Cursor
from bridge.core.memory_budget import MemoryBudget
from bridge.errors import CommitError
from bridge.model import Committed, Partition
from bridge.pipeline.checkpoints import Checkpoints
from bridge.pipeline.commits import REFRESH_S, Commits
from bridge.pipeline.cursor_loader import CursorLoader
from bridge.pipeline.cursor_start import CursorPolicy
from bridge.pipeline.new_endpoints import NewEndpoints
from bridge.telemetry import events
from bridge.telemetry.metrics import Metrics
from tests.support.fake_control import FakeControl
from tests.support.fake_group import FakeJournal, FakeOffsets, FakeReader
from tests.support.fakes import P0, P1, Log

BOUNDS = {P0: (10, 50)}


class MovedClock:
    """A clock that moves only when the test moves it."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def time(self) -> float:
        return self.now_s

    def monotonic(self) -> float:
        return self.now_s


class FixedLogs:
    """The logs of topics without ids."""

    def __init__(self, bounds: dict[Partition, tuple[int, int]]) -> None:
        self._bounds = bounds

    async def bounds(self, topics: Collection[str]) -> dict[Partition, tuple[int, int]]:
        return self._bounds

    async def offsets_at(self, partitions: Collection[Partition], timestamp_ms: int) -> dict[Partition, int]:
        return {}

    async def topic_ids(self, topics: Collection[str]) -> dict[str, str | None]:
        return {}


class Stage:
    """Checkpoints over fakes and a clock that the test moves. ``done`` lists the steps of each commit."""

    def __init__(self, *, window: int = 100, window_bytes: int = 1000, **starts: str) -> None:
        self.done: list[str] = []
        self.at_flush: Callable[[], object] = lambda: None
        self.lease = True
        self.offsets = FakeOffsets()
        self.member = FakeReader(Log())
        self.metrics = Metrics()
        self.clock = MovedClock()
        self.offsets.on_commit = lambda group, offsets: self.done.append(group)
        journal, control = FakeJournal(), FakeControl().open()
        starts = starts or {"crm": "earliest"}
        policies = {name: CursorPolicy(start, window, window_bytes) for name, start in starts.items()}
        self.checkpoints = Checkpoints(policies, journal)  # type: ignore[arg-type]
        self.commits = Commits(
            "g",
            self.checkpoints,
            offsets=self.offsets,
            fence=self,
            flush=self._flush,
            journal=journal,  # type: ignore[arg-type]
            metrics=self.metrics,
            clock=self.clock,
        )
        self._loader = CursorLoader(
            "g",
            policies,
            offsets=self.offsets,
            journal=journal,  # type: ignore[arg-type]
            beginnings=control.beginnings,
            budget=MemoryBudget(),
        )
        self._new_endpoints = NewEndpoints(
            "g",
            policies,
            offsets=self.offsets,
            beginnings=control.beginnings,
            remember=control.remember,
            clock=self.clock,
        )

    async def fence(self, lowest: Mapping[Partition, int]) -> None:
        self.done.append("fence")
        await self.member.fence(lowest)

    def holds_lease(self) -> bool:
        return self.lease

    async def _flush(self) -> None:
        self.done.append("flush")
        self.at_flush()

    async def load(self, bounds: dict[Partition, tuple[int, int]] = BOUNDS) -> dict[str, Cursor]:
        """Begin an assignment; the cursors of its first partition."""
        await self._new_endpoints.begin([], FixedLogs(bounds))
        loaded = await self._loader.load(bounds, {})
        self.checkpoints.install(loaded)
        return loaded.cursors[next(iter(bounds))]


async def test_a_commit_writes_the_history_then_passes_the_fence_then_commits_the_cursors() -> None:
    stage = Stage(crm="earliest", erp="latest")
    await stage.load()
    await stage.commits.commit()
    assert stage.done == ["flush", "fence", "g.crm", "g.erp"]


async def test_a_process_that_is_no_longer_a_member_commits_no_cursor() -> None:
    stage = Stage()
    await stage.load()
    stage.member.lost_place = True
    with pytest.raises(CommitError):
        await stage.commits.commit()
    assert stage.offsets.committed == {}
    stage.member.lost_place = False
    await stage.commits.commit()
    assert stage.offsets.at("crm") == 10


async def test_a_process_that_was_stopped_after_its_fence_commits_no_cursor() -> None:
    """SIGSTOP between the two: the broker accepted the fence, and has reassigned the partitions since."""
    stage = Stage()
    await stage.load()
    stage.lease = False
    with pytest.raises(CommitError):
        await stage.commits.commit()
    assert stage.done == ["flush", "fence"]


async def test_what_settles_while_the_history_is_written_is_committed_with_the_next_commit() -> None:
    stage = Stage()
    cursors = await stage.load()
    await stage.commits.commit()
    cursor = cursors["crm"]
    cursor.open(10, 1)
    cursor.open(11, 1)
    cursor.advance(12)
    cursor.settle(11, 1)

    def settle_meanwhile() -> None:
        if cursor.unsettled:
            cursor.settle(10, 1)

    stage.at_flush = settle_meanwhile
    await stage.commits.commit()
    assert stage.offsets.at("crm") == 10, "it settled after the history was flushed"
    await stage.commits.commit()
    assert stage.offsets.at("crm") == 12


async def test_a_new_endpoint_starts_where_its_policy_says() -> None:
    stage = Stage(old="earliest", new="latest")
    cursors = await stage.load()
    assert (cursors["old"].position, cursors["new"].position) == (10, 50)


async def test_the_first_cursor_is_committed_although_nothing_moved() -> None:
    """An endpoint that starts at the latest record must keep its position through a restart."""
    stage = Stage(new="latest")
    await stage.load()
    await stage.commits.commit()
    assert stage.offsets.committed == {("g.new", P0): Committed(50, "")}


async def test_an_unchanged_cursor_is_not_committed_again_but_the_history_is_written() -> None:
    """Failed attempts change no cursor. Their rows must not wait in memory until one changes."""
    stage = Stage()
    await stage.load()
    await stage.commits.commit()
    stage.done.clear()
    await stage.commits.commit()
    assert stage.done == ["flush"]


async def test_what_settles_before_the_first_commit_of_an_assignment_is_journaled_for_the_new_cursor() -> (
    None
):
    """A side reader may feed a new cursor while that commit still waits for the broker."""
    stage = Stage(crm="earliest", erp="earliest")
    await stage.load()
    await stage.commits.commit()
    cursors = await stage.load()
    cursors["crm"].open(10, 1)
    cursors["crm"].advance(11)
    stage.checkpoints.settle(cursors["crm"], 10, 1)
    again = await stage.load()
    assert (again["crm"].needs(10), again["erp"].needs(10)) == (False, True)


async def committed_after(stage: Stage, hours: float) -> list[str]:
    """Commit as on the beat, after so many more hours in which nothing moved; the groups committed."""
    stage.clock.now_s += hours * 3600
    stage.done.clear()
    await stage.commits.try_commit()
    return [step for step in stage.done if step.startswith("g.")]


async def test_every_cursor_is_committed_again_each_hour_even_if_nothing_moved() -> None:
    """Kafka deletes the offsets of a group without members some time after their last commit."""
    stage = Stage(crm="earliest", erp="latest")
    await stage.load({P0: (0, 9), P1: (0, 9)})
    await stage.commits.commit()
    assert REFRESH_S == 3600
    assert await committed_after(stage, 0.99) == []
    stage.offsets.committed.clear()
    assert await committed_after(stage, 0.01) == ["g.crm", "g.erp"]
    assert stage.offsets.committed.keys() == {(f"g.{name}", p) for name in ("crm", "erp") for p in (P0, P1)}
    assert await committed_after(stage, 0.99) == [], "once per hour"
    assert await committed_after(stage, 0.01) == ["g.crm", "g.erp"]


async def test_an_hourly_commit_that_was_refused_is_tried_again_with_the_next_one() -> None:
    stage = Stage(crm="earliest", erp="latest")
    await stage.load()
    await stage.commits.commit()
    stage.offsets.trouble.extend([None, "refused"])
    assert await committed_after(stage, 1) == ["g.crm"]
    assert await committed_after(stage, 0) == ["g.erp"], "not an hour later"
    assert await committed_after(stage, 0) == []


async def test_only_the_cursor_that_moved_is_committed() -> None:
    stage = Stage(crm="earliest", erp="earliest")
    cursors = await stage.load()
    await stage.commits.commit()
    stage.done.clear()
    cursors["erp"].advance(20)
    await stage.commits.commit()
    assert stage.done == ["flush", "fence", "g.erp"]
    assert stage.member.fenced[-1] == {P0: 10}


async def test_a_cursor_that_was_refused_is_committed_with_the_next_commit() -> None:
    stage = Stage(crm="earliest", erp="earliest")
    await stage.load()
    stage.offsets.trouble.extend([None, "refused"])
    with pytest.raises(CommitError):
        await stage.commits.commit()
    assert (stage.offsets.at("crm"), stage.offsets.at("erp")) == (10, None)
    stage.done.clear()
    await stage.commits.commit()
    assert (stage.offsets.at("crm"), stage.offsets.at("erp")) == (10, 10)
    assert "g.crm" not in stage.done


async def test_a_cursor_that_a_missing_right_refuses_is_tried_again_and_fails_no_commit() -> None:
    stage = Stage(crm="earliest", erp="earliest")
    await stage.load()
    stage.offsets.refused = {P0}
    await stage.commits.commit()
    assert stage.offsets.at("crm") is None
    stage.offsets.refused = set()
    await stage.commits.commit()
    assert (stage.offsets.at("crm"), stage.offsets.at("erp")) == (10, 10)


async def test_what_settled_out_of_order_is_not_needed_again_after_a_restart() -> None:
    stage = Stage()
    cursor = (await stage.load())["crm"]
    for offset in (10, 11, 12, 13):
        cursor.open(offset, 1)
    cursor.advance(14)
    cursor.settle(11, 1)
    cursor.settle(13, 1)
    await stage.commits.commit()
    stage.commits.end()
    assert not cursor.live
    again = (await stage.load())["crm"]
    assert [offset for offset in range(10, 16) if again.needs(offset)] == [10, 12, 14, 15]


async def test_a_damaged_map_is_ignored_and_logged_as_an_error() -> None:
    stage = Stage()
    text, _ = completion_map.encode(20, [20, 23], 30)
    stage.offsets.committed["g.crm", P0] = Committed(20, text[:-3] + "AAA")
    with capture_logs() as logs:
        cursor = (await stage.load())["crm"]
    assert [(line["event"], line["log_level"]) for line in logs] == [(events.CURSOR_MAP_IGNORED, "error")]
    assert cursor.position == 20
    assert all(cursor.needs(offset) for offset in range(20, 31)), "rather twice than not at all"


async def test_a_cursor_beyond_the_end_of_its_log_starts_again_at_the_first_record() -> None:
    stage = Stage(crm="latest")
    stage.offsets.committed["g.crm", P0] = Committed(51, "")
    with capture_logs() as logs:
        cursor = (await stage.load())["crm"]
    assert cursor.position == 10
    assert [(line["event"], line["log_level"]) for line in logs] == [(events.CURSOR_LOST, "error")]
    assert "recreated" in logs[0]["cause"]


async def test_a_cursor_at_the_end_of_its_log_stays_there() -> None:
    stage = Stage()
    stage.offsets.committed["g.crm", P0] = Committed(50, "")
    with capture_logs() as logs:
        cursor = (await stage.load())["crm"]
    assert (cursor.position, logs) == (50, [])


async def test_a_cursor_below_the_start_of_its_log_reports_the_offsets_that_it_had_not_settled() -> None:
    stage = Stage()
    text, _ = completion_map.encode(3, [3, 12], 20)
    stage.offsets.committed["g.crm", P0] = Committed(3, text)
    with capture_logs() as logs:
        cursor = (await stage.load())["crm"]
    (line,) = logs
    assert (line["event"], line["offsets_lost"], line["log_level"]) == (events.RECORDS_DELETED, 1, "error")
    assert cursor.position == 10
    assert [offset for offset in range(10, 22) if cursor.needs(offset)] == [12, 20, 21], (
        "the map still applies"
    )


async def test_a_failing_commit_is_counted_each_time_and_logged_once() -> None:
    stage = Stage()
    await stage.load()
    stage.offsets.trouble.extend(["refused", "refused"])
    with capture_logs() as logs:
        for _ in range(3):
            await stage.commits.try_commit()
    assert [line["event"] for line in logs] == [events.COMMIT_FAILED, events.CURSORS_COMMITTED]
    counts = {name: stage.metrics.commits.labels(name).value for name in ("failed", "done")}
    assert counts == {"failed": 2, "done": 1}


async def test_unsettled_events_are_summed_over_the_partitions_of_an_endpoint() -> None:
    stage = Stage(crm="earliest", erp="earliest")
    await stage.load({P0: (0, 9), P1: (0, 9)})
    for partition in (P0, P1):
        stage.checkpoints.cursors[partition]["crm"].open(0, 1)
    assert (stage.checkpoints.unsettled("crm"), stage.checkpoints.unsettled("erp")) == (2, 0)


async def test_a_map_that_does_not_fit_makes_the_cursor_full_until_it_does() -> None:
    stage = Stage(window=1_000_000, window_bytes=1 << 40)
    cursor = (await stage.load({P0: (0, 200_000)}))["crm"]
    random = Random(1)
    some = [offset for offset in range(100_000) if random.random() < 0.5]
    for offset in range(100_000):
        cursor.open(offset, 1)
    cursor.advance(100_000)
    for offset in some:
        cursor.settle(offset, 1)
    await stage.commits.commit()
    assert cursor.full
    assert len(stage.offsets.map_of("crm")) <= completion_map.LIMIT_BYTES
    assert not stage.checkpoints.room.is_set()
    for offset in set(range(100_000)) - set(some):
        cursor.settle(offset, 1)
    await stage.commits.commit()
    assert stage.checkpoints.room.is_set(), "the reader is woken"
    assert not stage.checkpoints.room_behind["crm"].is_set(), "the cursor is attached to the main reader"
    assert not cursor.full


async def test_a_detached_cursor_with_room_again_wakes_the_side_reader_of_its_endpoint_alone() -> None:
    stage = Stage(window=1, window_bytes=1 << 20, crm="earliest", erp="earliest")
    cursor = (await stage.load())["crm"]
    cursor.open(10, 1)
    cursor.advance(11)
    cursor.detach_if_passed(20)
    assert cursor.full
    stage.checkpoints.settle(cursor, 10, 1)
    woken = {name: event.is_set() for name, event in stage.checkpoints.room_behind.items()}
    assert woken == {"crm": True, "erp": False}


async def test_a_cursor_of_an_assignment_that_ended_settles_nothing_more() -> None:
    stage = Stage()
    cursor = (await stage.load())["crm"]
    cursor.open(10, 1)
    stage.commits.end()
    stage.checkpoints.settle(cursor, 10, 1)
    assert cursor.unsettled == 1
