"""How fast the console takes attempts in, and how fast it answers, with many attempts stored.

    python -m tests.bench.console --attempts 1000000 --folder /tmp/bench [--postgresql] [--fill-only]

The records are built as bridges write them, 200 attempts each, with bodies of 600 bytes. Building them is not
part of the measurement. After the first ``BUILT`` attempts, the store copies these to later times, with other
ids of events: that fills millions in minutes. Questions are those of the API; each is asked with many
different values. The folder is kept: another run adds what is missing, and asks again.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from bridge.console.intakes import AttemptsIntake
from bridge.console.query import AttemptQuery
from bridge.console.store.attempts import AttemptQueries
from bridge.console.store.database import Change, Database, Run
from bridge.console.store.endpoint_stats import read_stats
from bridge.console.store.feed import FeedQueries
from bridge.console.store.postgres import PostgresDatabase
from bridge.console.store.sqlite import SqliteDatabase
from bridge.history.attempt import Attempt, Later
from bridge.history.batch import Writer
from bridge.model import Partition, Record
from tests.support.attempts import attempt_at, encoded
from tests.support.postgres import Postgres

TOPIC = "g.attempts"
PER_RECORD, RECORDS_PER_READ = 200, 50
ENDPOINTS = [f"endpoint-{number}" for number in range(20)]
TYPES = [f"Type{number}" for number in range(30)]
BEGAN_S = 1_780_000_020.0
"""The begin of a minute."""
PER_S = 2000.0
BUILT = 480_000
"""Attempts that are built: four minutes of them."""
READ = PER_RECORD * RECORDS_PER_READ
BODY = b'{"data": {"loan": 4711, "text": "%s"}, "entity": "%s"}'


def build_attempt(number: int, randomness: random.Random, endpoint: int) -> Attempt:
    """Return the attempt with this number."""
    sent_s = BEGAN_S + number / PER_S
    fails = randomness.random() < 0.02
    entity = f"loan-{randomness.randrange(500_000)}"
    text = b"%x" % randomness.getrandbits(1600)
    status = randomness.choice((500, 503, 429, None)) if fails else 200
    facts: dict[str, Any] = {"verdict": "again", "reason": f"answer {status}", "later": Later(sent_s + 5)}
    return attempt_at(0)._replace(
        sent_s=sent_s, answered_s=sent_s + 0.1, event_id=f"{randomness.getrandbits(128):032x}",
        webhook_id=f"msg_{randomness.getrandbits(128):032x}", type=randomness.choice(TYPES), entity=entity,
        tenant="default", topic="events", partition=endpoint % 6, offset=number,
        appended_ms=round(sent_s * 1000) - 40, status=status, headers=b"content-type: application/json",
        body=BODY % (text, entity.encode()), body_bytes=500, **(facts if fails else {}),
    )  # fmt: skip


def build_record(number: int, randomness: random.Random) -> Record:
    """Return the record with this number: attempts of one endpoint."""
    endpoint = number % len(ENDPOINTS)
    first = number * PER_RECORD
    attempts = [build_attempt(first + entry, randomness, endpoint) for entry in range(PER_RECORD)]
    value = encoded(Writer("p", ENDPOINTS[endpoint], number), attempts)
    return Record(Partition(TOPIC, endpoint % 6), number, 0, ENDPOINTS[endpoint].encode(), value)


async def fill(database: Database, attempts: int) -> None:
    """Store the attempts that are missing, and print the rate of the intake from time to time."""
    intake = AttemptsIntake(database)
    position = await database.position(TOPIC)
    await intake.load(None if position is None else position.state)
    version = 0 if position is None else position.version
    first = (await database.fetch("SELECT COALESCE(MAX(id), -1) + 1 FROM attempts"))[0][0]
    built = min(attempts, BUILT)
    wall_s = cpu_s = last_wall_s = 0.0
    stored = last = 0
    for begin in range(first, built, READ):
        numbers = range(begin // PER_RECORD, (begin + READ) // PER_RECORD)
        records = [build_record(number, random.Random(number)) for number in numbers]
        began, began_cpu = time.perf_counter(), time.process_time()
        taken = intake.take(records)
        assert await database.apply(TOPIC, version, taken.state, taken.changes)
        version += 1
        wall_s += time.perf_counter() - began
        cpu_s += time.process_time() - began_cpu
        stored += READ
        if stored - last >= 120_000 or begin + READ >= built:
            rate = (stored - last) / (wall_s - last_wall_s)
            print(f"{begin + READ:>10,} stored: {rate:,.0f}/s now, {stored / wall_s:,.0f}/s of wall,"
                  f" {stored / cpu_s:,.0f}/s of CPU", flush=True)  # fmt: skip
            last, last_wall_s = stored, wall_s
    for begin in range(max(first, built), attempts, READ):
        await copy(database, begin)
        if (begin + READ) % 500_000 == 0:
            print(f"{begin + READ:>10,} stored", flush=True)


async def copy(database: Database, begin: int) -> None:
    """Store the attempts of one read of the topic, from number ``begin`` on, as copies of built ones."""
    copies, source = divmod(begin, BUILT)
    later_ms = round(copies * BUILT / PER_S * 1000)
    batches = copies * BUILT // PER_RECORD
    suffix = f"{copies:02x}"
    span = (source, source + READ)
    minute, minutes = int(BEGAN_S // 60), round(BUILT / PER_S / 60)
    changes: list[Change] = [
        Run(
            "INSERT INTO batches SELECT id + ?, part, place + ?, endpoint, first_ms + ?, last_ms + ?,"
            " first_id + ?, value FROM batches WHERE first_id >= ? AND first_id < ? AND id < ?",
            [(batches, batches, later_ms, later_ms, begin - source, *span, BUILT // PER_RECORD)],
        ),
        Run(
            "INSERT INTO attempts SELECT id + ?, sent_ms + ?, series, batch + ?, entry, took_ms,"
            " substr(event_id, 3) || ?, substr(webhook_id, 1, 34) || ?, entity, attempt, reason,"
            " next_ms + ?, place, appended_ms + ?, body_bytes, again_id"
            " FROM attempts WHERE id >= ? AND id < ?",
            [(begin - source, later_ms, batches, suffix, suffix, later_ms, later_ms, *span)],
        ),
    ]
    if source == 0:
        row = (copies * minutes, minute, minute + minutes)
        for table, columns in (("minutes", "attempts, delivered"), ("latencies", "bucket, number")):
            sql = f"INSERT INTO {table} SELECT endpoint, minute + ?, {columns} FROM {table}"
            changes.append(Run(f"{sql} WHERE minute >= ? AND minute < ? ON CONFLICT DO NOTHING", [row]))
    await database.change(changes)


async def ask(name: str, question: Callable[[], Awaitable[object]], times: int) -> None:
    """Ask a question many times, and print how long the answers took."""
    took = []
    for _ in range(times):
        began = time.perf_counter()
        await question()
        took.append((time.perf_counter() - began) * 1000)
    took.sort()
    p99 = took[min(len(took) - 1, int(len(took) * 0.99))]
    print(f"{name:<44} p50 {statistics.median(took):7.1f} ms   p99 {p99:7.1f} ms")


async def questions(database: Database, attempts: int, times: int) -> None:
    """Ask what pages and API ask."""
    queries, feed = AttemptQueries(database, TOPIC), FeedQueries(database, TOPIC)
    randomness = random.Random(1)
    some = list((await queries.page(AttemptQuery(), None, 200)).items)
    last_s = BEGAN_S + attempts / PER_S

    def at() -> float:
        return BEGAN_S + randomness.random() * (last_s - BEGAN_S)

    async def deep(query: AttemptQuery) -> None:
        page = await queries.page(query, None, 50)
        for _ in range(3):
            if page.cursor is None:
                break
            page = await queries.page(query, page.cursor, 50)

    def loan() -> str:
        return f"loan-{randomness.randrange(500_000)}"

    choice = randomness.choice
    for name, question in {
        "newest": lambda: queries.page(AttemptQuery(), None, 50),
        "before an instant": lambda: queries.page(AttemptQuery(until_s=at()), None, 50),
        "of an endpoint": lambda: queries.page(
            AttemptQuery(endpoint=choice(ENDPOINTS), until_s=at()), None, 50
        ),
        "of a type": lambda: queries.page(AttemptQuery(type=choice(TYPES), until_s=at()), None, 50),
        "of a pattern": lambda: queries.page(AttemptQuery(type="*7", until_s=at()), None, 50),
        "5xx of an endpoint": lambda: queries.page(
            AttemptQuery(endpoint=choice(ENDPOINTS), status="5xx", until_s=at()), None, 50
        ),
        "429 of a type": lambda: queries.page(AttemptQuery(status="429", type=choice(TYPES)), None, 50),
        "delivered, newest of all series": lambda: queries.page(AttemptQuery(verdict="delivered"), None, 50),
        "of an entity": lambda: queries.page(AttemptQuery(entity=loan()), None, 50),
        "of an entity that does not exist": lambda: queries.page(AttemptQuery(entity="nobody"), None, 50),
        "an event": lambda: queries.of_event(choice(some).event_id),
        "an attempt with bodies": lambda: queries.one(choice(some).id),
        "four pages on": lambda: deep(AttemptQuery(endpoint=choice(ENDPOINTS))),
        "a text that is rare": lambda: queries.page(AttemptQuery(text="nowhere-at-all"), None, 50),
        "a text that is frequent": lambda: queries.page(AttemptQuery(text="loan-4"), None, 50),
        "states of the endpoints": lambda: read_stats(database, last_s),
        "last of each endpoint": queries.last_of_each,
        "a page of the feed": lambda: feed.page(choice(ENDPOINTS), None, 100),
    }.items():
        await ask(name, question, times)


async def run(arguments: argparse.Namespace) -> None:
    """Fill a store, and ask."""
    server: Postgres | None = None
    database: Database
    arguments.folder.mkdir(parents=True, exist_ok=True)
    if arguments.postgresql:
        server = Postgres(arguments.folder / "postgresql").start()
        database = await PostgresDatabase.open(server.url())
    else:
        database = SqliteDatabase(arguments.folder / "console.sqlite")
    try:
        await fill(database, arguments.attempts)
        if not arguments.postgresql:
            print(f"size: {await database.size_bytes() / arguments.attempts:.0f} bytes per attempt")
        if not arguments.fill_only:
            await questions(database, arguments.attempts, arguments.times)
    finally:
        await database.close()
        if server is not None:
            server.stop()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="intake and answers of the console's store")
    parser.add_argument("--attempts", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/hookferry-console-bench"))
    parser.add_argument("--postgresql", action="store_true")
    parser.add_argument("--fill-only", action="store_true", help="ask nothing; ask in another run")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
