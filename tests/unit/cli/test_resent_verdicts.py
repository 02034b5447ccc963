"""`resend` with ids finds what became of its requests, however long the bridges took."""

from __future__ import annotations

import asyncio
from collections.abc import Set
from types import SimpleNamespace
from typing import Any

import pytest

from bridge.cli import again
from bridge.cli.resend_few import _await
from bridge.history.attempt import AttemptId, Kept
from bridge.history.reader import Found
from bridge.history.selection import AttemptFilter
from tests.support.attempts import BEGAN_S, attempt_at
from tests.support.path import Plan, settings_of

HOUR_S = 3600.0


def kept(second: float, again_id: str | None = None, verdict: str = "delivered") -> Kept:
    facts: dict[str, Any] = {"event_id": "e-1", "again_id": again_id, "verdict": verdict}
    return Kept(AttemptId(0, int(second), 0), "crm", attempt_at(second, **facts))


def test_the_verdict_of_a_request_is_found_after_hours_of_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [BEGAN_S]
    history = [kept(-HOUR_S), kept(10, "first", "again"), kept(20, "first"), kept(30, "second", "park")]

    async def await_settled(settings: Any, ids: Set[str], wait_s: float) -> Set[str]:
        now_s[0] += 5 * HOUR_S  # each of many requests was settled within the wait
        return {"third"}

    class Store:
        async def __aenter__(self) -> Store:
            return self

        async def __aexit__(self, *_: object) -> None:
            pass

        async def newest(self, wanted: AttemptFilter, limit: int, *, bodies: bool) -> Found:
            return Found([one for one in history if wanted.matches(one)])

    monkeypatch.setattr(again, "await_settled", await_settled)
    monkeypatch.setattr("bridge.wiring.kafka.build_history_store", lambda _: Store())
    monkeypatch.setattr("bridge.cli.resend_few.time", SimpleNamespace(time=lambda: now_s[0]))
    requests = {name: kept(0) for name in ("first", "second", "third", "fourth")}
    verdicts = asyncio.run(_await(settings_of({"crm": Plan()}), requests, 60.0))
    assert verdicts == {"first": "delivered", "second": "park", "third": "waiting", "fourth": "settled"}
