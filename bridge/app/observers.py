"""What observes the running process: backlogs, gauges, its report to consoles, and the delay of its timers.

Invariant: an error in it ends no delivery. A task that fails is logged and begins again.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable

import structlog

from bridge.app.gauges import watch_endpoint, watch_path
from bridge.app.pod_reports import PodReporter, PodView
from bridge.app.status import Status
from bridge.clock import SystemClock
from bridge.kafka.group_reader import Reader
from bridge.kafka.group_view import GroupView
from bridge.pipeline.backlog import Backlogs
from bridge.settings import Settings
from bridge.storage.dedupe_index import KeyIndex
from bridge.telemetry import events
from bridge.telemetry.gc_pauses import GcPauses
from bridge.telemetry.loop_lag import watch_loop
from bridge.telemetry.metrics import Metrics
from bridge.wiring.kafka import again_topic, build_report_producer, control_topic
from bridge.wiring.path import Path

_log = structlog.get_logger()
AGAIN_AFTER_S = 60.0


class Observers:
    """Observes a path from the start of its tasks to its end."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        status: Status,
        reader: Reader,
        path: Path,
        index: KeyIndex,
    ) -> None:
        clock, host, group = SystemClock(), socket.gethostname(), GroupView(reader)
        self.backlogs = Backlogs(
            path.checkpoints,
            path.dispatchers,
            reader.ends,
            path.pipeline.assignment.next_offsets,
            again_topic(settings),
            clock,
        )
        self._metrics, self._path = metrics, path
        watch_path(metrics, path, self.backlogs, index)
        member, own = reader.member.name, f"{host}-{os.getpid()}"

        def name() -> str:
            """Return the name of this process among the pods."""
            return own if member.value is None or member.taken else member.value

        def config() -> tuple[str, str]:
            return status.reload_state.hash, status.reload_state.error

        self.pod_name = name
        view = PodView(name, host, status, group, path, self.backlogs, clock, config)
        topic, producer = control_topic(settings.group), build_report_producer(settings)
        self._reporter = PodReporter(view, topic, producer, clock)
        self._late = metrics.loop_lag_seconds.observe
        self._pauses = GcPauses(metrics.gc_pause_seconds.observe)

    def start(self, tasks: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        """Start the tasks; cancel them to stop."""
        work: dict[str, Callable[[], Awaitable[None]]] = {
            "backlogs": self.backlogs.run,
            "reports": self._reporter.run,
            "event loop": lambda: watch_loop(self._late, pauses=self._pauses),
        }
        return [tasks.create_task(run_again(name, run), name=name) for name, run in work.items()]

    def watch_endpoint(self, name: str) -> None:
        """Let the gauges of an endpoint that a reload has added read its parts."""
        watch_endpoint(self._metrics, name, self._path.dispatchers, self.backlogs)

    async def close(self) -> None:
        """Delete the report of this process, and disconnect."""
        await self._reporter.close()


async def run_again(name: str, work: Callable[[], Awaitable[None]], after_s: float = AGAIN_AFTER_S) -> None:
    """Run ``work`` until cancelled; log an error of it, and begin again after some seconds."""
    while True:
        try:
            await work()
        except Exception:
            _log.exception(events.WATCH_FAILED, task=name)
        await asyncio.sleep(after_s)
