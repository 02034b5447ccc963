"""A worker whose process ends is started again, later each time, unless a new one would fail as well."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from structlog.testing import capture_logs

from bridge.app.exit_codes import ExitCode
from bridge.telemetry import events
from bridge.workers.ends import RestartDelay, exit_code_of_all, explain_end
from bridge.workers.launch import FolderInUse
from bridge.workers.worker import Worker
from tests.support.fake_process import FakeProcess
from tests.support.simulated import simulated, until


class Stage:
    """A worker whose processes are those of a list; each later one runs until it is stopped."""

    def __init__(self, *ends: int | Exception, after_s: float = 5.0, failures: int = 0) -> None:
        self._ends = list(ends)
        self._after_s, self._failures = after_s, failures
        self.processes: list[FakeProcess] = []
        self.started_at: list[float] = []
        self.restarts = 0
        self.worker = Worker(2, self._start, self._count)

    def _count(self) -> None:
        self.restarts += 1

    async def _start(self, number: int) -> FakeProcess:
        self.started_at.append(asyncio.get_running_loop().time())
        end = self._ends.pop(0) if self._ends else None
        if isinstance(end, Exception):
            raise end
        self.processes.append(FakeProcess(100 + len(self.processes), end, self._after_s, self._failures))
        return self.processes[-1]

    def failures(self) -> float:
        """Return the counter of signature failures, of the ended processes and the present one."""
        families = [*self.worker.ended, *self.worker.metrics(answered=True)]
        return sum(
            v.value for f in families for v in f.values if v.name == "hookferry_signature_failures_total"
        )


@simulated
async def test_a_killed_worker_comes_back_and_the_log_has_cause_and_remedy() -> None:
    stage = Stage(-9)
    with capture_logs() as lines:
        running = asyncio.create_task(stage.worker.run())
        await until(lambda: len(stage.processes) == 2)
        stage.worker.stop()
        assert await running == 0
    (line,) = [line for line in lines if line["event"] == events.WORKER_ENDED]
    assert line["worker"] == 2
    assert "SIGKILL" in line["cause"]
    assert "memory" in line["remedy"]
    assert stage.restarts == 1


@pytest.mark.parametrize("code", [0, 1, 3, 17, -11, -6])
def test_every_other_end_is_followed_by_a_new_process(code: int) -> None:
    @simulated
    async def run() -> None:
        stage = Stage(code)
        running = asyncio.create_task(stage.worker.run())
        await until(lambda: len(stage.processes) == 2)
        stage.worker.stop()
        assert await running == 0

    run()


@simulated
async def test_a_mistake_in_the_configuration_ends_the_worker_for_good() -> None:
    stage = Stage(2)
    assert await stage.worker.run() == ExitCode.USAGE
    assert len(stage.processes) == 1
    assert stage.restarts == 0


@simulated
async def test_a_mistake_that_comes_after_the_worker_was_ready_is_waited_for() -> None:
    """As a file that was damaged while the workers ran: the other workers go on."""
    stage = Stage(-9, 2, 2)
    running = asyncio.create_task(stage.worker.run())
    await until(lambda: len(stage.processes) == 1)
    await stage.worker.refresh_status()
    with capture_logs() as lines:
        await until(lambda: len(stage.processes) == 4, within_s=100)
    ends = [line for line in lines if line["event"] == events.WORKER_ENDED]
    assert [("configuration" in line["cause"], line["restart_in_s"] is None) for line in ends] == [
        (False, False), (True, False), (True, False)
    ]  # fmt: skip
    stage.worker.stop()
    assert await running == 0


@simulated
async def test_a_process_that_cannot_be_started_is_tried_again() -> None:
    stage = Stage(OSError(11, "Resource temporarily unavailable"), FolderInUse("still works in worker-2"))
    running = asyncio.create_task(stage.worker.run())
    await until(lambda: len(stage.processes) == 1)
    assert stage.restarts == 0, "no process had ended"
    stage.worker.stop()
    assert await running == 0


@simulated
async def test_a_folder_in_use_is_looked_at_each_second_and_logged_once() -> None:
    """The wait is as long as a drain, and the partitions have no owner after it."""
    stage = Stage(*[FolderInUse("still works in worker-2")] * 30)
    with capture_logs() as lines:
        running = asyncio.create_task(stage.worker.run())
        await until(lambda: len(stage.processes) == 1, within_s=100)
    between = [later - sooner for sooner, later in pairwise(stage.started_at)]
    assert 0 < min(between) <= max(between) <= 1.1
    assert len([line for line in lines if line["event"] == events.WORKER_ENDED]) == 1
    assert stage.restarts == 0
    stage.worker.stop()
    assert await running == 0


@simulated
async def test_a_stop_during_the_delay_ends_it_at_once_with_success() -> None:
    stage = Stage(*[OSError(12, "no memory")] * 50)
    running = asyncio.create_task(stage.worker.run())
    await until(lambda: len(stage.started_at) == 3)
    stage.worker.stop()
    assert await running == 0
    assert not stage.processes


@simulated
async def test_delays_grow_to_half_a_minute_and_begin_again_after_a_minute_of_work() -> None:
    delay = RestartDelay()
    delays = [delay.after_end(1.0) for _ in range(200)]
    assert max(delays[:1]) <= 1
    assert 15 < max(delays[5:]) <= 30
    assert delay.after_end(61.0) <= 1


@simulated
async def test_a_stop_that_comes_while_a_process_starts_reaches_it() -> None:
    stage = Stage()
    start = stage._start

    async def start_slowly(number: int) -> FakeProcess:
        await asyncio.sleep(3)
        return await start(number)

    stage.worker = Worker(2, start_slowly, stage._count)
    running = asyncio.create_task(stage.worker.run())
    await asyncio.sleep(1)
    stage.worker.stop()
    assert await running == 0
    assert stage.processes[0].signals == [signal.SIGTERM]


@simulated
async def test_the_exit_code_of_a_stopped_worker_is_that_of_its_process() -> None:
    stage = Stage()
    running = asyncio.create_task(stage.worker.run())
    await until(lambda: bool(stage.processes))
    stage.processes[0].signals = []
    stage.worker.stop(signal.SIGUSR1)  # a signal that this fake ignores
    stage.processes[0].end(3)
    assert await running == 3


@pytest.mark.parametrize(
    ("code", "cause"), [(3, "gave up its tasks"), (-9, "by the supervisor if"), (1, "an error")]
)
def test_the_log_has_the_cause_of_each_end_of_a_stop_that_fails(code: int, cause: str) -> None:
    """The exit codes in ``workers.ended`` do not say which worker was late, and why."""

    @simulated
    async def run() -> None:
        stage = Stage()
        running = asyncio.create_task(stage.worker.run())
        await until(lambda: bool(stage.processes))
        stage.processes[0].stops = False
        stage.worker.stop()
        with capture_logs() as lines:
            stage.processes[0].end(code)
            assert await running == code
        (line,) = [line for line in lines if line["event"] == events.WORKER_ENDED]
        assert (line["worker"], line["restart_in_s"]) == (2, None)
        assert cause in line["cause"]

    run()


@simulated
async def test_status_and_metrics_are_those_of_the_process_that_runs() -> None:
    stage = Stage(-9, after_s=10, failures=4)
    running = asyncio.create_task(stage.worker.run())
    await until(lambda: bool(stage.processes))
    assert stage.worker.condition.status is None
    await stage.worker.refresh_status()
    assert await stage.worker.refresh_metrics()
    assert stage.worker.condition.status is not None
    assert stage.failures() == 4
    await until(lambda: stage.worker.condition.status is None)
    assert "SIGKILL" in stage.worker.condition.words or len(stage.processes) == 2
    assert stage.failures() == 4, "what an ended process counted was lost"
    assert not await stage.worker.refresh_metrics() or len(stage.processes) == 2
    await until(lambda: len(stage.processes) == 2)
    assert await stage.worker.refresh_metrics()
    assert stage.failures() == 8
    assert stage.worker.public_keys == {"keys": [{"kid": 100}]}, "the last known keys stay"
    stage.worker.stop()
    await running


@simulated
async def test_an_answer_of_a_process_that_ended_meanwhile_is_not_that_of_the_worker() -> None:
    stage = Stage()
    running = asyncio.create_task(stage.worker.run())
    await until(lambda: bool(stage.processes))
    first = stage.processes[0]
    answer = await first.ask("status", 1.0)

    async def ask(question: str, timeout_s: float) -> Any:
        first.end(-9)
        await until(lambda: len(stage.processes) == 2)
        return answer

    first.ask = ask  # type: ignore[method-assign]
    await stage.worker.refresh_status()
    assert stage.worker.condition.status is None
    assert stage.worker.public_keys == {"keys": []}
    stage.worker.stop()
    await running


@simulated
async def test_a_process_that_does_not_answer_keeps_its_totals_and_loses_its_gauges() -> None:
    stage = Stage(failures=4)
    running = asyncio.create_task(stage.worker.run())
    await until(lambda: bool(stage.processes))
    await stage.worker.refresh_metrics()
    await stage.worker.refresh_status()
    stage.processes[0].answers = False
    assert not await stage.worker.refresh_metrics()
    await stage.worker.refresh_status()
    assert stage.worker.condition.status is None
    assert "does not answer" in stage.worker.condition.words
    kinds = {family.kind for family in stage.worker.metrics(answered=False)}
    assert kinds == {"counter", "histogram"}
    stage.worker.stop()
    await running


@pytest.mark.parametrize(
    ("codes", "expected"),
    [([0, 0], 0), ([], 0), ([0, 1], 1), ([0, 3], 3), ([1, 3], 3), ([0, -9], 3), ([2, 0], 2), ([-11, 0], 1)],
)
def test_success_needs_the_success_of_all(codes: Sequence[int], expected: int) -> None:
    assert exit_code_of_all(codes) == expected


@pytest.mark.parametrize("code", [0, 1, 3, 42, -9, -11, -64])
def test_every_end_has_a_cause_and_a_remedy(code: int) -> None:
    end = explain_end(code)
    assert end.cause
    assert end.remedy
    assert not end.fatal
