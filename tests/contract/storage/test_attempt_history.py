"""The history on a real SQLite file: what is kept, what is not, and that it never stops deliveries."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bridge.core.verdict import judge
from bridge.model import Response, Url
from bridge.pipeline.attempt_log import AttemptLog, Outcome, Target
from bridge.rendering import Rendered
from bridge.storage.attempt_history import AttemptRow, History
from bridge.telemetry import events
from bridge.telemetry.metrics import Metrics
from tests.support.fakes import event


def now_ms() -> int:
    return int(time.time() * 1000)


def row(number: int = 1, *, at_ms: int | None = None, body: bytes | None = b"{}") -> AttemptRow:
    return AttemptRow(
        now_ms() if at_ms is None else at_ms, "crm", f"id-{number}", f"evt_{number}", "LoanPaid", "17", "t",
        "topic", 3, number, 2, "again", 503, "status 503", 12.5, "POST", "https://crm.test:443",
        b"webhook-id: x\n", body,
    )  # fmt: skip


class Kept:
    """A history, its counts, and what another reader finds in its file."""

    def __init__(self, path: Path, retention_s: float, max_bytes: int) -> None:
        self.path = path
        self.counts: Counter[str] = Counter()
        self.history = History(
            path,
            retention_s=retention_s,
            max_bytes=max_bytes,
            count=lambda what, n: self.counts.update({what: n}),
        )

    def rows(self, columns: str = "*") -> list[tuple[object, ...]]:
        db = sqlite3.connect(self.path)
        try:
            return db.execute(f"SELECT {columns} FROM attempts ORDER BY id").fetchall()
        finally:
            db.close()

    def all_bytes(self) -> bytes:
        return b"".join(one.read_bytes() for one in self.path.parent.glob(f"{self.path.name}*"))


@pytest.fixture
def keep(tmp_path: Path) -> Iterator[type[Kept]]:
    histories: list[Kept] = []

    def make(retention_s: float = 1000, max_bytes: int = 1 << 30) -> Kept:
        histories.append(Kept(tmp_path / "state" / "history.sqlite", retention_s, max_bytes))
        return histories[-1]

    yield make  # type: ignore[misc]
    for one in histories:
        one.history._forget_connection()


async def test_a_row_is_stored_as_it_was_added(keep: type[Kept]) -> None:
    kept = keep()  # type: ignore[call-arg]
    added = [row(1), row(2, body=None)]
    for one in added:
        kept.history.add(one)
    await kept.history.flush()
    assert [row[1:] for row in kept.rows()] == added
    assert kept.counts == {"written": 2}


async def test_without_rows_no_file_is_created(keep: type[Kept]) -> None:
    kept = keep()  # type: ignore[call-arg]
    await kept.history.flush()
    assert not kept.path.exists()


async def test_close_writes_the_remaining_rows(keep: type[Kept]) -> None:
    kept = keep()  # type: ignore[call-arg]
    kept.history.add(row(1))
    await kept.history.close()
    assert len(kept.rows()) == 1


async def test_the_next_process_appends_to_the_same_file(keep: type[Kept]) -> None:
    for number in (1, 2):
        kept = keep()  # type: ignore[call-arg]
        kept.history.add(row(number))
        await kept.history.close()
    assert [row[0] for row in kept.rows("event_id")] == ["id-1", "id-2"]


async def test_rows_past_the_retention_are_deleted(keep: type[Kept]) -> None:
    kept = keep(retention_s=60)  # type: ignore[call-arg]
    for number in range(10):
        kept.history.add(row(number, at_ms=now_ms() - 61_000 if number < 6 else now_ms() - 1_000))
    await kept.history.flush()
    assert [row[0] for row in kept.rows("offset")] == [6, 7, 8, 9]


async def test_the_file_does_not_grow_past_its_bound(keep: type[Kept]) -> None:
    bound, flush_bytes = 2_000_000, 100 * 2_000
    kept = keep(max_bytes=bound)  # type: ignore[call-arg]
    for batch in range(40):
        for number in range(100):
            kept.history.add(row(batch * 100 + number, body=bytes(2_000)))
        await kept.history.flush()
        assert kept.path.stat().st_size < bound + 3 * flush_bytes
    assert kept.rows("offset")[-1] == (3999,), "the newest are kept"


async def test_only_a_part_is_deleted_when_the_file_is_too_large(keep: type[Kept]) -> None:
    """Large bodies: the bound is reached with few rows, and the history must not become empty by it."""
    kept = keep(max_bytes=2_000_000)  # type: ignore[call-arg]
    for number in range(200):
        kept.history.add(row(number, body=bytes(50_000)))
        await kept.history.flush()
        assert len(kept.rows("id")) >= min(number + 1, 25)
    assert kept.rows("offset")[-1] == (199,)


async def test_a_failing_write_is_logged_once_and_its_rows_are_counted_as_dropped(keep: type[Kept]) -> None:
    kept = keep()  # type: ignore[call-arg]
    kept.path.mkdir(parents=True)
    with capture_logs() as logs:
        for number in range(3):
            kept.history.add(row(number))
            kept.history.add(row(number))
            await kept.history.flush()
    assert [(line["event"], line["log_level"]) for line in logs] == [(events.HISTORY_FAILED, "error")]
    assert kept.counts == {"dropped": 6}


async def test_a_write_after_failures_is_logged_as_recovered(keep: type[Kept]) -> None:
    kept = keep()  # type: ignore[call-arg]
    kept.path.parent.write_text("not a folder")
    with capture_logs() as logs:
        kept.history.add(row(1))
        await kept.history.flush()
        kept.path.parent.unlink()
        for number in (2, 3):
            kept.history.add(row(number))
            await kept.history.flush()
    assert [line["event"] for line in logs] == [events.HISTORY_FAILED, events.HISTORY_RECOVERED]
    assert [row[0] for row in kept.rows("event_id")] == ["id-2", "id-3"]
    assert kept.counts == {"dropped": 1, "written": 2}


async def test_a_file_that_is_damaged_while_open_is_replaced(keep: type[Kept]) -> None:
    kept = keep()  # type: ignore[call-arg]
    kept.history.add(row(1))
    await kept.history.flush()
    other = sqlite3.connect(kept.path)
    other.execute("DROP TABLE attempts")
    other.close()
    with capture_logs() as logs:
        for number in (2, 3):
            kept.history.add(row(number))
            await kept.history.flush()
    assert [line["event"] for line in logs] == [events.HISTORY_FAILED, events.HISTORY_RECOVERED]
    assert [row[0] for row in kept.rows("event_id")] == ["id-3"]


async def test_a_damaged_schema_that_sqlite_cannot_report_counts_as_damage(keep: type[Kept]) -> None:
    """It quotes the damaged schema in its message, which then is no text."""
    before = keep()  # type: ignore[call-arg]
    before.history.add(row(1))
    await before.history.close()
    content = before.path.read_bytes()
    assert b"CREATE TABLE" in content
    before.path.write_bytes(content.replace(b"CREATE TABLE", b"CREATE \xb3ABLE"))
    kept = keep()  # type: ignore[call-arg]
    with capture_logs() as logs:
        for number in (2, 3):
            kept.history.add(row(number))
            await kept.history.flush()
    assert [line["event"] for line in logs] == [events.HISTORY_REPLACED]
    assert [row[0] for row in kept.rows("event_id")] == ["id-2", "id-3"]


async def test_a_row_with_values_of_the_wrong_type_counts_as_damage(keep: type[Kept]) -> None:
    kept = keep()
    kept.history.add(row())
    await kept.history.close()
    db = sqlite3.connect(kept.path)
    db.executescript(
        "PRAGMA writable_schema = 1; UPDATE sqlite_schema SET sql = replace(sql, ' NOT NULL', '')"
    )
    db.close()
    db = sqlite3.connect(kept.path)
    db.execute("UPDATE attempts SET at_ms = NULL")
    db.commit()
    db.close()
    again = keep()
    with capture_logs() as logs:
        again.history.add(row(2))
        await again.history.flush()
        await again.history.close()
    assert [line["event"] for line in logs] == [events.HISTORY_REPLACED]
    assert again.rows("event_id") == [("id-2",)]


async def test_no_secret_is_anywhere_in_the_file(keep: type[Kept]) -> None:
    kept = keep()  # type: ignore[call-arg]
    target = Target(
        "crm",
        ((b"Authorization", b"Bearer B34R3R"), (b"X-Plain", b"shown")),
        frozenset({b"authorization"}),
        5.0,
        keep_bodies=True,
        log_successes=True,
    )
    log = AttemptLog(target, kept.history, Metrics().endpoint("crm"))
    url = Url("https", "crm.test", 443, "/hooks/T0K3N-in-the-path?sig=S1G-in-the-query")
    request = target.request(Rendered("POST", url, (), b'{"data":1}'), ((b"webhook-id", b"evt_1"),))
    assert (b"Authorization", b"Bearer B34R3R") in request.headers, "it is sent"
    outcome = Outcome(Response(503, (), b"no"), now_ms() / 1000, 0.25)
    with capture_logs() as logs:
        log.record(event("a"), 1, request, outcome, judge(outcome.answer))
    await kept.history.flush()
    ((headers, origin, body),) = kept.rows("headers, origin, body")
    assert headers == b"webhook-id: evt_1\nAuthorization: ***\nX-Plain: shown\n"
    assert (origin, body) == ("https://crm.test:443", b'{"data":1}')
    for secret in (b"B34R3R", b"T0K3N", b"S1G"):
        assert secret not in kept.all_bytes()
        assert secret.decode() not in repr(logs)
