"""The feed of a receiver, and what the store does not keep any more."""

from __future__ import annotations

import hashlib

import pytest

from bridge.console.query import AttemptQuery
from bridge.console.retention import Retention
from bridge.console.store.attempts import AttemptQueries
from bridge.console.store.database import Database
from bridge.console.store.feed import FeedQueries
from bridge.console.store.open import claim
from bridge.errors import BadCursor
from bridge.settings.models.console import ConsoleSettings
from tests.support.attempts import BEGAN_S, attempt_at, batch_record
from tests.support.console_store import TOPIC, store_attempts

HOUR = BEGAN_S // 3600 * 3600


async def read_feed(store: Database, endpoint: str, limit: int, after: str | None = None) -> list[str]:
    feed, seen = FeedQueries(store, TOPIC), list[str]()
    while True:
        page = await feed.page(endpoint, after, limit)
        if not page.items:
            assert page.cursor == after
            return seen
        seen += [entry.webhook_id for entry in page.items]
        after = page.cursor


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_the_feed_has_every_attempt_of_the_endpoint_once_in_order(store: Database, limit: int) -> None:
    await store_attempts(
        store,
        batch_record(0, attempt_at(1), attempt_at(2)),
        batch_record(1, attempt_at(3), endpoint="erp"),
        batch_record(2, attempt_at(4, status=500, verdict="again"), attempt_at(5)),
    )
    assert await read_feed(store, "crm", limit) == ["msg_1", "msg_2", "msg_4", "msg_5"]
    assert await read_feed(store, "nobody", limit) == []


async def test_a_cursor_of_the_feed_survives_a_rebuild_and_more_partitions(
    store: Database,
) -> None:
    first, second = batch_record(0, attempt_at(1), attempt_at(2)), batch_record(1, attempt_at(3))
    await store_attempts(store, first)
    page = await FeedQueries(store, TOPIC).page("crm", None, 1)
    await store.reset()
    moved = batch_record(2, attempt_at(4), partition=1)
    await store_attempts(store, moved, first, second)
    assert await read_feed(store, "crm", 10, page.cursor) == ["msg_2", "msg_3", "msg_4"]
    for wrong in ("x", "1.2", "1.2.3_", "9.9.9.9"):
        with pytest.raises(BadCursor):
            await FeedQueries(store, TOPIC).page("crm", wrong, 1)


async def test_entries_have_the_body_as_it_was_sent(store: Database) -> None:
    await store_attempts(store, batch_record(0, attempt_at(1, body=b'{"a": 1}'), attempt_at(2, body=None)))
    entries = (await FeedQueries(store, TOPIC).page("crm", None, 10)).items
    assert [entry.body for entry in entries] == ['{"a": 1}', None]
    assert entries[0].headers == {"content-type": "application/json"}
    assert entries[0].delivered


async def test_the_digest_of_an_hour_is_what_a_receiver_computes(store: Database) -> None:
    start = HOUR - BEGAN_S
    await store_attempts(
        store,
        batch_record(
            0,
            attempt_at(start + 5, webhook_id="b"),
            attempt_at(start + 6, webhook_id="a"),
            attempt_at(start + 7, webhook_id="a"),
            attempt_at(start + 8, webhook_id="c", status=500, verdict="again"),
            attempt_at(start + 3700, webhook_id="d"),
        ),
    )
    first, second = await FeedQueries(store, TOPIC).digest("crm", HOUR + 1, HOUR + 7200)
    assert (first.hour_s, first.count) == (HOUR, 2)
    assert first.sha256 == hashlib.sha256(b"a\nb\n").hexdigest()
    assert (second.hour_s, second.count) == (HOUR + 3600, 1)
    assert await FeedQueries(store, TOPIC).digest("erp", HOUR, HOUR + 7200) == []


async def test_attempts_that_are_too_old_are_deleted_with_their_records(store: Database) -> None:
    old = batch_record(0, attempt_at(1), attempt_at(2))
    await store_attempts(store, old, batch_record(1, attempt_at(500), attempt_at(501)))
    retention = Retention(store, ConsoleSettings(keep_s=100))
    assert await retention.trim(BEGAN_S + 550) == 2
    rows = (await AttemptQueries(store, TOPIC).page(AttemptQuery(), None, 10)).items
    assert [row.id for row in rows] == ["0:1:1", "0:1:0"]
    assert await store.fetch("SELECT part, place FROM batches") == [(0, 1)]
    assert await retention.trim(BEGAN_S + 550) == 0


async def test_a_store_of_another_group_or_cluster_is_emptied(store: Database) -> None:
    await claim(store, "g at c1")
    await store_attempts(store, batch_record(0, attempt_at(1)))
    await claim(store, "g at c1")
    assert len(await store.fetch("SELECT id FROM attempts")) == 1
    await claim(store, "g at c2")
    assert await store.fetch("SELECT id FROM attempts") == []
    assert await store.position(TOPIC) is None
