"""The history of a process: one stream of attempts per endpoint, written before each commit.

Invariant: no delivery depends on it. A commit waits for the topic, but never longer than a bound, and not
again while the topic lags; an error of the topic is logged and counted, and ends nothing.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Collection

import structlog

from bridge.errors import BrokerError
from bridge.history.pool import Pool
from bridge.history.stream import AttemptStream, RecordWriter
from bridge.telemetry import events
from bridge.telemetry.throttle import Throttle

_log = structlog.get_logger()
WAIT_S = 1.0
"""How long a commit waits for the topic, once. A healthy broker answers in milliseconds."""
LAST_WAIT_S = 3.0
"""How long the end of the process waits for it."""


class History:
    """Keeps the attempts of all endpoints in a topic; at most ``most_bytes`` of memory wait for it."""

    def __init__(
        self,
        topic: str,
        endpoints: Collection[str],
        producer: RecordWriter,
        *,
        most_bytes: int,
        count: Callable[[str, int], None] = lambda outcome, attempts: None,
        wait_s: float = WAIT_S,
    ) -> None:
        """``count``: called with ``written`` or ``dropped`` and a number of attempts."""
        self._topic = topic
        self._count = count
        self._wait_s = wait_s
        self._throttle = Throttle()
        self._failing: set[str] = set()
        self._dropped = 0
        self.pool = Pool(most_bytes, self.lost)
        self._process = uuid.uuid4().hex[:16]
        self._producer = producer
        self._streams: dict[str, AttemptStream] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._running: list[asyncio.Task[None]] = []
        for name in endpoints:
            self.stream(name)

    def stream(self, endpoint: str) -> AttemptStream:
        """Return the stream of an endpoint's attempts, which is made for an endpoint that is new."""
        stream = self._streams.get(endpoint)
        if stream is None:
            stream = AttemptStream(endpoint, self._process, self._topic, self.pool, self._producer, self)
            self._streams[endpoint] = stream
            self._start(stream)
        return stream

    def start(self, tasks: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        """Start the tasks that write; cancel them to stop. The list gets the tasks of new endpoints, too."""
        self._tasks = tasks
        for stream in self._streams.values():
            self._start(stream)
        return self._running

    def _start(self, stream: AttemptStream) -> None:
        if self._tasks is not None:
            self._running.append(self._tasks.create_task(stream.run(), name=f"{stream.endpoint}-history"))

    async def flush(self) -> None:
        """Have everything written that was added so far, and wait for it as long as the bound allows."""
        await self._flush(self._wait_s)

    async def close(self) -> None:
        """Write the rest at the end of the process; count what the topic did not accept in time."""
        await self._flush(LAST_WAIT_S)
        if left := sum(stream.waiting for stream in self._streams.values()):
            self.lost(left)

    async def _flush(self, wait_s: float) -> None:
        if not self.pool.bytes:  # nothing waits or is being written, in a thousand streams
            return
        passes = {stream: number for stream in self._streams.values() if (number := stream.request())}
        if not passes:
            return
        try:
            async with asyncio.timeout(wait_s):
                for stream, number in passes.items():
                    await stream.wait_for(number)
        except TimeoutError:
            for stream, number in passes.items():
                stream.note_late(number)

    # Called by the streams.

    def wrote(self, endpoint: str, attempts: int) -> None:
        """Count attempts that the topic has; see ``Outlook``."""
        self._count("written", attempts)
        if endpoint in self._failing:
            self._failing.discard(endpoint)
            if not self._failing:
                _log.info(events.HISTORY_RECOVERED, topic=self._topic)

    def failed(self, endpoint: str, error: BrokerError) -> None:
        """Log an error, once per minute; see ``Outlook``."""
        self._failing.add(endpoint)
        if self._throttle.allows("failed"):
            _log.error(
                events.HISTORY_FAILED,
                topic=self._topic,
                endpoint=endpoint,
                cause=error.cause,
                remedy=f"{error.remedy}; deliveries go on, and attempts wait in memory as far as they fit",
            )

    def lost(self, attempts: int) -> None:
        """Count and log attempts that the topic will not have; see ``Outlook``."""
        self._count("dropped", attempts)
        self._dropped += attempts
        if self._throttle.allows("dropped"):
            _log.error(
                events.HISTORY_DROPPED,
                topic=self._topic,
                attempts=self._dropped,
                remedy="see history.failed for the cause; deliveries were not affected",
            )
            self._dropped = 0
