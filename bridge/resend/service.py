"""All that a command or a console does about re-sends: preview, start, run, change, and send a few at once.

Invariant: who sent something, and why, is recorded in ``<group>.control`` in the same transaction.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from bridge.core.changes import Change, new_key
from bridge.core.jobs import Job
from bridge.history.attempt import AttemptId, Kept
from bridge.history.scan import AttemptScan
from bridge.kafka.client import KafkaOptions
from bridge.kafka.producer import NewRecord
from bridge.kafka.side_reader import SideReader
from bridge.kafka.topics import count_partitions
from bridge.kafka.transactions import TransactionalWriter
from bridge.resend.entries import Refusal, Targets, refusal, rendered_entry, request_id, stored_entry
from bridge.resend.job_store import Author, JobStore, now
from bridge.resend.query import ResendQuery
from bridge.resend.runner import ResendRunner, select
from bridge.resend.selection import Selection
from bridge.resend.source_records import fetch_records
from bridge.telemetry.scrub import scrub

_AT_ONCE = 16
"""Records of the history that are in memory at once: each has up to 256 KiB of attempts."""


class GroupTopics(NamedTuple):
    """The names of the group, and of its topics."""

    group: str
    again: str
    attempts: str
    control: str


class Preview(NamedTuple):
    """What a bulk re-send would do: how many events by endpoint, and how many it cannot send, by reason."""

    by_endpoint: Mapping[str, int]
    refused: Mapping[Refusal, int]

    @property
    def total(self) -> int:
        """Return how many events would be sent."""
        return sum(self.by_endpoint.values())


@dataclass(slots=True)
class Sent:
    """What was requested, by the id of the request, and what cannot be sent."""

    requests: dict[str, Kept] = field(default_factory=dict)
    refused: list[tuple[Kept, Refusal]] = field(default_factory=list)


class Resending:
    """Re-sends of one group. Methods raise ``KafkaUnavailable``."""

    def __init__(
        self,
        options: KafkaOptions,
        topics: GroupTopics,
        endpoints: Collection[str],
        is_source: Callable[[str], bool],
    ) -> None:
        """``is_source`` returns True for a topic that a source reads."""
        self._options = options
        self._topics = topics
        self._endpoints = endpoints
        self._is_source = is_source
        self.store = JobStore(topics.control, lambda: SideReader(options), self._open_writer)

    async def preview(self, query: ResendQuery) -> Preview:
        """Return what a query selects now. Nothing is written."""
        scan_in, targets = await self._prepare()
        selection = Selection()
        try:
            async with self._open_reader() as reader:
                scan = scan_in(reader)
                await select(scan, query, await scan.ends(), targets, selection, _nothing)
            await asyncio.to_thread(selection.arrange, {})
            return Preview(selection.by_endpoint(), selection.refused())
        finally:
            selection.close()

    async def start(
        self,
        query: ResendQuery,
        rate_per_s: float | None,
        author: Author,
        also: Callable[[Job], Sequence[Change]] = lambda job: (),
    ) -> Job:
        """Write a new job, running: a runner must carry it out, now or after ``ABANDONED_S``.

        What ``also`` returns is written in the same transaction.
        """
        return await self.store.create(query, rate_per_s, author, also)

    async def run(self, job_id: str, on_progress: Callable[[Job], object] = lambda job: None) -> Job:
        """Carry out a running job until it ends; return it. Cancel this to leave it to another runner.

        Raises ``JobError`` if there is no such job. One that another runner carries out is taken over.
        """
        scan_in, targets = await self._prepare()
        runner = ResendRunner(
            job_id,
            self.store,
            open_writer=self._open_writer,
            open_reader=self._open_reader,
            scan=scan_in,
            targets=targets,
            on_progress=on_progress,
        )
        return await runner.run()

    async def send_now(
        self,
        attempts: Sequence[Kept],
        author: Author,
        *,
        render: bool = False,
        new_id: bool = False,
        dry_run: bool = False,
        also: Callable[[Sent], Sequence[Change]] = lambda sent: (),
    ) -> Sent:
        """Send a few attempts again, all or none, without a job; return what was requested, and what cannot.

        With ``dry_run``, nothing is written. What ``also`` returns is written in the same transaction.
        """
        _, targets = await self._prepare()
        sent, token = Sent(), secrets.token_hex(8)
        chosen: list[Kept] = []
        for kept in attempts:
            reason = refusal(kept, targets, render=render)
            if reason is None:
                chosen.append(kept)
            else:
                sent.refused.append((kept, reason))
        records: list[NewRecord] = []
        async with SideReader(self._options) as reader:
            found = await fetch_records(reader, [kept.attempt.source for kept in chosen]) if render else {}
        for kept in sorted(chosen, key=lambda kept: (kept.attempt.source, kept.attempt.event_index)):
            again_id = request_id(token, kept)
            if not render:
                records.append(stored_entry(kept, targets, again_id, new_id=new_id))
            elif record := found.get(kept.attempt.source):
                records.append(rendered_entry(kept, record, targets, again_id, new_id=new_id))
            else:
                sent.refused.append((kept, Refusal.RECORD_GONE))
                continue
            sent.requests[again_id] = kept
        if records and not dry_run:
            changes = _changes(sent, author, render=render, new_id=new_id)
            await self._write(token, records, [*changes, *also(sent)])
        return sent

    async def fetch(self, ids: Collection[AttemptId]) -> dict[AttemptId, Kept]:
        """Return these attempts with their bodies, without those that the history does not have any more."""
        scan_in, _ = await self._prepare()
        async with self._open_reader() as reader:
            return await scan_in(reader).fetch(ids)

    async def _write(self, token: str, records: Sequence[NewRecord], changes: Sequence[Change]) -> None:
        async with self._open_writer(token) as writer:
            await writer.add(records)
            await writer.add(
                [NewRecord(self._topics.control, one.to_bytes(), new_key(one), 0) for one in changes]
            )
            await writer.commit()

    async def _prepare(self) -> tuple[Callable[[SideReader], AttemptScan], Targets]:
        """Look at the topics as they are now."""
        counts = await count_partitions(self._options, self._topics[1:])
        targets = Targets(self._topics.again, counts[self._topics.again], self._endpoints, self._is_source)
        number = counts[self._topics.attempts]
        return lambda reader: AttemptScan(reader, self._topics.attempts, number), targets

    def _open_reader(self) -> SideReader:
        return SideReader(self._options, max_batch=_AT_ONCE, long_poll_ms=50)

    def _open_writer(self, job_id: str) -> TransactionalWriter:
        return TransactionalWriter(self._options, f"{self._topics.group}.resend.{job_id}")


async def _nothing() -> None:
    """Do nothing between two reads."""


def _changes(sent: Sent, author: Author, *, render: bool, new_id: bool) -> list[Change]:
    how = f"render={render} new_id={new_id}"
    return [
        Change(
            now(),
            author.by,
            "resend",
            f"{kept.endpoint} attempt {kept.id}",
            scrub(author.reason),
            scrub(f"{kept.attempt.type} {kept.attempt.event_id} {how}"),
        )
        for kept in sent.requests.values()
    ]
