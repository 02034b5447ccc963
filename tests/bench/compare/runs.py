"""One run of one contender in one cell, measured from outside: by the receiver, the broker and ``/proc``.

Raises ``NotProven`` if an event was lost, repeated, or out of order.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from confluent_kafka.admin import AdminClient

from tests.bench.compare.appended import appended_ms
from tests.bench.compare.cells import Cell
from tests.bench.compare.contenders import Job, Running, run_bare
from tests.bench.compare.go_tools import GoReceiver
from tests.bench.compare.judging import (
    Figures,
    NotProven,
    Sample,
    cpu_us_middle,
    latencies_ms,
    percentiles,
    violations,
)
from tests.bench.compare.processes import cpu_s
from tests.bench.compare.records import records
from tests.bench.interpreter import Interpreter
from tests.support.kafka import RealKafka
from tests.support.produce import produce, produce_paced
from tests.support.receiver import Receiver
from tests.support.tls import TestAuthority

STALL_S = 60
WARM_UP_S = 3
SETTLE_S = 5  # before an idle process is measured
BARE_REQUESTS = 20_000


class Contender(Protocol):
    """Starts a process that delivers a job."""

    def start(self, job: Job) -> Running: ...


class Stage(NamedTuple):
    """The broker, the receiver, the folder of all runs, and the interpreter of the bare loop."""

    kafka: RealKafka
    receiver: Receiver
    folder: Path
    authority: TestAuthority | None
    interpreter: Interpreter

    def paths(self, cell: Cell, name: str) -> list[str]:
        """Return the paths of the endpoints."""
        return [f"/{name}-{number}" for number in range(cell.endpoints)]

    def url(self, cell: Cell, path: str) -> str:
        """Return the URL of a path, with TLS if the cell has it."""
        if not cell.tls:
            return self.receiver.url(path)
        assert isinstance(self.receiver, GoReceiver)
        return self.receiver.secure_url(path)

    def prepare(self, cell: Cell, paths: list[str]) -> None:
        """Let the receiver forget all requests, and set the behavior of these paths."""
        self.receiver.reset()
        refusing = {"status": 503, "every": cell.refuse_every} if cell.refuse_every else {}
        for path in paths:
            self.receiver.control(path, delay_ms=cell.delay_ms, **refusing)

    def job(self, cell: Cell, topic: str, name: str) -> Job:
        """Return the job of a run, and prepare the receiver for it."""
        paths = self.paths(cell, name)
        self.prepare(cell, paths)
        urls = [self.url(cell, path) for path in paths]
        authority = self.authority.ca_file if self.authority else None
        return Job(cell, self.kafka.bootstrap, topic, name, urls, authority, self.folder)

    def cpu_of_others(self) -> dict[str, float]:
        """Return the CPU time of the broker and the receiver."""
        assert self.kafka.process
        assert self.receiver.process
        return {"broker": cpu_s(self.kafka.process.pid), "receiver": cpu_s(self.receiver.process.pid)}


@contextmanager
def backlog(stage: Stage, cell: Cell) -> Iterator[str]:
    """Create the topic of a cell with its records; delete it at the end."""
    topic = stage.kafka.fresh_topic(cell.name, cell.partitions)
    if cell.kind in ("backlog", "waiting"):
        produce(stage.kafka.bootstrap, topic, records(cell, cell.events))
    try:
        yield topic
    finally:
        admin: AdminClient = stage.kafka.admin()
        admin.delete_topics([topic])[topic].result(30)


@contextmanager
def running(contender: Contender, job: Job) -> Iterator[Running]:
    """Start a contender, and stop it at the end."""
    process = contender.start(job)
    try:
        yield process
    finally:
        process.stop()


def await_all(stage: Stage, process: Running, paths: list[str], events: int) -> list[Sample]:
    """Wait until each path has accepted this many events; return samples on the way."""
    samples, progress_at = [Sample(0, {"own": process.cpu_s()} | stage.cpu_of_others())], time.monotonic()
    while samples[-1].events < events * len(paths):
        time.sleep(0.05)
        accepted = sum(stage.receiver.count(path)["accepted"] for path in paths)
        if accepted > samples[-1].events:
            progress_at = time.monotonic()
        problem = process.problem()
        if problem or time.monotonic() - progress_at > STALL_S:
            raise NotProven(
                f"{accepted} of {events * len(paths)} events; {problem or f'none for {STALL_S} s'}"
            )
        samples.append(Sample(accepted, {"own": process.cpu_s()} | stage.cpu_of_others()))
    return samples


def check(stage: Stage, paths: list[str], events: int | None) -> list[dict[str, Any]]:
    """Return the reports of the paths. Raises ``NotProven``."""
    reports = [stage.receiver.report(path) for path in paths]
    for path, report in zip(paths, reports, strict=True):
        wrong = violations(report, events)
        if wrong:
            raise NotProven(f"{path}: of {events} events: {wrong}")
    return reports


def drain(stage: Stage, cell: Cell, contender: Contender, topic: str, name: str) -> Figures:
    """Deliver a backlog that exists before the contender starts."""
    job, paths = stage.job(cell, topic, name), stage.paths(cell, name)
    with running(contender, job) as process:
        samples = await_all(stage, process, paths, cell.events)
        peak = process.peak_mb()
    reports = check(stage, paths, cell.events)
    return {
        "per_s": sum(report["rate_middle"] for report in reports),
        "cpu_us": cpu_us_middle(samples, "own"),
        "broker_us": cpu_us_middle(samples, "broker"),
        "receiver_us": cpu_us_middle(samples, "receiver"),
        "peak_mb": peak,
    }


def steady(stage: Stage, cell: Cell, contender: Contender, name: str) -> Figures:
    """Deliver events that are produced at a steady rate, after a warm-up that is not counted."""
    (path,) = stage.paths(cell, name)
    warm_up, count = int(cell.rate_per_s * WARM_UP_S), int(cell.rate_per_s * cell.seconds)
    bootstrap = stage.kafka.bootstrap
    topic = stage.kafka.fresh_topic(cell.name, cell.partitions, message_timestamp_type="LogAppendTime")
    with running(contender, stage.job(cell, topic, name)) as process:
        produce_paced(bootstrap, topic, records(cell, warm_up), cell.rate_per_s)
        await_all(stage, process, [path], warm_up)
        check(stage, [path], warm_up)
        stage.prepare(cell, [path])
        before = process.cpu_s()
        later = records(cell, count, first_seq=warm_up, seed=2)
        produce_paced(bootstrap, topic, later, cell.rate_per_s)
        await_all(stage, process, [path], count)
        used, peak = process.cpu_s() - before, process.peak_mb()
    (report,) = check(stage, [path], count)
    return {"cpu_us": used / count * 1e6, "cpu_percent": used / cell.seconds * 100, "peak_mb": peak} | (
        _latency(stage, path, topic, report)
    )


def _latency(stage: Stage, path: str, topic: str, report: dict[str, Any]) -> Figures:
    if not isinstance(stage.receiver, GoReceiver):  # it only has the times that the producer wrote
        return {f"{name}_ms": value for name, value in report["latency_ms"].items()}
    appended = appended_ms(stage.kafka.bootstrap, topic)
    return percentiles(latencies_ms(appended, stage.receiver.arrivals_ns(path)))


def waiting(stage: Stage, cell: Cell, contender: Contender, topic: str, name: str) -> Figures:
    """Measure the memory for a while, with a backlog that is too large to be delivered meanwhile."""
    paths = stage.paths(cell, name)
    with running(contender, stage.job(cell, topic, name)) as process:
        stage.receiver.wait_for(paths[0], STALL_S, accepted=1)
        time.sleep(cell.seconds)
        peak = process.peak_mb()
        problem = process.problem()
    if problem:
        raise NotProven(problem)
    check(stage, paths, None)
    return {"peak_mb": peak}


def idle(stage: Stage, cell: Cell, contender: Contender, topic: str, name: str) -> Figures:
    """Measure a contender that has nothing to do, after it has delivered one event to each endpoint."""
    paths = stage.paths(cell, name)
    with running(contender, stage.job(cell, topic, name)) as process:
        produce(stage.kafka.bootstrap, topic, records(cell, 1, seed=time.time_ns()))
        for path in paths:
            stage.receiver.wait_for(path, STALL_S, accepted=1)
        time.sleep(SETTLE_S)
        before, started = process.cpu_s(), time.monotonic()
        time.sleep(cell.seconds)
        used, passed = process.cpu_s() - before, time.monotonic() - started
        return {"cpu_percent": used / passed * 100, "peak_mb": process.peak_mb()}


def bare(stage: Stage, cell: Cell, sample: dict[str, object], name: str) -> Figures:
    """Send the requests of a cell with a bare loop over Hookferry's transport."""
    job, (path, *_) = stage.job(cell, "", name), stage.paths(cell, name)
    count = min(cell.events, BARE_REQUESTS) if cell.kind == "backlog" else int(cell.rate_per_s * cell.seconds)
    figures = run_bare(stage.interpreter, sample, job.urls[0], count, cell, job)
    if cell.kind == "backlog":
        figures["per_s"] = stage.receiver.report(path)["rate_middle"]
    return figures
