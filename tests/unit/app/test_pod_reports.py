"""When a process writes its report, what is in it, and that its failures touch nothing else."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import cast

from structlog.testing import capture_logs

from bridge.app.observers import run_again
from bridge.app.pod_reports import PodReporter, PodView
from bridge.app.status import Status
from bridge.core.pod_report import EndpointReport, PodReport, key_of, read_report
from bridge.core.readiness import Readiness, State
from bridge.kafka.group_view import GroupView
from bridge.kafka.producer import NewRecord
from bridge.model import Partition
from bridge.pipeline.backlog import Backlogs, Lag
from bridge.telemetry import events
from bridge.telemetry.loop_lag import watch_loop
from bridge.telemetry.scrub import in_force
from bridge.telemetry.secret_forms import Secret
from bridge.wiring.path import Path
from tests.support.fake_producer import FakeProducer, broker_error
from tests.support.simulated import LoopClock, simulated

SECRET = "canary-secret-4f81"


class Producer(FakeProducer):
    """A producer that counts its connections; ``broken`` refuses everything."""

    def __init__(self) -> None:
        super().__init__(self._refuse)
        self.broken = False
        self.started = self.closed = 0

    def _refuse(self, record: NewRecord) -> object:
        return broker_error() if self.broken else None

    async def start(self) -> None:
        if self.broken:
            raise broker_error()
        self.started += 1

    async def close(self) -> None:
        self.closed += 1


class Stage:
    """A process with one endpoint whose parts a test changes."""

    def __init__(self) -> None:
        self.gate = SimpleNamespace(state="closed", rate_per_s=None, concurrency=8, slowed=False, reason="")
        self.dispatcher = SimpleNamespace(on=True, in_flight=0, gate=self.gate)
        self.readiness = Readiness(State.ASSIGNED, "assigned: 2 partitions")
        self.lag = Lag(3, 4, 5.0, 6.0)
        self.name = "bridge-0"
        self.config = ("", "")
        status = SimpleNamespace(place_in_group=lambda: self.readiness, held_lanes=lambda: {"crm": 2})
        group = SimpleNamespace(assigned=frozenset({Partition("orders", 1), Partition("orders", 0)}))
        backlogs = SimpleNamespace(of=lambda _: self.lag, oldest_ms=lambda _: 17)
        view = PodView(
            lambda: self.name, "host", cast("Status", status), cast("GroupView", group),
            cast("Path", SimpleNamespace(dispatchers={"crm": self.dispatcher})),
            cast("Backlogs", backlogs), LoopClock(), lambda: self.config,
        )  # fmt: skip
        self.producer = Producer()
        self.reporter = PodReporter(view, "g.control", self.producer, LoopClock())

    @property
    def reports(self) -> list[PodReport]:
        return [read_report("bridge-0", record.value) for record in self.producer.written if record.value]


@simulated
async def test_a_report_has_what_a_console_shows() -> None:
    stage = Stage()
    stage.gate.rate_per_s, stage.gate.slowed, stage.gate.reason = 4.96, True, "too many requests"
    await stage.reporter.look()
    (report,) = stage.reports
    assert (report.ready, report.state, report.words) == (True, "assigned", "assigned: 2 partitions")
    assert report.partitions == {"orders": (0, 1)}
    assert report.endpoints == {
        "crm": EndpointReport(True, "closed", 5.0, 8, "too many requests", 0, 2, 3, 4, 17)
    }
    (record,) = stage.producer.written
    assert (record.topic, record.key, record.partition) == ("g.control", key_of("bridge-0"), 0)


@simulated
async def test_no_text_of_a_report_contains_a_secret() -> None:
    in_force.learn([Secret(SECRET)])
    stage = Stage()
    stage.readiness = Readiness(State.NO_ANSWER, f"the broker refuses {SECRET}")
    stage.gate.slowed, stage.gate.reason = True, f"429: {SECRET} is over its limit"
    stage.config = ("ab12", f"crm.url: {SECRET} is no URL")
    await stage.reporter.look()
    (report,), (record,) = stage.reports, stage.producer.written
    assert SECRET not in (record.value or b"").decode()
    assert report.words == "the broker refuses ***"
    assert report.endpoints["crm"].slow == "429: *** is over its limit"
    assert (report.config_hash, report.config_error) == ("ab12", "crm.url: *** is no URL")


@simulated
async def test_reports_are_written_at_changes_and_once_a_minute_over_one_connection() -> None:
    stage = Stage()
    running = asyncio.ensure_future(stage.reporter.run())
    for _ in range(180):
        stage.dispatcher.in_flight += 1  # changes all the time, and is worth no report of its own
        await asyncio.sleep(1)
    assert 3 <= len(stage.reports) <= 4
    stage.gate.state = "open"
    await asyncio.sleep(6)
    assert stage.reports[-1].endpoints["crm"].breaker == "open"
    assert stage.producer.started == 1
    running.cancel()


@simulated
async def test_a_clean_stop_deletes_the_report_and_a_crash_leaves_it() -> None:
    stage = Stage()
    await stage.reporter.look()
    await stage.reporter.close()
    assert [record.value is None for record in stage.producer.written] == [False, True]
    assert stage.producer.closed == 1
    never = Stage()
    await never.reporter.close()
    assert (never.producer.written, never.producer.closed) == ([], 0)


@simulated
async def test_a_process_whose_name_another_one_took_neither_overwrites_nor_deletes_its_report() -> None:
    stage = Stage()
    await stage.reporter.look()
    stage.name = "host-17"
    await stage.reporter.close()
    assert [record.key for record in stage.producer.written] == [key_of("bridge-0")]
    fenced = Stage()
    await fenced.reporter.look()
    fenced.name = "host-17"
    await fenced.reporter.look()
    await fenced.reporter.close()
    keys = [(record.key, record.value is None) for record in fenced.producer.written]
    assert keys == [(key_of("bridge-0"), False), (key_of("host-17"), False), (key_of("host-17"), True)]


@simulated
async def test_without_a_broker_the_failure_is_logged_once_a_minute_and_the_next_look_tries_again() -> None:
    stage = Stage()
    stage.producer.broken = True
    with capture_logs() as logs:
        for _ in range(10):
            await stage.reporter.look()
        stage.producer.broken = False
        await stage.reporter.look()
        await stage.reporter.look()
        stage.gate.state = "open"
        await stage.reporter.look()
    assert [line["event"] for line in logs] == [events.REPORT_FAILED, events.REPORT_RECOVERED]
    assert len(stage.reports) == 2
    stage.producer.broken = True
    await stage.reporter.close()


@simulated
async def test_an_error_of_an_observer_is_logged_and_it_begins_again() -> None:
    began: list[int] = []

    async def work() -> None:
        began.append(1)
        raise ZeroDivisionError

    with capture_logs() as logs:
        running = asyncio.ensure_future(run_again("backlogs", work))
        await asyncio.sleep(130)
    assert len(began) == 3
    assert {line["event"] for line in logs} == {events.WATCH_FAILED}
    assert not running.done()
    running.cancel()


@simulated
async def test_a_timer_that_runs_late_is_observed() -> None:
    late: list[float] = []
    loop = asyncio.get_running_loop()
    real, ahead = loop.time, [0.0]
    loop.time = lambda: real() + ahead[0]  # type: ignore[method-assign] # a callback that computes
    running = asyncio.ensure_future(watch_loop(late.append, 0.25, traces=lambda: False))
    await asyncio.sleep(1)
    ahead[0] = 0.9
    await asyncio.sleep(0)
    await asyncio.sleep(1)
    running.cancel()
    assert max(late) > 0.5
    assert min(late) < 0.001
