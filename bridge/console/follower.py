"""Follow a topic into the store, from where the store is.

Invariant: rows and position are written in one transaction. A kill between two of them, and another console
with the same store, lose nothing and add nothing twice.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

import structlog

from bridge.console.state_views import Following
from bridge.console.store.database import Change, Database
from bridge.errors import KafkaUnavailable, RecordsDeleted, RowsRefused, StoreUnavailable
from bridge.kafka.side_reader import SideReader
from bridge.kafka.topics import TopicAdmin
from bridge.model import Partition, Record
from bridge.telemetry import events

_log = structlog.get_logger()
_POLL_S = 0.5
_RETRY_S = 1.0
_LOOK_S = 5.0
"""Seconds between two looks at the ends of the topic, and at its partitions."""


class Taken(NamedTuple):
    """What some records change: rows, the position after them, and the records that are left out."""

    changes: Sequence[Change]
    state: str
    skipped: Mapping[str, str] = {}


class Intake(Protocol):
    """Turns the records of one topic into rows."""

    async def load(self, state: str | None) -> Mapping[int, int]:
        """Begin at a position of the store, None at the beginning; return the next offsets."""
        ...

    def take(self, records: Sequence[Record]) -> Taken:
        """Return what records change. It is called in a thread."""
        ...

    def begun(self, begins: Mapping[int, int]) -> Sequence[Change]:
        """Return what to delete, since the topic begins at these offsets now."""
        ...

    def caught_up(self) -> Sequence[Change]:
        """Return what to delete, once the end of the topic was reached."""
        ...


class TopicRecreated(Exception):
    """The topic ends before the position: it was deleted and created again."""


class TopicFollower:
    """Follows one topic; ``run`` ends when it is cancelled."""

    def __init__(
        self,
        topic: str,
        intake: Intake,
        database: Database,
        admin: TopicAdmin,
        open_reader: Callable[[], SideReader],
    ) -> None:
        self.topic = topic
        self._intake = intake
        self._db = database
        self._admin = admin
        self._open_reader = open_reader
        self._offsets: dict[int, int] = {}
        self._first_ends: dict[Partition, int] = {}
        self._version = 0
        self._failing = False
        self.behind = 0
        self.is_caught_up = False
        self.error = ""

    async def run(self) -> None:
        """Read and store until it is cancelled. Raises ``TopicRecreated``."""
        while True:
            try:
                async with self._open_reader() as reader:
                    await self._follow(reader)
            except (KafkaUnavailable, StoreUnavailable) as exc:
                self._note_failure(exc)
                await asyncio.sleep(_RETRY_S)

    async def _follow(self, reader: SideReader) -> None:
        self._offsets, self._first_ends = {}, {}
        await self._load()
        partitions = await self._partitions()
        await self._align(reader, partitions)
        looked_at, records = 0.0, list[Record]()
        while True:
            late = not records and not self.is_caught_up
            if late or time.monotonic() - looked_at > _LOOK_S:
                looked_at = time.monotonic()
                if (now := await self._partitions()) != partitions:
                    partitions = now
                    await self._align(reader, partitions)
                await self._look(reader, partitions)
            positions = {partition: self._offsets[partition.number] for partition in partitions}
            try:
                batches, reached = await reader.read_from(positions, _POLL_S)
            except RecordsDeleted:
                await self._align(reader, partitions)
                records = []
                continue
            records = [record for _, batch in batches for record in batch]
            if records and not await self._store(records):
                continue
            for partition, offset in reached.items():
                self._offsets[partition.number] = max(offset, self._offsets[partition.number])
            self._note_success()

    async def _load(self) -> None:
        position = await self._db.position(self.topic)
        self._version = 0 if position is None else position.version
        loaded = await self._intake.load(None if position is None else position.state)
        self._offsets = self._offsets | dict(loaded)

    async def _partitions(self) -> list[Partition]:
        """Return the partitions of the topic; wait until it exists."""
        while True:
            counts = await self._admin.partition_counts([self.topic])
            if counts.get(self.topic):
                return [Partition(self.topic, number) for number in range(counts[self.topic])]
            self.is_caught_up, self.behind = True, 0  # nothing was ever written to it
            await asyncio.sleep(_RETRY_S)

    async def _align(self, reader: SideReader, partitions: Sequence[Partition]) -> None:
        """Move positions that the topic does not have any more to its beginning."""
        begins, ends = await reader.begins(partitions), await reader.ends(partitions)
        for partition in partitions:
            at = self._offsets.setdefault(partition.number, begins[partition])
            if at > ends[partition]:
                raise TopicRecreated(f"topic {self.topic!r} ends before the position of the store")
            if at < begins[partition]:
                if at:
                    _log.warning(
                        events.CONSOLE_SKIPPED,
                        topic=self.topic,
                        cause=f"{partition}: retention deleted the offsets {at} to {begins[partition] - 1}",
                        remedy="raise the retention of the topic, or find out why the console was stopped",
                    )
                self._offsets[partition.number] = begins[partition]
        deletions = self._intake.begun({partition.number: begins[partition] for partition in partitions})
        if deletions:
            await self._db.change(deletions)

    async def _look(self, reader: SideReader, partitions: Sequence[Partition]) -> None:
        ends = await reader.ends(partitions)
        self.behind = sum(
            max(0, ends[partition] - self._offsets[partition.number]) for partition in partitions
        )
        if self.is_caught_up:
            return
        # not the ends of now: bridges that deliver move them between each read and the next look
        self._first_ends = self._first_ends or ends
        if all(
            self._offsets[partition.number] >= min(self._first_ends.get(partition, end), end)
            for partition, end in ends.items()
        ):
            deletions = self._intake.caught_up()
            if deletions:
                await self._db.change(deletions)
            self.is_caught_up = True

    async def _store(self, records: Sequence[Record]) -> bool:
        """Store records; return False if the position was lost to another console, and was read again."""
        taken = await asyncio.to_thread(self._intake.take, records)
        try:
            applied = await self._db.apply(self.topic, self._version, taken.state, taken.changes)
        except RowsRefused as exc:
            return await self._store_singly(records, exc)
        if not applied:
            await self._load()
            return False
        self._version += 1
        self._note_skipped(taken.skipped)
        return True

    async def _store_singly(self, records: Sequence[Record], error: RowsRefused) -> bool:
        """Store records one by one, and leave out what the database cannot contain."""
        await self._load()
        if len(records) > 1:
            return all([await self._store([record]) for record in records])
        self._note_skipped({records[0].place: error.cause})
        empty = records[0]._replace(key=None, value=b"", headers=())
        state = (await asyncio.to_thread(self._intake.take, [empty])).state
        applied = await self._db.apply(self.topic, self._version, state, [])
        await self._load()
        return applied

    def _note_skipped(self, skipped: Mapping[str, str]) -> None:
        for place, cause in list(skipped.items())[:5]:
            _log.warning(
                events.CONSOLE_SKIPPED,
                topic=self.topic,
                cause=f"{place}: {cause}",
                remedy="find out which program wrote it; the console goes on without it",
            )

    def _note_failure(self, exc: KafkaUnavailable | StoreUnavailable) -> None:
        self.error = str(exc)
        if not self._failing:
            self._failing = True
            _log.error(
                events.CONSOLE_FAILED,
                topic=self.topic,
                cause=str(exc),
                remedy="none needed once the broker and the store answer: the console goes on by itself",
            )

    def _note_success(self) -> None:
        self.error = ""
        if self._failing:
            self._failing = False
            _log.info(events.CONSOLE_RECOVERED, topic=self.topic)


def following(followers: Sequence[TopicFollower], last_attempt_s: float | None) -> Following:
    """Return how far several followers are."""
    errors = [follower.error for follower in followers if follower.error]
    return Following(
        behind=sum(follower.behind for follower in followers),
        caught_up=all(follower.is_caught_up for follower in followers),
        last_attempt_s=last_attempt_s,
        error=errors[0] if errors else "",
    )
