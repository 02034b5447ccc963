"""What the console finds among the attempts that it stored."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.console.query import AttemptQuery
from bridge.console.store.attempts import AttemptQueries
from bridge.console.store.database import Database
from bridge.errors import BadCursor
from tests.support.attempts import BEGAN_S, attempt_at, batch_record
from tests.support.console_store import TOPIC, store_attempts

EVERY = AttemptQuery()


def failed(second: float, **facts: Any) -> Any:
    return attempt_at(second, **({"status": 503, "verdict": "again", "reason": "answer 503"} | facts))


async def fill(store: Database) -> AttemptQueries:
    await store_attempts(
        store,
        batch_record(0, attempt_at(1), failed(2, event_id="id-9", webhook_id="msg_9"), attempt_at(5)),
        batch_record(
            0,
            attempt_at(3, entity="e2", tenant="acme", type="LoanPaid", body=b'{"note": "Stra\xc3\x9fe 4"}'),
            failed(4, status=None, reason="timeout", tenant="acme", answer_body=None, answer_headers=None),
            endpoint="ledger",
            partition=1,
        ),
        batch_record(7, attempt_at(6, event_id="id-9", webhook_id="msg_9")),
    )
    return AttemptQueries(store, TOPIC)


async def ids(queries: AttemptQueries, query: AttemptQuery, limit: int = 50) -> list[str]:
    return [row.id for row in (await queries.page(query, None, limit)).items]


async def test_attempts_of_all_partitions_come_newest_first(store: Database) -> None:
    assert await ids(await fill(store), EVERY) == ["0:7:0", "0:0:2", "1:0:1", "1:0:0", "0:0:1", "0:0:0"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (AttemptQuery(endpoint="ledger"), ["1:0:1", "1:0:0"]),
        (AttemptQuery(endpoint="nobody"), []),
        (AttemptQuery(event="id-9"), ["0:7:0", "0:0:1"]),
        (AttemptQuery(event="msg_9"), ["0:7:0", "0:0:1"]),
        (AttemptQuery(event="id-9", status="5xx"), ["0:0:1"]),
        (AttemptQuery(event="id-9", entity="e2"), []),
        (AttemptQuery(type="Loan*", entity="e2"), ["1:0:0"]),
        (AttemptQuery(type="LoanPaid"), ["1:0:0"]),
        (AttemptQuery(type="*Approved", tenant="acme"), ["1:0:1"]),
        (AttemptQuery(tenant="acme"), ["1:0:1", "1:0:0"]),
        (AttemptQuery(status="503"), ["0:0:1"]),
        (AttemptQuery(status="none"), ["1:0:1"]),
        (AttemptQuery(verdict="again"), ["1:0:1", "0:0:1"]),
        (AttemptQuery(verdict="delivered", endpoint="crm"), ["0:7:0", "0:0:2", "0:0:0"]),
        (AttemptQuery(since_s=BEGAN_S + 3, until_s=BEGAN_S + 5), ["1:0:1", "1:0:0"]),
        (AttemptQuery(since_s=BEGAN_S + 2, until_s=BEGAN_S + 6, endpoint="crm"), ["0:0:2", "0:0:1"]),
        (AttemptQuery(text="STRASSE"), ["1:0:0"]),
        (AttemptQuery(text="Timeout"), ["1:0:1"]),
        (AttemptQuery(text="msg_9", verdict="again"), ["0:0:1"]),
        (AttemptQuery(text='"note"'), ["1:0:0"]),
        (AttemptQuery(text="nowhere"), []),
    ],
)
async def test_every_filter_selects_what_it_names(
    store: Database, query: AttemptQuery, found: list[str]
) -> None:
    assert await ids(await fill(store), query) == found


@pytest.mark.parametrize("query", [EVERY, AttemptQuery(endpoint="crm"), AttemptQuery(text="content-type")])
async def test_pages_by_cursor_have_every_attempt_once_while_others_arrive(
    store: Database, query: AttemptQuery
) -> None:
    queries = await fill(store)
    whole = await ids(queries, query)
    seen: list[str] = []
    cursor = None
    for arrival in range(20):
        page = await queries.page(query, cursor, 2)
        seen += [row.id for row in page.items]
        cursor = page.cursor
        if cursor is None:
            break
        await store_attempts(store, batch_record(100 + arrival, attempt_at(1000 + arrival)))
    assert seen == whole


async def test_attempts_of_one_millisecond_are_all_on_the_pages(store: Database) -> None:
    await store_attempts(store, batch_record(0, *[attempt_at(1, event_id=f"e{n}") for n in range(7)]))
    queries, seen, cursor = AttemptQueries(store, TOPIC), [], None
    while True:
        page = await queries.page(EVERY, cursor, 3)
        seen += [row.event_id for row in page.items]
        if (cursor := page.cursor) is None:
            break
    assert sorted(seen) == [f"e{n}" for n in range(7)]


@pytest.mark.parametrize("cursor", ["", "x", "1", "1.x", "-1.2", "1.2.3", "9" * 30 + ".1", "٣.1"])
async def test_a_cursor_that_was_not_issued_is_an_error(store: Database, cursor: str) -> None:
    with pytest.raises(BadCursor, match="begin again"):
        await AttemptQueries(store, TOPIC).page(EVERY, cursor, 10)


async def test_the_live_tail_returns_what_was_stored_after_the_cursor_oldest_first(store: Database) -> None:
    queries = await fill(store)
    begin = await queries.newer(EVERY, None, 50)
    assert begin.items == []
    await store_attempts(store, batch_record(8, attempt_at(2.5), attempt_at(7), attempt_at(8)))
    await store_attempts(store, batch_record(1, attempt_at(9), endpoint="ledger", partition=1))
    page = await queries.newer(AttemptQuery(endpoint="crm"), begin.cursor, 2)
    assert [row.id for row in page.items] == ["0:8:0", "0:8:1"]
    rest = await queries.newer(AttemptQuery(endpoint="crm"), page.cursor, 50)
    assert [row.id for row in rest.items] == ["0:8:2"]
    assert (await queries.newer(EVERY, rest.cursor, 50)).items == []


async def test_an_attempt_is_shown_with_its_request_and_answer(store: Database) -> None:
    queries = await fill(store)
    detail = await queries.one("1:0:0")
    assert detail is not None
    assert detail.row.entity == "e2"
    assert detail.body == '{"note": "Straße 4"}'
    assert detail.headers == [("content-type", "application/json")]
    assert (detail.answer_body, detail.method, detail.url) == ("ok", "POST", "https://crm.test:443/***")
    assert detail.row.status == 200
    assert detail.row.took_s == pytest.approx(0.25)
    unanswered = await queries.one("1:0:1")
    assert unanswered is not None
    assert (unanswered.row.status, unanswered.answer_body) == (None, None)
    for unknown in ("1:0:2", "5:0:0", "", "x", "1:0"):
        assert await queries.one(unknown) is None


async def test_the_attempts_of_an_event_come_oldest_first(store: Database) -> None:
    queries = await fill(store)
    assert [row.id for row in await queries.of_event("msg_9")] == ["0:0:1", "0:7:0"]


async def test_a_dry_run_counts_events_and_not_attempts(store: Database) -> None:
    queries = await fill(store)
    assert await queries.count(AttemptQuery(endpoint="crm")) == 3
    assert await queries.count(AttemptQuery(text="timeout")) == 1


async def test_many_combinations_of_type_and_status_are_merged_in_order(store: Database) -> None:
    await store_attempts(
        store, batch_record(0, *[attempt_at(n, type=f"T{n % 250}", event_id=f"e{n}") for n in range(600)])
    )
    page = await AttemptQueries(store, TOPIC).page(AttemptQuery(type="T*"), None, 400)
    assert [row.event_id for row in page.items] == [f"e{n}" for n in reversed(range(200, 600))]
