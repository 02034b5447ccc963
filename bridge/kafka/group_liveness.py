"""How long nothing was heard of the group, and whether that is the broker's absence. Edge floor."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from bridge.kafka.client import KafkaOptions
from bridge.kafka.client_health import close_in_time

_MARGIN_S = 15.0
_PROBE_EVERY_S = 5.0
_PROBE_TIMEOUT_S = 3.0
_STOOD_STILL_S = 10.0


class Silence:
    """Notices a consumer that hears nothing although the broker answers others.

    A rebalance may rightly be silent for the time its slowest member has (``patience_s``). An
    outage of the broker is no silence: it is waited for, and the time after it begins anew. Nor is
    the time in which this process itself stood still.
    """

    def __init__(
        self, options: KafkaOptions, patience_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._options = options
        self._patience_s = patience_s + _MARGIN_S
        self._clock = clock
        self._since = self._asked_at = clock()
        self._probed_at = 0.0

    def broken(self) -> None:
        """Something was heard."""
        self._since = self._clock()

    async def too_long(self) -> str | None:
        """What is wrong, when it is; to be asked every second or so, it asks the broker every few."""
        now, asked_at = self._clock(), self._asked_at
        self._asked_at = now
        if now - asked_at > _STOOD_STILL_S:
            self.broken()
        silent_s = now - self._since
        if silent_s < _MARGIN_S or now - self._probed_at < _PROBE_EVERY_S:
            return None
        self._probed_at = now
        answers = await self._broker_answers()
        self._asked_at = self._clock()
        if not answers:
            self.broken()
            return None
        if silent_s < self._patience_s:
            return None
        return f"nothing was heard of the group for {silent_s:.0f} s, while the broker answers others"

    async def _broker_answers(self) -> bool:
        client = AIOKafkaClient(**self._options.arguments())
        try:
            async with asyncio.timeout(_PROBE_TIMEOUT_S):
                await client.bootstrap()
        except (KafkaError, OSError):
            return False
        finally:
            await close_in_time(client.close, "close a probe")
        return True
