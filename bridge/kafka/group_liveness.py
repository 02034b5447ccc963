"""Decide whether the member of the group is alive: its lease on partitions, and whether it is stuck."""

from __future__ import annotations

import time
from collections.abc import Callable

from aiokafka.client import AIOKafkaClient

from bridge.errors import BrokerError
from bridge.kafka.aiokafka_patches.closing import close_in_time
from bridge.kafka.broker_call import broker_call
from bridge.kafka.client import KafkaOptions

_MARGIN_S = 15.0
_PROBE_EVERY_S = 5.0
_PROBE_TIMEOUT_S = 3.0
_SUSPENDED_S = 10.0
"""Between two calls of ``stuck_cause``: if more time passes, the process itself was suspended."""


class Lease:
    """How long the group cannot have given this member's partitions to another one.

    The broker waits a session timeout after the last request that it accepted from the member. A
    process that was suspended for longer must not send events that its successor may have delivered.
    """

    def __init__(self, session_timeout_s: float) -> None:
        self._session_timeout_s = session_timeout_s
        self._renewed_at = 0.0

    def renew(self, sent_at: float) -> None:
        """Note that the broker accepted a request sent at this monotonic time."""
        self._renewed_at = max(self._renewed_at, sent_at)

    def end(self) -> None:
        """End it for good: another process has this member's name, and with it its partitions."""
        self._renewed_at = self._session_timeout_s = 0.0

    @property
    def silent_s(self) -> float:
        """Seconds since the last accepted request was sent."""
        return time.monotonic() - self._renewed_at

    @property
    def valid(self) -> bool:
        """Return True while the partitions cannot belong to another member."""
        return self.silent_s < self._session_timeout_s


class GroupLiveness:
    """Detects a consumer that receives nothing from its group although the broker answers others.

    In a rebalance a group may be silent for as long as its slowest member may take
    (``max_silence_s``). The time of an outage does not count, nor the time in which this process
    was suspended: both restart the measurement.
    """

    def __init__(
        self, options: KafkaOptions, max_silence_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``clock``: monotonic seconds."""
        self._options = options
        self._max_silence_s = max_silence_s + _MARGIN_S
        self._clock = clock
        self._silent_since = self._called_at = clock()
        self._probed_at = 0.0

    def note_answer(self) -> None:
        """Note that the group answered; the silence starts again from now."""
        self._silent_since = self._clock()

    async def stuck_cause(self) -> str | None:
        """Return the reason if the consumer is stuck, else None.

        Call it about once per second. It probes the broker every 5 s once the group is silent.
        """
        now, called_at = self._clock(), self._called_at
        self._called_at = now
        if now - called_at > _SUSPENDED_S:
            self.note_answer()
        silent_s = now - self._silent_since
        if silent_s < _MARGIN_S or now - self._probed_at < _PROBE_EVERY_S:
            return None
        self._probed_at = now
        answers = await self._broker_answers()
        self._called_at = self._clock()
        if not answers:
            self.note_answer()
            return None
        if silent_s < self._max_silence_s:
            return None
        return f"the group has not answered for {silent_s:.0f} s, while the broker answers other clients"

    async def _broker_answers(self) -> bool:
        client = AIOKafkaClient(**self._options.arguments())
        try:
            async with broker_call("probe the broker", timeout_s=_PROBE_TIMEOUT_S):
                await client.bootstrap()
        except BrokerError:
            return False
        finally:
            await close_in_time(client.close, "close a probe")
        return True
