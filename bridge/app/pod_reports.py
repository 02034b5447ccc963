"""Write the report of this process to ``<group>.control``, for consoles: when it changes, and once a minute.

Invariant: no delivery waits for a report. Its producer stays open: one per write would leave the broker
with the state of one more producer each time, for a day.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import structlog

from bridge import __version__
from bridge.app.status import Status
from bridge.clock import Clock
from bridge.core.instant import precise_instant
from bridge.core.pod_report import EndpointReport, PodReport, key_of
from bridge.errors import BrokerError
from bridge.kafka.group_view import GroupView
from bridge.kafka.producer import NewRecord
from bridge.pipeline.backlog import Backlogs
from bridge.telemetry import events
from bridge.telemetry.scrub import scrub
from bridge.telemetry.throttle import Throttle
from bridge.wiring.path import Path

_log = structlog.get_logger()
LOOK_EVERY_S = 5.0
AT_LEAST_EVERY_S = 60.0
_LAST_WRITE_S = 1.0


class ReportProducer(Protocol):
    """Writes records (``bridge.kafka.producer.DurableProducer``)."""

    async def start(self) -> None:
        """Connect; raises ``BrokerError``, and may be called again after it."""
        ...

    async def write(self, record: NewRecord) -> None:
        """Return once the broker has it. Raises ``BrokerError``."""
        ...

    async def close(self) -> None:
        """Close the connection."""
        ...


class PodView:
    """Describes this process as it is now."""

    def __init__(
        self,
        name: Callable[[], str],
        host: str,
        status: Status,
        group: GroupView,
        path: Path,
        backlogs: Backlogs,
        clock: Clock,
        config: Callable[[], tuple[str, str]] = lambda: ("", ""),
    ) -> None:
        """``name`` returns the name in the group, or another one once a process has taken that.

        ``config`` returns the hash of the configuration and why its last change was not accepted.
        """
        self.name = name
        self._host = host
        self._status = status
        self._group = group
        self._path = path
        self._backlogs = backlogs
        self._clock = clock
        self._config = config
        self._since = precise_instant(int(clock.time() * 1000))

    def describe(self, *, counts: bool = True) -> PodReport:
        """Return the report of now. ``counts``: with those that always change, which look at every cursor."""
        place, held = self._status.place_in_group(), self._status.held_lanes()
        partitions: defaultdict[str, list[int]] = defaultdict(list)
        for topic, number in sorted(self._group.assigned):
            partitions[topic].append(number)
        config_hash, config_error = self._config()
        return PodReport(
            name=self.name(),
            version=__version__,
            host=self._host,
            since=self._since,
            at=precise_instant(int(self._clock.time() * 1000)),
            ready=place.ready,
            state=place.state.value,
            words=scrub(place.words),
            partitions={topic: tuple(numbers) for topic, numbers in partitions.items()},
            endpoints={name: self._endpoint(name, held[name], counts) for name in self._path.dispatchers},
            config_hash=config_hash,
            config_error=scrub(config_error),
        )

    def _endpoint(self, name: str, held: int, counts: bool) -> EndpointReport:
        dispatcher = self._path.dispatchers[name]
        gate = dispatcher.gate
        report = EndpointReport(
            on=dispatcher.on,
            breaker=gate.state,
            rate_per_s=None if gate.rate_per_s is None else round(gate.rate_per_s, 1),
            concurrency=gate.concurrency,
            slow=scrub(gate.reason) if gate.slowed else "",
            in_flight=dispatcher.in_flight,
            held=held,
        )
        if not counts:
            return report
        lag, oldest_ms = self._backlogs.of(name), self._backlogs.oldest_ms(name)
        return report._replace(waiting=lag.waiting, unread=lag.unread, oldest_ms=oldest_ms)


class PodReporter:
    """Writes the reports of one process."""

    def __init__(self, view: PodView, topic: str, producer: ReportProducer, clock: Clock) -> None:
        self._view = view
        self._topic = topic
        self._producer = producer
        self._clock = clock
        self._last: PodReport | None = None
        self._written_at = 0.0
        self._connected = False
        self._failing = False
        self._throttle = Throttle()

    async def run(self) -> None:
        """Write reports until cancelled. A failure is logged, and the next look tries again."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Write a report if something changed, or the last one is old."""
        last, now = self._last, self._clock.monotonic()
        is_old = now - self._written_at >= AT_LEAST_EVERY_S
        if last is not None and not is_old and self._view.describe(counts=False).steady == last.steady:
            return
        report = self._view.describe()
        try:
            await self._write(report.name, report.to_bytes())
        except BrokerError as exc:
            self._log_failure(exc)
        else:
            self._last, self._written_at = report, now
            self._log_recovery()

    async def close(self) -> None:
        """Delete the report at a clean stop, if that takes no time, and disconnect."""
        if self._last is not None and self._last.name == self._view.name():
            with suppress(BrokerError, TimeoutError):
                async with asyncio.timeout(_LAST_WRITE_S):
                    await self._write(self._last.name, None)
        if self._connected:
            await self._producer.close()

    async def _write(self, name: str, value: bytes | None) -> None:
        if not self._connected:
            await self._producer.start()
            self._connected = True
        await self._producer.write(NewRecord(self._topic, value, key_of(name), 0))

    def _log_failure(self, exc: BrokerError) -> None:
        self._failing = True
        if self._throttle.allows():
            _log.warning(
                events.REPORT_FAILED,
                topic=self._topic,
                cause=exc.cause,
                remedy=f"{exc.remedy}; deliveries are not affected, but a console shows this process as gone",
            )

    def _log_recovery(self) -> None:
        if self._failing:
            self._failing = False
            _log.info(events.REPORT_RECOVERED, topic=self._topic)
