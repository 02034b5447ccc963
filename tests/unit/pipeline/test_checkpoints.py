"""Cursors of an assignment: where they begin, in which order they are committed."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

import pytest
from structlog.testing import capture_logs

from bridge.clock import SystemClock
from bridge.core import completion_map
from bridge.core.cursor import Cursor
from bridge.errors import CommitError
from bridge.model import Committed, Partition
from bridge.pipeline.checkpoints import Checkpoints
from bridge.pipeline.cursor_start import CursorPolicy
from bridge.telemetry import events
from bridge.telemetry.metrics import Metrics
from tests.support.fake_group import FakeJournal, FakeOffsets, FakeReader
from tests.support.fakes import P0, P1, Log

BOUNDS = {P0: (10, 50)}


class Stage:
    """Checkpoints over fakes; ``done`` is the order of what they were asked."""

    def __init__(self, **starts: str) -> None:
        self.done: list[str] = []
        self.lease = True
        self.offsets = FakeOffsets()
        self.member = FakeReader(Log())
        self.metrics = Metrics()
        self.offsets.on_commit = lambda group, offsets: self.done.append(group)
        self.checkpoints = Checkpoints(
            "g",
            {name: CursorPolicy(start, 100, 1000) for name, start in (starts or {"crm": "earliest"}).items()},
            offsets=self.offsets,
            offsets_at=self.member.offsets_at,
            fence=self,
            flush=self._flush,
            journal=FakeJournal(),  # type: ignore[arg-type]
            metrics=self.metrics,
            clock=SystemClock(),
        )

    async def fence(self, lowest: Mapping[Partition, int]) -> None:
        self.done.append("fence")
        await self.member.fence(lowest)

    def holds_lease(self) -> bool:
        return self.lease

    async def _flush(self) -> None:
        self.done.append("flush")

    async def load(self, bounds: dict[Partition, tuple[int, int]] = BOUNDS) -> dict[str, Cursor]:
        """Begin an assignment; the cursors of its first partition."""
        cursors = await self.checkpoints.load(bounds)
        self.checkpoints.install(cursors)
        return cursors[next(iter(bounds))]


async def test_the_order_of_a_commit_is_flush_fence_cursors() -> None:
    stage = Stage(crm="earliest", erp="latest")
    await stage.load()
    await stage.checkpoints.commit()
    assert stage.done == ["flush", "fence", "g.crm", "g.erp"]


async def test_a_process_that_lost_its_place_commits_no_cursor() -> None:
    stage = Stage()
    await stage.load()
    stage.member.lost_place = True
    with pytest.raises(CommitError):
        await stage.checkpoints.commit()
    assert stage.offsets.committed == {}
    stage.member.lost_place = False
    await stage.checkpoints.commit()
    assert stage.offsets.at("crm") == 10


async def test_a_process_that_stood_still_after_its_fence_commits_no_cursor() -> None:
    """SIGSTOP between the two: the broker took the fence, and gave the partitions away since."""
    stage = Stage()
    await stage.load()
    stage.lease = False
    with pytest.raises(CommitError):
        await stage.checkpoints.commit()
    assert stage.done == ["flush", "fence"]


async def test_the_history_is_written_before_what_it_tells_of_is_committed() -> None:
    stage = Stage()
    cursors = await stage.load()
    await stage.checkpoints.commit()
    cursors["crm"].open(10, 1)
    cursors["crm"].advance(11)
    stage.done.clear()

    async def settle_meanwhile() -> None:
        if cursors["crm"].unsettled:
            cursors["crm"].settle(10, 1)

    stage.checkpoints._flush = settle_meanwhile
    await stage.checkpoints.commit()
    assert stage.offsets.at("crm") == 10, "it settled after the history was taken"
    await stage.checkpoints.commit()
    assert stage.offsets.at("crm") == 11


async def test_a_new_endpoint_begins_where_it_is_told_to() -> None:
    stage = Stage(old="earliest", new="latest")
    cursors = await stage.load()
    assert (cursors["old"].position, cursors["new"].position) == (10, 50)


async def test_the_first_cursor_is_committed_although_nothing_moved() -> None:
    """So that an endpoint that begins at the latest keeps its place through a restart."""
    stage = Stage(new="latest")
    await stage.load()
    await stage.checkpoints.commit()
    assert stage.offsets.committed == {("g.new", P0): Committed(50, "")}


async def test_nothing_is_committed_twice_but_the_history_is_written() -> None:
    """Failed attempts move no cursor; their rows must not wait in memory until one does."""
    stage = Stage()
    await stage.load()
    await stage.checkpoints.commit()
    stage.done.clear()
    await stage.checkpoints.commit()
    assert stage.done == ["flush"]


async def test_what_settles_before_the_first_commit_of_an_assignment_is_journaled_as_its_own() -> None:
    """A reader that catches up may feed a new cursor while that commit still waits for the broker."""
    stage = Stage(crm="earliest", erp="earliest")
    await stage.load()
    await stage.checkpoints.commit()
    cursors = await stage.load()
    cursors["crm"].open(10, 1)
    cursors["crm"].advance(11)
    stage.checkpoints.settle(cursors["crm"], 10, 1)
    again = await stage.load()
    assert (again["crm"].wants(10), again["erp"].wants(10)) == (False, True)


async def test_only_the_cursor_that_moved_is_committed() -> None:
    stage = Stage(crm="earliest", erp="earliest")
    cursors = await stage.load()
    await stage.checkpoints.commit()
    stage.done.clear()
    cursors["erp"].advance(20)
    await stage.checkpoints.commit()
    assert stage.done == ["flush", "fence", "g.erp"]
    assert stage.member.fenced[-1] == {P0: 10}


async def test_a_refused_cursor_is_committed_with_the_next_one() -> None:
    stage = Stage(crm="earliest", erp="earliest")
    await stage.load()
    stage.offsets.trouble.extend([None, "refused"])
    with pytest.raises(CommitError):
        await stage.checkpoints.commit()
    assert (stage.offsets.at("crm"), stage.offsets.at("erp")) == (10, None)
    stage.done.clear()
    await stage.checkpoints.commit()
    assert (stage.offsets.at("crm"), stage.offsets.at("erp")) == (10, 10)
    assert "g.crm" not in stage.done


async def test_what_settled_out_of_order_is_read_back() -> None:
    stage = Stage()
    cursor = (await stage.load())["crm"]
    for offset in (10, 11, 12, 13):
        cursor.open(offset, 1)
    cursor.advance(14)
    cursor.settle(11, 1)
    cursor.settle(13, 1)
    await stage.checkpoints.commit()
    stage.checkpoints.clear()
    assert not cursor.live
    again = (await stage.load())["crm"]
    assert [one for one in range(10, 16) if again.wants(one)] == [10, 12, 14, 15]


async def test_a_damaged_map_is_ignored_loudly() -> None:
    stage = Stage()
    text, _ = completion_map.encode(20, [20, 23], 30)
    stage.offsets.committed["g.crm", P0] = Committed(20, text[:-3] + "AAA")
    with capture_logs() as logs:
        cursor = (await stage.load())["crm"]
    assert [(one["event"], one["log_level"]) for one in logs] == [(events.CURSOR_MAP_IGNORED, "error")]
    assert cursor.position == 20
    assert all(cursor.wants(offset) for offset in range(20, 31)), "rather again than not at all"


async def test_a_cursor_beyond_the_end_of_its_log_begins_anew() -> None:
    stage = Stage(crm="latest")
    stage.offsets.committed["g.crm", P0] = Committed(51, "")
    with capture_logs() as logs:
        cursor = (await stage.load())["crm"]
    assert cursor.position == 10
    assert [one["event"] for one in logs] == [events.RECORDS_DELETED]
    assert "made anew" in logs[0]["cause"]


async def test_a_cursor_at_the_very_end_of_its_log_stays_there() -> None:
    stage = Stage()
    stage.offsets.committed["g.crm", P0] = Committed(50, "")
    with capture_logs() as logs:
        cursor = (await stage.load())["crm"]
    assert (cursor.position, logs) == (50, [])


async def test_a_cursor_below_the_start_of_its_log_reports_the_loss() -> None:
    stage = Stage()
    text, _ = completion_map.encode(3, [3, 12], 20)
    stage.offsets.committed["g.crm", P0] = Committed(3, text)
    with capture_logs() as logs:
        cursor = (await stage.load())["crm"]
    (said,) = logs
    assert (said["event"], said["offsets_lost"], said["log_level"]) == (events.RECORDS_DELETED, 7, "error")
    assert cursor.position == 10
    assert [one for one in range(10, 22) if cursor.wants(one)] == [12, 20, 21], "the map still counts"


async def test_a_failing_commit_is_counted_each_time_and_said_once() -> None:
    stage = Stage()
    await stage.load()
    stage.offsets.trouble.extend(["refused", "refused"])
    with capture_logs() as logs:
        for _ in range(3):
            await stage.checkpoints.commit_or_say()
    assert [one["event"] for one in logs] == [events.COMMIT_FAILED, events.CURSORS_COMMITTED]
    counts = {name: stage.metrics.commits.labels(name)._value.get() for name in ("failed", "done")}
    assert counts == {"failed": 2, "done": 1}


async def test_unsettled_is_summed_over_the_partitions_of_an_endpoint() -> None:
    stage = Stage(crm="earliest", erp="earliest")
    await stage.load({P0: (0, 9), P1: (0, 9)})
    for partition in (P0, P1):
        stage.checkpoints.cursors[partition]["crm"].open(0, 1)
    assert (stage.checkpoints.unsettled("crm"), stage.checkpoints.unsettled("erp")) == (2, 0)


async def test_a_map_that_does_not_fit_makes_the_cursor_full_until_it_does() -> None:
    stage = Stage()
    policy = CursorPolicy("earliest", 1_000_000, 1 << 40)
    stage.checkpoints._policies = {"crm": policy}
    cursor = (await stage.load({P0: (0, 200_000)}))["crm"]
    random = Random(1)
    wild = [offset for offset in range(100_000) if random.random() < 0.5]
    for offset in range(100_000):
        cursor.open(offset, 1)
    cursor.advance(100_000)
    for offset in wild:
        cursor.settle(offset, 1)
    await stage.checkpoints.commit()
    assert cursor.full
    assert len(stage.offsets.map_of("crm")) <= completion_map.LIMIT_BYTES
    assert not stage.checkpoints.room.is_set()
    for offset in set(range(100_000)) - set(wild):
        cursor.settle(offset, 1)
    await stage.checkpoints.commit()
    assert stage.checkpoints.room.is_set(), "the reader is woken"
    assert not stage.checkpoints.room_behind["crm"].is_set(), "it goes along with the main reader"
    assert not cursor.full
