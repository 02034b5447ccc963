"""What is written together with a re-send: the audit, and the receipt of the console."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bridge.core.changes import Change, read_change
from bridge.core.jobs import Job, JobState
from bridge.history.attempt import AttemptId, Kept
from bridge.history.selection import AttemptFilter
from bridge.kafka.client import KafkaOptions
from bridge.kafka.producer import NewRecord
from bridge.resend import service
from bridge.resend.entries import Targets
from bridge.resend.job_store import Author, JobStore
from bridge.resend.query import ResendQuery
from bridge.resend.service import GroupTopics, Resending
from tests.support.attempts import attempt_at

ANN = Author("ann", "outage")
RECEIPT = Change("2026-11-27T10:00:00Z", "ann", "answer", "resend: x", key="k1", answer="{}")
Started = Callable[["Stage"], Any]


class Stage:
    """Transactions in memory: each is a list of records. A writer that is killed leaves none."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.committed: list[list[NewRecord]] = []
        self.killed_at = ""
        topics = GroupTopics("g", "g.again", "g.attempts", "g.control")
        self.resending = Resending(KafkaOptions(("k:9092",)), topics, {"crm"}, lambda topic: True)
        self.store = JobStore("g.control", lambda: None, self.open_writer)  # type: ignore[arg-type,return-value]
        self.resending.store = self.store
        monkeypatch.setattr(self.resending, "_open_writer", self.open_writer)
        monkeypatch.setattr(self.resending, "_prepare", self.prepare)
        monkeypatch.setattr(service, "SideReader", lambda options: self.open_writer(""))

    async def prepare(self) -> tuple[Any, Targets]:
        return None, Targets("g.again", 9, {"crm"}, lambda topic: True)

    @asynccontextmanager
    async def open_writer(self, _: str) -> AsyncIterator[Stage]:
        self._added: list[NewRecord] = []
        yield self

    async def add(self, records: list[NewRecord]) -> None:
        self._added += records

    async def commit(self) -> None:
        if self.killed_at == "commit":
            raise SystemExit
        self.committed.append(self._added)

    @property
    def changes(self) -> list[Change]:
        """Return the changes of the only transaction."""
        (records,) = self.committed
        return [read_change(one.value) for one in records if (one.key or b"").startswith(b"change/")]  # type: ignore[arg-type]


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(monkeypatch)


async def send_one(stage: Stage) -> None:
    kept = Kept(AttemptId(0, 1, 2), "crm", attempt_at(1))
    await stage.resending.send_now([kept], ANN, also=lambda sent: [RECEIPT])


async def start_many(stage: Stage) -> None:
    query = ResendQuery(AttemptFilter("crm"), render=False, new_id=False)
    await stage.resending.start(query, None, ANN, also=lambda job: [RECEIPT])


async def cancel_one(stage: Stage) -> None:
    query = ResendQuery(AttemptFilter("crm"), render=False, new_id=False)
    job = await stage.store.create(query, None, ANN)

    async def get(job_id: str) -> Job:
        return job

    stage.committed.clear()
    stage.store.get = get  # type: ignore[method-assign]
    await stage.store.change(job.id, JobState.CANCELLED, ANN, also=[RECEIPT])


@pytest.mark.parametrize("start", [send_one, start_many, cancel_one])
async def test_the_receipt_is_in_the_transaction_of_what_was_done(stage: Stage, start: Started) -> None:
    await start(stage)
    assert [change.action for change in stage.changes][-1] == "answer"
    assert stage.changes[-1] == RECEIPT
    assert len(stage.committed[0]) == 3, "what was done, its audit, and the receipt"


@pytest.mark.parametrize("start", [send_one, start_many])
async def test_a_process_that_is_killed_before_the_commit_has_done_nothing(
    stage: Stage, start: Started
) -> None:
    stage.killed_at = "commit"
    with pytest.raises(SystemExit):
        await start(stage)
    assert stage.committed == []
