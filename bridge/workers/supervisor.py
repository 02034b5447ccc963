"""``hookferry run --workers``: start the workers, pass signals on, and answer for all on one admin port.

Invariant: the supervisor ends only after every worker has. If it is killed, the sockets to the workers close,
and they stop in order.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager

import structlog
from prometheus_client import Metric
from prometheus_client.registry import Collector

from bridge import __version__
from bridge.app.admin_server import AdminServer
from bridge.app.admin_tls import AdminTls
from bridge.app.exit_codes import ExitCode
from bridge.app.memory import resident_bytes
from bridge.app.stop import OVERTIME_S
from bridge.settings import Settings
from bridge.storage.state_dir import StateDir
from bridge.storage.worker_folders import discard_unused
from bridge.telemetry import events
from bridge.telemetry.families import Family, Value, read_registry, to_metrics
from bridge.telemetry.tasks import write_tasks
from bridge.telemetry.worker_metrics import WorkerMetrics
from bridge.workers.ends import exit_code_of_all
from bridge.workers.launch import Plan, start_process
from bridge.workers.summary import idle_workers, summarize_keys, summarize_limits, summarize_readiness
from bridge.workers.sums import add_up, totals
from bridge.workers.worker import Process, Worker

_log = structlog.get_logger()
_KILL_AFTER_S = 1.0
"""After the time in which a worker ends itself. The chart gives a pod ten seconds after the drain."""
_LOOK_EVERY_S = 5.0


class Supervisor:
    """Runs the workers from their start to their end."""

    def __init__(
        self,
        settings: Settings,
        plan: Plan,
        workers: int,
        start: Callable[[Plan, int], Awaitable[Process]] = start_process,
    ) -> None:
        """``start`` starts the process of a worker; it may raise ``FolderInUse`` or ``OSError``."""
        self._settings = settings
        self._plan = plan
        self._start = start
        self._metrics = WorkerMetrics()
        self._metrics.registry.register(_Sums(self))
        self._workers = [self._build_worker(number) for number in range(1, workers + 1)]
        self._answered: frozenset[int] = frozenset()
        self._stopping = asyncio.Event()

    def _build_worker(self, number: int) -> Worker:
        up, restarts = self._metrics.up.labels(str(number)), self._metrics.restarts.labels(str(number))
        up.set_function(lambda: float(number in self._answered))
        return Worker(number, lambda number: self._start(self._plan, number), restarts.inc)

    async def run(self) -> ExitCode:
        """Run until a signal stops all workers, or one of them has a wrong configuration.

        Raises ``ConfigError`` if the port or ``state_dir`` is in use.
        """
        state = StateDir(self._settings.state_dir)
        try:
            discard_unused(self._settings.state_dir, len(self._workers))
            server = self._build_server()
            await server.start()
            try:
                with self._signals_handled():
                    return await self._run_workers()
            finally:
                await server.stop()
        finally:
            state.release()

    @contextmanager
    def _signals_handled(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, number)
        loop.add_signal_handler(signal.SIGHUP, self._pass_on, signal.SIGHUP)
        loop.add_signal_handler(signal.SIGUSR1, self._write_tasks)
        yield

    def _write_tasks(self) -> None:
        write_tasks()
        self._pass_on(signal.SIGUSR1)

    def _pass_on(self, number: signal.Signals) -> None:
        for worker in self._workers:
            worker.send(number)

    def _stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        if not self._stopping.is_set():
            _log.info(events.WORKERS_STOPPING, drain_timeout_s=self._settings.drain_timeout_s)
            self._stopping.set()
        for worker in self._workers:
            worker.stop(number)

    async def _run_workers(self) -> ExitCode:
        _log.info(
            events.WORKERS_STARTED,
            version=__version__,
            workers=len(self._workers),
            memory_budget=f"{self._plan.memory_mib}MiB",
        )
        async with asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(worker.run(), name=f"worker {worker.number}") for worker in self._workers
            ]
            looking = tasks.create_task(self._look_after(), name="look after workers")
            killing = tasks.create_task(self._kill_late(), name="kill late workers")
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            if not self._stopping.is_set():
                self._stop()  # a worker that ends for good has a mistake in its configuration
            await asyncio.wait(running)
            looking.cancel()
            killing.cancel()
        code = exit_code_of_all(task.result() for task in running)
        of_workers = [task.result() for task in running]
        if code is ExitCode.SUCCESS:
            _log.info(events.WORKERS_ENDED, exit_code=int(code), of_workers=of_workers)
        else:
            _log.error(events.WORKERS_ENDED, exit_code=int(code), of_workers=of_workers)
        return code

    async def _kill_late(self) -> None:
        await self._stopping.wait()
        await asyncio.sleep(self._settings.drain_timeout_s + OVERTIME_S + _KILL_AFTER_S)
        self._pass_on(signal.SIGKILL)

    async def _look_after(self) -> None:
        """Kill processes that hang, and log which workers have no partition, when that changes."""
        before: list[int] = []
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            await asyncio.gather(*(worker.check() for worker in self._workers))
            idle = idle_workers(worker.condition for worker in self._workers)
            if idle and idle != before:
                _log.warning(
                    events.WORKERS_IDLE,
                    workers=idle,
                    cause="all partitions are with other workers or pods",
                    remedy="run fewer workers or pods, or add partitions; idle ones take over if others end",
                )
            before = before if idle is None else idle

    def _build_server(self) -> AdminServer:
        admin = self._settings.admin
        return AdminServer(
            admin.host,
            admin.port,
            self._metrics.registry,
            lambda: summarize_readiness([worker.condition for worker in self._workers]),
            lambda: summarize_limits(self._settings.group, [worker.condition for worker in self._workers]),
            lambda: summarize_keys(worker.public_keys for worker in self._workers),
            hosts=admin.hosts,
            tls=None if admin.tls is None else AdminTls(admin.tls),
            prepare=self._refresh,
        )

    async def _refresh(self, path: str) -> None:
        """Ask all workers for what the answer to this path needs."""
        await (self._refresh_metrics() if path == "/metrics" else self._refresh_status())

    async def _refresh_status(self) -> None:
        await asyncio.gather(*(worker.refresh_status() for worker in self._workers))

    async def _refresh_metrics(self) -> None:
        answered = await asyncio.gather(*(worker.refresh_metrics() for worker in self._workers))
        self._answered = frozenset(
            worker.number for worker, did in zip(self._workers, answered, strict=True) if did
        )

    def sum_metrics(self) -> list[Family]:
        """Return the metrics of all workers together, and the memory of this process."""
        reports = {
            str(worker.number): worker.metrics(answered=worker.number in self._answered)
            for worker in self._workers
        }
        reports["supervisor"] = self._own_metrics()
        return add_up(reports, totals(*(worker.ended for worker in self._workers)))

    def _own_metrics(self) -> Sequence[Family]:
        """Return what makes the process not ready without the metrics of a worker, and this one's memory."""
        all_answered = float(len(self._answered) == len(self._workers))
        own = [
            Family(name, help_text, "gauge", [Value(name, {}, number)])
            for name, help_text, number in (
                ("hookferry_ready", "1 while `/readyz` answers 200, otherwise 0", all_answered),
                ("hookferry_memory_resident_bytes", "Resident memory of the process", resident_bytes()),
            )
        ]
        return [*own, *read_registry(self._metrics.process)]


class _Sums(Collector):
    """Gives the metrics of all workers to a registry."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor

    def describe(self) -> Sequence[Metric]:
        """Return nothing: the workers decide which metrics there are."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics as of the last refresh."""
        return to_metrics(self._supervisor.sum_metrics())
