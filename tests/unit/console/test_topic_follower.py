"""How the console follows a topic: from where the store is, whatever fails on the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import pytest

from bridge.console import follower as follower_module
from bridge.console.follower import TopicFollower, TopicRecreated
from bridge.console.intakes import AttemptsIntake
from bridge.console.store.sqlite import SqliteDatabase
from bridge.errors import BrokerError, RecordsDeleted
from bridge.model import Batch, Partition, Record
from tests.support.attempts import attempt_at, batch_record
from tests.support.console_store import TOPIC

P0, P1 = Partition(TOPIC, 0), Partition(TOPIC, 1)


class Log:
    """A topic in memory, its admin and its reader. ``begins`` moves when retention deletes records."""

    def __init__(self, partitions: int = 1) -> None:
        self.records: dict[Partition, list[Record]] = {
            Partition(TOPIC, number): [] for number in range(partitions)
        }
        self.first = dict.fromkeys(self.records, 0)
        self.failures = 0
        self.read = 0

    def add(self, *seconds: float, partition: int = 0) -> None:
        records = self.records[Partition(TOPIC, partition)]
        for second in seconds:
            records.append(batch_record(len(records), attempt_at(second), partition=partition))

    async def partition_counts(self, topics: Sequence[str]) -> dict[str, int]:
        return {TOPIC: len(self.records)} if self.records else {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def begins(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        return {partition: self.first[partition] for partition in partitions}

    async def ends(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        return {partition: len(self.records[partition]) for partition in partitions}

    async def read_from(
        self, positions: Mapping[Partition, int], timeout_s: float
    ) -> tuple[list[Batch], dict[Partition, int]]:
        await asyncio.sleep(0.001)
        if self.failures:
            self.failures -= 1
            raise BrokerError("read", "it is down", "wait")
        batches, reached = [], dict(positions)
        for partition, at in positions.items():
            if at < self.first[partition]:
                raise RecordsDeleted({partition: at})
            records = self.records[partition][at : at + 2]
            self.read += len(records)
            if records:
                batches.append((partition, records))
                reached[partition] = records[-1].end
        return batches, reached


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    database = SqliteDatabase(tmp_path / "console.sqlite")
    yield database
    await database.close()


def build(log: Log, database: Any) -> TopicFollower:
    return TopicFollower(TOPIC, AttemptsIntake(database), database, log, lambda: log)  # type: ignore[arg-type,return-value]


@asynccontextmanager
async def following(log: Log, database: Any) -> AsyncIterator[TopicFollower]:
    follower = build(log, database)
    task = asyncio.create_task(follower.run())
    try:
        yield follower
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def stored(database: SqliteDatabase) -> list[str]:
    rows = await database.fetch("SELECT event_id FROM attempts ORDER BY event_id")
    return [row[0] for row in rows]


async def until(database: SqliteDatabase, *ids: str) -> None:
    async with asyncio.timeout(30):
        while await stored(database) != sorted(ids):
            await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_RETRY_S", "_LOOK_S"):
        monkeypatch.setattr(follower_module, name, 0.01)


async def test_what_is_there_and_what_arrives_is_stored_once(database: SqliteDatabase) -> None:
    log = Log(2)
    log.add(1, 2, 3)
    log.add(4, partition=1)
    async with following(log, database) as follower:
        await until(database, "id-1", "id-2", "id-3", "id-4")
        log.add(5, partition=1)
        await until(database, "id-1", "id-2", "id-3", "id-4", "id-5")
        async with asyncio.timeout(30):
            while not follower.is_caught_up:
                await asyncio.sleep(0.01)
    log.read = 0
    async with following(log, database):
        log.add(6)
        await until(database, *[f"id-{number}" for number in range(1, 7)])
    assert log.read == 1, "it goes on where the store is"


async def test_a_topic_that_grows_with_each_look_is_caught_up_at_the_end_that_it_had_at_first(
    database: SqliteDatabase,
) -> None:
    """With steady deliveries, no look finds the console at the very end."""

    class Growing(Log):
        async def ends(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
            ends = await super().ends(partitions)
            self.add(len(self.records[P0]) + 1)
            return {partition: end + 1 for partition, end in ends.items()}

    log = Growing()
    log.add(1, 2, 3)
    async with following(log, database) as follower:
        async with asyncio.timeout(30):
            while not follower.is_caught_up:
                await asyncio.sleep(0.001)
        assert follower.behind > 0
    assert {"id-1", "id-2", "id-3"} <= set(await stored(database))


async def test_a_broker_that_is_down_for_a_while_loses_nothing(database: SqliteDatabase) -> None:
    log = Log()
    log.add(1, 2, 3)
    log.failures = 3
    async with following(log, database) as follower:
        await until(database, "id-1", "id-2", "id-3")
        assert follower.error == ""


async def test_partitions_that_are_added_are_read_from_their_start(database: SqliteDatabase) -> None:
    log = Log()
    log.add(1)
    async with following(log, database):
        await until(database, "id-1")
        log.records[P1], log.first[P1] = [], 0
        log.add(2, 3, partition=1)
        await until(database, "id-1", "id-2", "id-3")


async def test_records_that_retention_deleted_are_skipped(database: SqliteDatabase) -> None:
    log = Log()
    log.add(1)
    async with following(log, database):
        await until(database, "id-1")
    log.add(2, 3, 4)
    log.first[P0] = 3
    async with following(log, database):
        await until(database, "id-1", "id-4")


async def test_a_topic_that_was_created_again_is_noticed(database: SqliteDatabase) -> None:
    log = Log()
    log.add(1, 2, 3)
    async with following(log, database):
        await until(database, "id-1", "id-2", "id-3")
    log.records[P0].clear()
    log.add(9)
    with pytest.raises(TopicRecreated):
        await asyncio.wait_for(build(log, database).run(), 30)


async def test_two_consoles_with_one_store_store_each_attempt_once(database: SqliteDatabase) -> None:
    log = Log()
    async with following(log, database), following(log, database):
        for number in range(12):
            log.add(number)
            await asyncio.sleep(0.005)
        await until(database, *[f"id-{number}" for number in range(12)])


async def test_a_record_that_the_database_cannot_contain_costs_no_other(database: SqliteDatabase) -> None:
    log = Log()
    log.add(1)
    bad = attempt_at(2, body_bytes=1 << 63)
    log.records[P0].append(batch_record(1, bad))
    log.add(3)
    async with following(log, database):
        await until(database, "id-1", "id-3")


async def test_records_that_another_console_was_to_store_are_stored_if_it_did_not(
    database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, apply, refusals = Log(), database.apply, [1, 1]
    log.add(1, 2, 3)

    async def refused_twice(*arguments: Any) -> bool:
        return False if refusals and refusals.pop() else await apply(*arguments)

    monkeypatch.setattr(database, "apply", refused_twice)
    async with following(log, database):
        await until(database, "id-1", "id-2", "id-3")
