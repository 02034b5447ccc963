"""How fast the console takes attempts in, and how fast it answers, with many attempts stored.

    python -m tests.bench.console --attempts 1000000 --folder /tmp/bench [--postgresql]

The records are built as bridges write them, 200 attempts each, with bodies of 600 bytes. Building them is not
part of the measurement. Questions are those of the API; each is asked with many different values.
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
from bridge.console.store.attempts import AttemptQueries
from bridge.console.store.database import Database
from bridge.console.store.endpoint_stats import read_stats
from bridge.console.store.feed import FeedQueries
from bridge.console.store.postgres import PostgresDatabase
from bridge.console.store.sqlite import SqliteDatabase
from bridge.console.views import AttemptQuery
from bridge.history.attempt import Attempt, Later
from bridge.history.batch import Writer
from bridge.history.encoding import encode
from bridge.model import Partition, Record
from tests.support.attempts import attempt_at
from tests.support.postgres import Postgres

TOPIC = "g.attempts"
PER_RECORD, RECORDS_PER_READ = 200, 50
ENDPOINTS = [f"endpoint-{number}" for number in range(20)]
TYPES = [f"Type{number}" for number in range(30)]
BEGAN_S = 1_780_000_000.0
PER_S = 2000.0
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
    value = encode(Writer("p", ENDPOINTS[endpoint], number), attempts)
    return Record(Partition(TOPIC, endpoint % 6), number, 0, ENDPOINTS[endpoint].encode(), value)


async def fill(database: Database, attempts: int) -> None:
    """Store so many attempts, and print the rate from time to time."""
    intake, randomness = AttemptsIntake(database), random.Random(7)
    await intake.load(None)
    wall_s = cpu_s = last_wall_s = 0.0
    stored = last = 0
    for version, begin in enumerate(range(0, attempts // PER_RECORD, RECORDS_PER_READ)):
        records = [build_record(begin + number, randomness) for number in range(RECORDS_PER_READ)]
        began, began_cpu = time.perf_counter(), time.process_time()
        taken = intake.take(records)
        assert await database.apply(TOPIC, version, taken.state, taken.changes)
        wall_s += time.perf_counter() - began
        cpu_s += time.process_time() - began_cpu
        stored += PER_RECORD * RECORDS_PER_READ
        if stored - last >= 500_000 or stored >= attempts:
            rate = (stored - last) / (wall_s - last_wall_s)
            print(f"{stored:>10,} stored: {rate:,.0f}/s now, {stored / wall_s:,.0f}/s of wall,"
                  f" {stored / cpu_s:,.0f}/s of CPU")  # fmt: skip
            last, last_wall_s = stored, wall_s


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
    if arguments.postgresql:
        server = Postgres().start()
        database = await PostgresDatabase.open(server.url())
    else:
        arguments.folder.mkdir(parents=True, exist_ok=True)
        database = SqliteDatabase(arguments.folder / "console.sqlite")
    try:
        if not await database.fetch("SELECT id FROM attempts LIMIT 1"):
            await fill(database, arguments.attempts)
        if not arguments.postgresql:
            print(f"size: {await database.size_bytes() / arguments.attempts:.0f} bytes per attempt")
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
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
