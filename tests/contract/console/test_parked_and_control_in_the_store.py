"""Dead letters and the control topic in the store of the console."""

from __future__ import annotations

import orjson
import pytest

from bridge.console.intakes import ControlIntake
from bridge.console.query import ParkedQuery
from bridge.console.store.control import ControlQueries, job_row
from bridge.console.store.database import Database
from bridge.console.store.parked import ParkedQueries
from bridge.core import changes, jobs
from bridge.core.changes import Change
from bridge.core.jobs import Job, JobKind, JobState
from bridge.core.switches import EventTypes, Switch, key_of
from bridge.dead_letters.letter import Address, Fate, Settlement
from bridge.errors import BadCursor
from bridge.model import Partition, Record
from tests.support.console_store import store_control, store_parked
from tests.support.letters import letter_record

ALL = ParkedQuery(state="all")


def settled(at: int, offset: int, fate: Fate) -> Record:
    marker = Settlement(Address(1, at), fate, 1_700_000_600_000, "ann", "because")
    return Record(Partition("g.parked", 1), offset, 0, b"e1", None, marker.headers())


def control(offset: int, key: bytes, value: bytes | None) -> Record:
    return Record(Partition("g.control", 0), offset, 0, key, value)


async def addresses(store: Database, query: ParkedQuery) -> list[str]:
    return [row.address for row in (await ParkedQueries(store).page(query, None, 100)).items]


async def fill(store: Database) -> None:
    await store_parked(
        store,
        letter_record(5, entity="4711", lane="l1"),
        letter_record(6, endpoint="erp", parked_at_ms="1700000600000", event_type="LoanPaid"),
        letter_record(7, parked_at_ms="1700000700000", event_id="b", webhook_id="w2"),
        settled(7, 8, Fate.DISCARDED),
    )


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (ParkedQuery(), ["1:6", "1:5"]),
        (ALL, ["1:7", "1:6", "1:5"]),
        (ParkedQuery(state="discarded"), ["1:7"]),
        (ParkedQuery(endpoint="erp"), ["1:6"]),
        (ParkedQuery(entity="4711"), ["1:5"]),
        (ParkedQuery(type="*Paid"), ["1:6"]),
        (ParkedQuery(reason="NO SUCH"), ["1:6", "1:5"]),
        (ParkedQuery(text="loanpaid"), ["1:6"]),
        (ParkedQuery(since_s=1_700_000_600), ["1:6"]),
        (ParkedQuery(until_s=1_700_000_600), ["1:5"]),
    ],
)
async def test_parked_events_are_found_by_every_filter(
    store: Database, query: ParkedQuery, found: list[str]
) -> None:
    await fill(store)
    assert await addresses(store, query) == found


async def test_a_letter_that_is_read_twice_keeps_its_state(store: Database) -> None:
    await fill(store)
    await fill(store)
    await store.change([])
    detail = await ParkedQueries(store).one("1:7")
    assert detail is not None
    assert detail.row.state == "discarded"
    assert detail.history == ["discarded by ann: because"]
    assert await ParkedQueries(store).counts() == {"crm": 1, "erp": 1}


async def test_pages_of_parked_events_have_each_once(store: Database) -> None:
    await store_parked(store, *[letter_record(at) for at in range(7)])
    queries, seen, cursor = ParkedQueries(store), list[str](), None
    while True:
        page = await queries.page(ParkedQuery(), cursor, 3)
        seen += [row.address for row in page.items]
        if (cursor := page.cursor) is None:
            break
    assert seen == [f"1:{at}" for at in reversed(range(7))]
    assert [str(one) for one in await queries.addresses(ParkedQuery())] == list(reversed(seen))
    with pytest.raises(BadCursor):
        await queries.page(ParkedQuery(), "x", 3)


async def test_a_parked_event_has_the_status_of_its_last_answer_and_its_attempts(store: Database) -> None:
    await store_parked(store, letter_record(5, status="400"), letter_record(6, attempts=None))
    rows = (await ParkedQueries(store).page(ParkedQuery(), None, 10)).items
    assert [(row.address, row.status, row.attempts) for row in rows] == [("1:6", None, None), ("1:5", 400, 2)]


async def test_a_parked_event_of_a_held_lane_is_marked(store: Database) -> None:
    await fill(store)
    await store_control(store, control(0, b"hold/crm/l1", b"{}"))
    rows = (await ParkedQueries(store).page(ParkedQuery(), None, 10)).items
    assert [(row.address, row.held) for row in rows] == [("1:6", False), ("1:5", True)]
    assert (await ControlQueries(store).held())["crm"] == 1


async def test_the_last_record_of_a_key_is_its_state_and_a_deletion_deletes(store: Database) -> None:
    off, on = Switch(False, "2026-01-01T00:00:00Z", "ann", "x"), Switch(True, "2026-01-02T00:00:00Z", "bob")
    types = EventTypes("Loan*", "crm")
    await store_control(
        store,
        control(0, key_of("crm"), off.to_bytes()),
        control(1, key_of("crm"), on.to_bytes()),
        control(2, key_of("erp"), off.to_bytes()),
        control(3, key_of(types), off.to_bytes()),
        control(4, key_of("erp"), None),
        control(5, key_of("bad"), b"nonsense"),
        control(6, b"newer/kind", b"x"),
    )
    rows = await ControlQueries(store).switches()
    assert [(row.kind, row.name, row.on, row.by) for row in rows] == [
        ("endpoint", "crm", True, "bob"),
        ("events", "Loan*", False, "ann"),
    ]


async def test_what_compaction_removed_while_no_console_ran_is_removed_here(store: Database) -> None:
    off = Switch(False, "2026-01-01T00:00:00Z", "ann", "x").to_bytes()
    change = Change("2026-01-01T00:00:00Z", "ann", "endpoint off", "crm")
    kept = control(1, changes.new_key(change), change.to_bytes())
    await store_control(store, control(0, key_of("crm"), off), kept)
    intake = ControlIntake(store)
    await intake.load(None)
    intake.take([control(5, key_of("erp"), off)])
    await store.change(intake.caught_up())
    assert [row.name for row in await ControlQueries(store).switches()] == []
    assert len((await ControlQueries(store).changes(None, 10)).items) == 1, "a change stays"


async def test_the_audit_comes_newest_first_in_pages(store: Database) -> None:
    for second in range(5):
        change = Change(f"2026-01-01T00:00:0{second}Z", "ann", "endpoint off", f"e{second}", key=f"k{second}")
        await store_control(store, control(second, changes.new_key(change), change.to_bytes()))
    queries = ControlQueries(store)
    first = await queries.changes(None, 3)
    rest = await queries.changes(first.cursor, 3)
    assert [row.subject for row in (*first.items, *rest.items)] == ["e4", "e3", "e2", "e1", "e0"]
    assert rest.cursor is None
    assert [one.subject for one in await queries.change_with("k3")] == ["e3"]


async def test_jobs_have_progress_and_an_estimate(store: Database) -> None:
    job = Job(
        "j1", JobKind.RESEND, JobState.RUNNING, "crm", {"status": "5xx"}, 10.0, "2026-01-01T00:00:00Z",
        "2026-01-01T00:00:00Z", "ann", total=100, done=40,
    )  # fmt: skip
    await store_control(
        store, control(0, jobs.key_of("j1"), job.to_bytes()), control(1, b"job/x", orjson.dumps([]))
    )
    (found,) = await ControlQueries(store).all_jobs()
    row = job_row(found, 1_767_225_660.0)
    assert (row.progress, row.left_s, row.query) == (0.4, 6.0, {"status": "5xx"})


async def test_reports_of_pods_are_read(store: Database) -> None:
    report = {"at": "2026-01-01T00:00:00Z", "version": "1", "config_hash": "ab", "ready": True}
    await store_control(
        store, control(0, b"pod/bridge-0", orjson.dumps(report)), control(1, b"pod/bad", b"[]")
    )
    (pod,) = await ControlQueries(store).pods()
    assert (pod.name, pod.config_hash, pod.reported_s, pod.ready) == ("bridge-0", "ab", 1767225600.0, True)
