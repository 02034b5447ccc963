"""A bulk re-send writes each event once, whenever its runner is killed, fenced, or the broker fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.core.jobs import Job, JobState, job_id_of, read_job
from bridge.errors import BrokerError, RecordTooLarge
from bridge.history.attempt import AttemptId, Kept
from bridge.history.selection import AttemptFilter
from bridge.kafka.producer import NewRecord
from bridge.kafka.transactions import Fenced
from bridge.resend.entries import Targets
from bridge.resend.job_progress import BEAT_S
from bridge.resend.job_store import Author, JobError, JobStore, is_abandoned
from bridge.resend.query import ResendQuery
from bridge.resend.runner import ResendRunner
from tests.support.attempts import attempt_at
from tests.support.simulated import LoopClock, simulated

ANN = Author("ann", "asked for")
QUERY = ResendQuery(AttemptFilter())


class Killed(BaseException):
    """The process ends here."""


class Broker:
    """The committed records, and one transaction per id; ``plan`` says what happens at each call."""

    def __init__(
        self, attempts: Sequence[Kept] = (), plan: Sequence[Exception | type[Killed] | None] = ()
    ) -> None:
        self.attempts = list(attempts)
        self.committed: list[NewRecord] = []
        self.plan: Sequence[Exception | type[Killed] | None] = plan
        self._epoch = 0
        self.commits: list[float] = []

    def step(self) -> None:
        fault, self.plan = (self.plan[0], self.plan[1:]) if self.plan else (None, ())
        if fault is not None:
            raise fault

    @asynccontextmanager
    async def open_writer(self, job_id: str) -> AsyncIterator[FakeWriter]:
        self._epoch += 1
        yield FakeWriter(self, self._epoch)

    def is_newest(self, epoch: int) -> bool:
        return epoch == self._epoch

    @property
    def requests(self) -> list[str]:
        """Return the ids of the requests that are committed."""
        names = [dict(record.headers) for record in self.committed if record.topic == "g.again"]
        return [(headers["hookferry-again-id"] or b"").decode() for headers in names]

    @asynccontextmanager
    async def open_reader(self) -> AsyncIterator[Broker]:
        yield self

    # The scan of the history.

    async def ends(self) -> dict[int, int]:
        return {0: len(self.attempts)}

    async def matching(self, wanted: AttemptFilter, ends: Mapping[int, int]) -> AsyncIterator[list[Kept]]:
        for kept in self.attempts[: ends[0]]:
            yield [kept]

    async def fetch(self, ids: Collection[AttemptId]) -> dict[AttemptId, Kept]:
        await asyncio.sleep(0.3)
        return {kept.id: kept for kept in self.attempts if kept.id in ids}


class FakeWriter:
    def __init__(self, broker: Broker, epoch: int) -> None:
        self._broker = broker
        self._epoch = epoch
        self._added: list[NewRecord] = []

    async def add(self, records: list[NewRecord]) -> None:
        self._check()
        self._added += records

    async def commit(self) -> None:
        self._check()
        self._broker.committed += self._added
        self._added = []
        self._broker.commits.append(asyncio.get_running_loop().time())
        self._broker.step()  # the answer may be lost

    def _check(self) -> None:
        self._broker.step()
        if not self._broker.is_newest(self._epoch):
            raise Fenced("write", "another writer has taken over", "none needed")


class FakeStore(JobStore):
    def __init__(self, broker: Broker) -> None:
        super().__init__("g.control", None, broker.open_writer)  # type: ignore[arg-type] # it reads the fake
        self._broker = broker

    async def all(self) -> list[Job]:
        found: dict[str, Job] = {}
        for record in self._broker.committed:
            if (job_id := job_id_of(record.key)) is not None and record.value is not None:
                found[job_id] = read_job(job_id, record.value)
        return list(found.values())


def runner_of(broker: Broker, job: Job, store: JobStore) -> ResendRunner:
    return ResendRunner(
        job.id,
        store,
        open_writer=broker.open_writer,
        open_reader=broker.open_reader,  # type: ignore[arg-type] # the reader is the fake
        scan=lambda reader: reader,  # type: ignore[arg-type,return-value] # and so is the scan
        targets=Targets("g.again", 8, {"crm", "bank"}, lambda topic: True),
        clock=LoopClock(),
        in_thread=at_once,
    )


async def at_once(work: Callable[..., None], *arguments: object) -> None:
    work(*arguments)


def attempts(number: int) -> list[Kept]:
    return [
        Kept(AttemptId(0, n, 0), ("crm", "bank")[n % 2], attempt_at(n, partition=n % 3, offset=n // 2))
        for n in range(number)
    ]


FAULTS = st.one_of(
    st.none(),
    st.none(),
    st.just(Killed),
    st.builds(BrokerError, st.just("write"), st.just("x"), st.just("y")),
)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 40), st.lists(FAULTS, max_size=40), st.sampled_from([None, 3.0, 10_000.0]))
def test_each_event_is_written_once_and_in_order_whatever_happens(
    number: int, plan: list[Any], rate: float | None
) -> None:
    @simulated
    async def run() -> None:
        broker = Broker(attempts(number))
        store = FakeStore(broker)
        job = await store.create(QUERY, rate, ANN)
        broker.plan = plan
        while True:
            try:
                job = await runner_of(broker, job, store).run()
                break
            except Killed:
                continue
        assert (job.state, job.done, job.total) == (JobState.DONE, number, number)
        assert len(set(broker.requests)) == len(broker.requests) == number
        places: dict[object, list[int]] = {}
        for record in broker.committed:
            if record.topic == "g.again":
                headers = dict(record.headers)
                key = headers["hookferry-endpoint"], record.partition
                places.setdefault(key, []).append(int(headers["hookferry-offset"] or b""))
        assert all(offsets == sorted(offsets) for offsets in places.values())

    run()


@simulated
async def test_a_job_that_is_paused_stops_its_runner_which_writes_nothing_more() -> None:
    broker = Broker(attempts(200))
    store = FakeStore(broker)
    job = await store.create(QUERY, 10.0, ANN)
    task = asyncio.create_task(runner_of(broker, job, store).run())
    await asyncio.sleep(8)
    paused = await store.change(job.id, JobState.PAUSED, ANN)
    ended = await task
    assert (ended.state, ended.done) == (JobState.PAUSED, paused.done)
    assert 0 < paused.done == len(broker.requests) < 200
    assert (await runner_of(broker, job, store).run()).state is JobState.PAUSED, "a runner does not resume it"
    await store.change(job.id, JobState.RUNNING, ANN)
    assert (await runner_of(broker, job, store).run()).state is JobState.DONE
    assert len(set(broker.requests)) == len(broker.requests) == 200


@simulated
async def test_a_runner_that_is_taken_over_leaves_the_job_to_the_other_one() -> None:
    broker = Broker(attempts(100))
    store = FakeStore(broker)
    job = await store.create(QUERY, 10.0, ANN)
    first = asyncio.create_task(runner_of(broker, job, store).run())
    await asyncio.sleep(4)
    second = asyncio.create_task(runner_of(broker, job, store).run())
    assert (await first).state is JobState.RUNNING
    assert (await second).state is JobState.DONE
    assert len(set(broker.requests)) == len(broker.requests) == 100


@simulated
async def test_a_job_writes_at_its_rate_and_its_record_about_once_a_second() -> None:
    broker = Broker(attempts(300))
    store = FakeStore(broker)
    job = await store.create(QUERY, 20.0, ANN)
    began = asyncio.get_running_loop().time()
    await runner_of(broker, job, store).run()
    took_s = asyncio.get_running_loop().time() - began
    assert 13 <= took_s <= 18
    assert len(broker.commits) <= took_s + 5


@simulated
async def test_a_slow_job_is_not_taken_for_abandoned() -> None:
    broker = Broker(attempts(5))
    store = FakeStore(broker)
    job = await store.create(QUERY, 0.1, ANN)
    await runner_of(broker, job, store).run()
    gaps = [later - earlier for earlier, later in zip(broker.commits, broker.commits[1:], strict=False)]
    assert max(gaps) <= BEAT_S + 1


@simulated
async def test_a_record_that_does_not_fit_pauses_the_job_with_the_remedy() -> None:
    broker = Broker(attempts(9))
    store = FakeStore(broker)
    job = await store.create(QUERY, None, ANN)
    broker.plan = [None] * 6 + [RecordTooLarge("write to topic 'g.again'", "it has 9 bytes", "run: raise it")]
    job = await runner_of(broker, job, store).run()
    assert job.state is JobState.PAUSED
    assert "run: raise it" in job.error


@simulated
async def test_a_broker_that_stays_away_ends_the_runner_and_the_job_goes_on_later() -> None:
    broker = Broker(attempts(9))
    store = FakeStore(broker)
    job = await store.create(QUERY, None, ANN)
    broker.plan = [BrokerError("write", "no answer", "check it")] * 100
    with pytest.raises(BrokerError, match="no answer"):
        await runner_of(broker, job, store).run()
    broker.plan = []
    assert (await runner_of(broker, job, store).run()).done == 9


@simulated
async def test_a_broker_that_fails_often_does_not_end_a_runner_that_makes_progress() -> None:
    broker = Broker(attempts(200))
    store = FakeStore(broker)
    job = await store.create(QUERY, 2.0, ANN)
    faults = 50
    broker.plan = ([None] * 12 + [BrokerError("write", "no answer", "check it")]) * faults
    job = await runner_of(broker, job, store).run()
    assert (job.state, job.done) == (JobState.DONE, 200)
    assert not broker.plan, "each of the faults came, more than a runner takes without progress"


@simulated
async def test_attempts_that_the_history_lost_meanwhile_are_counted_and_not_sent() -> None:
    broker = Broker(attempts(10))
    store = FakeStore(broker)
    job = await store.create(QUERY, 1.0, ANN)
    task = asyncio.create_task(runner_of(broker, job, store).run())
    await asyncio.sleep(4)
    sent = len(broker.requests)
    del broker.attempts[-3:]
    job = await task
    assert sent < 7
    assert (job.state, job.done, job.total, job.position["lost"]) == (
        JobState.DONE,
        7,
        10,
        {"ATTEMPT_GONE": 3},
    )


@simulated
async def test_every_change_by_a_person_is_recorded_and_a_job_that_has_ended_is_not_changed() -> None:
    broker = Broker(attempts(2))
    store = FakeStore(broker)
    job = await store.create(QUERY, None, ANN)
    await store.change(job.id, JobState.CANCELLED, Author("bob", "a mistake"))
    changes = [record for record in broker.committed if (record.key or b"").startswith(b"change/")]
    assert [b"resend start" in (one.value or b"") for one in changes] == [True, False]
    assert all(part in (changes[1].value or b"") for part in (b"resend cancel", b"bob", b"a mistake"))
    with pytest.raises(JobError, match="is cancelled"):
        await store.change(job.id, JobState.RUNNING, ANN)
    with pytest.raises(JobError, match="no job 'nosuch'"):
        await store.get("nosuch")
    assert not is_abandoned(await store.get(job.id), 1e12)


@simulated
async def test_a_running_job_without_a_runner_is_taken_for_abandoned() -> None:
    store = FakeStore(Broker())
    job = (await store.create(QUERY, None, ANN))._replace(changed="2026-06-29T08:15:00.000Z")
    at_s = 1_782_720_900.0
    assert not is_abandoned(job, at_s + 20)
    assert is_abandoned(job, at_s + 31)


@simulated
async def test_a_job_whose_query_this_release_does_not_know_fails_and_sends_nothing() -> None:
    """Sending without an unknown filter would send more than was asked for."""
    broker = Broker(attempts(5))
    store = FakeStore(broker)
    job = await store.create(QUERY, None, ANN)
    async with broker.open_writer(job.id) as writer:
        await store.write(writer, job._replace(query={"color": "red"}))
        await writer.commit()
    job = await runner_of(broker, job, store).run()
    assert (job.state, broker.requests) == (JobState.FAILED, [])
    assert "color" in job.error
