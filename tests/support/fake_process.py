"""Replaces the process of a worker, for tests of the supervisor."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

from bridge.telemetry.families import read_registry, to_document
from bridge.telemetry.metrics import Metrics


class FakeProcess:
    """A process that ends after some seconds, or when it gets a stop signal while ``stops`` is true."""

    def __init__(self, pid: int, code: int | None = None, after_s: float = 5.0, failures: int = 0) -> None:
        self.pid = pid
        self.signals: list[signal.Signals] = []
        self.answers = True
        self.stops = True
        self.ready = True
        self.stands_by = False
        self.slowed: dict[str, str] = {}
        self._metrics = Metrics()
        self._metrics.endpoint("crm").signature_failures.inc(failures)
        self._ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        if code is not None:
            asyncio.get_running_loop().call_later(after_s, self.end, code)

    def end(self, code: int) -> None:
        if not self._ended.done():
            self._ended.set_result(code)

    async def ask(self, question: str, timeout_s: float) -> Any:
        if not self.answers or self._ended.done():
            return None
        if question == "metrics":
            return to_document(read_registry(self._metrics.registry))
        words = "assigned: 2 partitions" if self.ready else "rebalancing"
        return [self.ready, words, self.stands_by, {"slowed": self.slowed}, {"keys": [{"kid": self.pid}]}]

    def send(self, number: signal.Signals) -> None:
        self.signals.append(number)
        if number is signal.SIGKILL:
            self.end(-9)
        elif self.stops and number in (signal.SIGTERM, signal.SIGINT):
            self.end(0)

    async def wait_for_end(self) -> int:
        return await self._ended
