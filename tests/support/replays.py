"""Replays over fakes: the jobs in the control topic, and what a process carries them out with."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import weakref
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from bridge.core.dedupe import Stretch
from bridge.core.jobs import Job, JobKind, JobState, key_of, read_job
from bridge.core.moves import Move, Moves
from bridge.core.replay import ReplayQuery, to_position
from bridge.errors import KafkaUnavailable
from bridge.model import Committed, Partition, Record
from bridge.pipeline.ports import FirstOffsets
from bridge.wiring.replay_edges import ReplayEdges
from tests.support.fake_group import FakeOffsets
from tests.support.fakes import FakeParkedRecords, FakeReceiver

CONTROL = Partition("g.control", 0)


class FakeJobs:
    """The jobs of the control topic, which outlive every process. ``followers`` get each record at once."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.followers: list[Callable[[Record], None]] = []
        self.trouble = 0
        """How many of the next writes fail."""
        self._folder: Path | None = None

    @property
    def folder(self) -> Path:
        """Return where the journals of the replays are, on a disk that outlives every process."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="replays-"))
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        return self._folder

    def follow(self, apply: Callable[[Record], None]) -> None:
        """Read all records, and every later one."""
        for record in self.records:
            apply(record)
        self.followers.append(apply)

    async def write(self, job: Job) -> None:
        if self.trouble:
            self.trouble -= 1
            raise KafkaUnavailable("the control topic is away")
        self.put(job)

    def put(self, job: Job) -> None:
        record = Record(CONTROL, len(self.records), 0, key_of(job.id), job.to_bytes())
        self.records.append(record)
        for apply in list(self.followers):
            apply(record)

    def now(self, job_id: str) -> Job:
        last = next(record for record in reversed(self.records) if record.key == key_of(job_id))
        return read_job(job_id, last.value or b"")


class FakeMoves:
    """The moves of cursors in the control topic, which outlive every process."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.followers: list[Callable[[Record], None]] = []
        self.trouble = 0
        """How many of the next writes fail."""

    def follow(self, note: Callable[[Record], None]) -> None:
        """Read all records, and every later one."""
        for record in self.records:
            note(record)
        self.followers.append(note)

    def put(self, move: Move) -> None:
        self._append(move.key, move.to_bytes())

    async def write(self, values: Mapping[bytes, bytes | None]) -> None:
        await asyncio.sleep(0)
        if self.trouble:
            self.trouble -= 1
            raise KafkaUnavailable("the control topic is away")
        for key, value in values.items():
            self._append(key, value)

    async def read(self) -> Moves:
        await asyncio.sleep(0)
        return self.now

    @property
    def now(self) -> Moves:
        """The moves that wait."""
        moves = Moves()
        for record in self.records:
            moves.apply(record)
        return moves

    def _append(self, key: bytes, value: bytes | None) -> None:
        record = Record(CONTROL, len(self.records), 0, key, value)
        self.records.append(record)
        for note in list(self.followers):
            note(record)


def replay(
    stretches: Mapping[Partition, tuple[int, int]],
    query: ReplayQuery | None = None,
    *,
    id: str = "r1",
    endpoint: str = "crm",
    rate_per_s: float | None = None,
    topic_ids: Mapping[str, str | None] | None = None,
) -> Job:
    """Return a replay of these offsets that runs."""
    query = query or ReplayQuery("1970-01-01T00:00:00Z")
    parts = {partition: Stretch(*offsets) for partition, offsets in stretches.items()}
    created = "2023-11-14T22:13:20.000Z"
    return Job(
        id, JobKind.REPLAY, JobState.RUNNING, endpoint, query.to_json(), rate_per_s, created, created,
        "a test", position=to_position(parts, topic_ids or {}),
    )  # fmt: skip


class FakeReplayOffsets:
    """The groups of the replays, over the offsets of all groups."""

    def __init__(self, offsets: FakeOffsets) -> None:
        self._offsets = offsets
        self.deleted: list[str] = []

    async def fetch(self, group: str, partitions: Collection[Partition]) -> Mapping[Partition, Committed]:
        return await self._offsets.fetch(group, partitions)

    async def groups(self) -> Mapping[str, str]:
        return {group: "" for group, _ in self._offsets.committed}

    async def delete(self, group: str) -> None:
        self.deleted.append(group)
        for known, partition in list(self._offsets.committed):
            if known == group:
                del self._offsets.committed[known, partition]


def replay_edges(
    jobs: FakeJobs,
    receivers: Mapping[str, FakeReceiver],
    open_window: Callable[[], FirstOffsets],
    parked_before: FakeParkedRecords,
) -> ReplayEdges:
    """Return what the runs of a process reach outside of it with."""

    def window() -> AbstractContextManager[FirstOffsets]:
        return nullcontext(open_window())

    return ReplayEdges(
        open_transport=receivers.__getitem__,
        open_window=window,
        open_parked_before=lambda: parked_before,
        folder=jobs.folder,
    )
