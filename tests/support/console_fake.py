"""A console without a broker and a store: plausible contents, and actions that only note what was asked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any, TypeVar

from bridge.console.event_views import (
    AttemptDetail,
    AttemptRow,
    DigestHour,
    EventTimeline,
    FeedEntry,
    ParkedDetail,
    ParkedRow,
)
from bridge.console.ports import Done, Who
from bridge.console.query import AttemptQuery, Page, ParkedQuery
from bridge.console.state_views import (
    ChangeRow,
    ConfigView,
    EndpointState,
    Following,
    JobRow,
    Overview,
    PodRow,
    Point,
    SchemaRow,
    SwitchRow,
)
from bridge.wiring.replay_plan import ReplayRequest

T = TypeVar("T")
NOW_S = 1_790_000_000.0
MARKUP = '<script>alert("loan")</script>'
"""Event data with markup, which a page has to show as text."""


def _attempts(number: int) -> list[AttemptRow]:
    endpoints = ("crm", "ledger", "slack-ops")
    rows = []
    for index in range(number):
        failed = index % 7 == 3
        event = index // 2 * 2 if failed else index
        rows.append(
            AttemptRow(
                id=f"{index % 3}:{1000 + index}:0",
                endpoint=endpoints[index % 3],
                sent_s=NOW_S - (number - index) * 20,
                answered_s=NOW_S - (number - index) * 20 + 0.12,
                event_id=f"evt-{event}",
                webhook_id=f"msg_{event:06d}",
                type="LoanApprovedBusinessEvent" if index % 2 else "SavingsDepositBusinessEvent",
                entity=MARKUP if index == 5 else str(4700 + index % 20),
                tenant="default",
                attempt=1 + index % 3 if failed else 1,
                status=503 if failed else 200,
                verdict="retry" if failed else "delivered",
                reason="answer 503 Service Unavailable" if failed else "answer 200 OK",
                next_s=NOW_S + 30 if failed else None,
                place=f"external-events-{index % 3}@{9000 + index}",
                appended_s=NOW_S - (number - index) * 20 - 0.5,
                body_bytes=312,
            )
        )
    return rows


class FakeConsole:
    """Reads and actions of ``bridge.console.ports``. ``done`` has what was asked, in order."""

    def __init__(self, attempts: int = 120) -> None:
        self.done: list[tuple[str, tuple[Any, ...], Who]] = []
        self.rows = _attempts(attempts)
        self.job_rows = [
            JobRow(
                "rs-1", "resend", "running", "crm", {"endpoint": "crm", "status": "5xx"}, 50.0,
                "2026-09-21T13:00:00Z", "2026-09-21T13:05:00Z", "ann", "outage of the CRM", 1000, 400,
                progress=0.4, left_s=12.0,
            ),
            JobRow(
                "rp-2", "replay", "paused", "ledger", {"from": "2026-09-20T00:00:00Z"}, None,
                "2026-09-21T12:00:00Z", "2026-09-21T12:30:00Z", "bob", "new ledger", None, 77,
            ),
        ]  # fmt: skip
        self.parked_rows = [
            ParkedRow(
                f"0:{index}", "crm", f"evt-{index}", f"msg_{index:06d}", "LoanApprovedBusinessEvent",
                str(4711 + index), "default", "status 422: amount is missing",
                "fix the cause at the receiver", 422, 1, NOW_S - 600 * index,
                f"external-events-0@{8000 + index}", held=index == 1,
            )
            for index in range(12)
        ]  # fmt: skip

    def _paged(self, rows: Sequence[T], cursor: str | None, limit: int) -> Page[T]:
        start = int(cursor or 0)
        more = start + limit < len(rows)
        return Page(rows[start : start + limit], str(start + limit) if more else None)

    async def overview(self) -> Overview:
        return Overview(
            "hookferry", await self.endpoints(), len(self.parked_rows), 1, self.job_rows, self._pods(),
            Following(0, True, NOW_S - 1), 3,
        )  # fmt: skip

    async def attempts(
        self, query: AttemptQuery, cursor: str | None = None, limit: int = 50, *, newer: bool = False
    ) -> Page[AttemptRow]:
        rows = [row for row in reversed(self.rows) if _matches(row, query)]
        if newer:
            return Page(list(reversed(rows))[int(cursor or 0) :][:limit], str(len(rows)))
        return self._paged(rows, cursor, limit)

    async def attempt(self, attempt_id: str) -> AttemptDetail | None:
        for row in self.rows:
            if row.id == attempt_id:
                return AttemptDetail(
                    row, "POST", f"https://{row.endpoint}.example/hooks?key=***",
                    [("content-type", "application/json"), ("webhook-id", row.webhook_id),
                     ("webhook-signature", "***")],
                    json.dumps({"type": row.type, "entity": row.entity}), None,
                    [("server", "nginx")], "ok" if row.status == 200 else MARKUP, "2026-09-21T13:00:00Z",
                )  # fmt: skip
        return None

    async def event(self, event_id: str) -> EventTimeline | None:
        rows = [row for row in self.rows if event_id in (row.event_id, row.webhook_id)]
        if not rows:
            return None
        first = rows[0]
        parked = [row for row in self.parked_rows if row.event_id == first.event_id]
        return EventTimeline(
            first.event_id, first.type, first.entity, first.tenant, "2026-09-21T13:00:00Z", first.place,
            rows, parked,
        )  # fmt: skip

    async def endpoints(self) -> Sequence[EndpointState]:
        points = [Point(NOW_S - 60 * (60 - n), 20 + n % 7, 19 + n % 7, 0.1 + n % 5 / 50) for n in range(60)]
        return [
            EndpointState(
                "crm", "https://crm.example/hooks", None, True, True, lag_events=42, oldest_s=12.5,
                attempts_per_s=3.2, delivered_per_s=3.1, success_rate=0.97, latency_p50_s=0.2,
                latency_p99_s=1.4, breaker="closed", limit="10 requests/s",
                slow_because="answers 429 since 13:02", held=1, parked=12, last_delivered_s=NOW_S - 2,
                last_failed_s=NOW_S - 60, last_reason="answer 503 Service Unavailable", points=points,
            ),
            EndpointState(
                "ledger", "https://ledger.example/in", None, True, False, "2026-09-21T12:00:00Z", "ann",
                "maintenance", lag_events=5000, lag_bound="at least", oldest_s=3600.0, points=points[:3],
            ),
            EndpointState(
                "slack-ops", "https://hooks.slack.com/services/***", "slack", True, True, lag_events=0,
                success_rate=1.0, breaker="closed", latency_p50_s=0.3, latency_p99_s=0.5, points=points,
                events_off=("Savings*",),
            ),
        ]  # fmt: skip

    async def endpoint(self, name: str) -> EndpointState | None:
        return next((state for state in await self.endpoints() if state.name == name), None)

    async def parked(self, query: ParkedQuery, cursor: str | None = None, limit: int = 50) -> Page[ParkedRow]:
        rows = [
            row
            for row in self.parked_rows
            if query.endpoint in (None, row.endpoint)
            and query.entity in (None, row.entity)
            and (query.state == "all" or row.state == query.state)
        ]
        return self._paged(rows, cursor, limit)

    async def parked_one(self, address: str) -> ParkedDetail | None:
        for row in self.parked_rows:
            if row.address == address:
                return ParkedDetail(row, {"webhook-id": row.webhook_id or ""}, '{"loanId": 4711}')
        return None

    async def jobs(self) -> Sequence[JobRow]:
        return self.job_rows

    async def job(self, job_id: str) -> JobRow | None:
        return next((row for row in self.job_rows if row.id == job_id), None)

    async def switches(self) -> Sequence[SwitchRow]:
        return [
            SwitchRow("endpoint", "ledger", "ledger", False, "2026-09-21T12:00:00Z", "ann", "maintenance"),
            SwitchRow("events", "Savings*", "slack-ops", False, "2026-09-21T11:00:00Z", "bob", "too many"),
        ]

    async def schemas(self) -> Sequence[SchemaRow]:
        return [SchemaRow("fineract", "LoanAccountDataV1", "1", "schemas/LoanAccountDataV1.avsc", ("id",))]

    async def config(self) -> ConfigView:
        return ConfigView(
            "bridge.yaml", "kafka:\n  group: hookferry\n  password: '***'\n", "ab12", "cd34", NOW_S - 3600,
            ["-  rate: 10", "+  rate: 20"], [], self._pods(),
        )  # fmt: skip

    def _pods(self) -> Sequence[PodRow]:
        return [
            PodRow("bridge-0", NOW_S - 3, "ab12", "1.0.0"),
            PodRow("bridge-1", NOW_S - 4, "ab12", "1.0.0"),
        ]

    async def changes(self, cursor: str | None = None, limit: int = 50) -> Page[ChangeRow]:
        rows = [
            ChangeRow(f"2026-09-21T12:00:0{n}Z-a", f"2026-09-21T12:00:0{n}Z", "ann", "endpoint off", "ledger",
                      "maintenance", "")
            for n in range(3)
        ]  # fmt: skip
        return self._paged(rows, cursor, limit)

    async def feed(self, endpoint: str, after: str | None = None, limit: int = 100) -> Page[FeedEntry]:
        start = int(after or 0)
        rows = [row for row in self.rows if row.endpoint == endpoint][start : start + limit]
        entries = [
            FeedEntry(
                str(start + index + 1), row.webhook_id, row.type, row.sent_s, row.attempt, row.status,
                row.status == 200, {"webhook-id": row.webhook_id}, "{}", None,
            )
            for index, row in enumerate(rows)
        ]  # fmt: skip
        return Page(entries, entries[-1].cursor if entries else after)

    async def digest(self, endpoint: str, since_s: float, until_s: float) -> Sequence[DigestHour]:
        return [DigestHour(since_s // 3600 * 3600, 2, "00" * 32)]

    def _note(self, action: str, who: Who, *given: Any) -> Done:
        self.done.append((action, given, who))
        return Done(f"{action}: {', '.join(map(str, given))}")

    async def switch_endpoint(self, name: str, on: bool, who: Who) -> Done:
        return self._note("switch_endpoint", who, name, on)

    async def switch_events(self, pattern: str, endpoint: str, on: bool, who: Who) -> Done:
        return self._note("switch_events", who, pattern, endpoint, on)

    async def redrive(self, addresses: Sequence[str], who: Who) -> Done:
        return replace(self._note("redrive", who, *addresses), count=len(addresses))

    async def redrive_all(self, query: ParkedQuery, who: Who) -> Done:
        return replace(self._note("redrive_all", who, query), count=len(self.parked_rows))

    async def discard(self, addresses: Sequence[str], who: Who) -> Done:
        return replace(self._note("discard", who, *addresses), count=len(addresses))

    async def resend(self, attempt_id: str, who: Who, *, render: bool = False, new_id: bool = False) -> Done:
        return self._note("resend", who, attempt_id, render, new_id)

    async def count(self, query: AttemptQuery) -> int:
        return sum(_matches(row, query) for row in self.rows)

    async def resend_all(
        self,
        query: AttemptQuery,
        who: Who,
        *,
        render: bool = False,
        new_id: bool = False,
        rate_per_s: float | None = None,
    ) -> Done:
        return replace(self._note("resend_all", who, query, render, new_id, rate_per_s), job="rs-3")

    async def plan_replay(self, request: ReplayRequest, who: Who) -> Done:
        return Done("40 events, of 1,200 offsets of the log", 40, ids=["retention deleted 3 records"])

    async def replay(self, request: ReplayRequest, who: Who) -> Done:
        return replace(self._note("replay", who, request), job="rp-4")

    async def pause_job(self, job_id: str, who: Who) -> Done:
        return self._note("pause_job", who, job_id)

    async def resume_job(self, job_id: str, who: Who) -> Done:
        return self._note("resume_job", who, job_id)

    async def cancel_job(self, job_id: str, who: Who) -> Done:
        return self._note("cancel_job", who, job_id)


def _matches(row: AttemptRow, query: AttemptQuery) -> bool:
    return (
        query.endpoint in (None, row.endpoint)
        and query.event in (None, row.event_id, row.webhook_id)
        and (query.type is None or fnmatchcase(row.type, query.type))
        and query.entity in (None, row.entity)
        and query.tenant in (None, row.tenant)
        and query.verdict in (None, row.verdict)
        and (query.since_s is None or row.sent_s >= query.since_s)
        and (query.until_s is None or row.sent_s < query.until_s)
        and (query.text is None or query.text in f"{row.reason} {row.event_id} {row.entity}")
        and (query.status is None or _has_status(row, query.status))
    )


def _has_status(row: AttemptRow, status: str) -> bool:
    if row.status is None or status == "none":
        return row.status is None and status == "none"
    return status in (str(row.status), f"{row.status // 100}xx")
