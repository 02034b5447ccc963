"""Log when an endpoint is slowed because its receiver is overloaded, and when it has recovered."""

from __future__ import annotations

import structlog

from bridge.core.limits import Gate
from bridge.telemetry import events
from bridge.telemetry.throttle import Throttle

_log = structlog.get_logger()


class LimitLog:
    """Writes one line per minute at most while an endpoint is slowed, and one at the end if it wrote any."""

    def __init__(self, endpoint: str, gate: Gate, throttle: Throttle | None = None) -> None:
        self.slowed = False
        """Call ``note`` after an answer while this or ``gate.slowed`` is True."""
        self._endpoint = endpoint
        self._gate = gate
        self._throttle = throttle or Throttle()

    def note(self) -> None:
        """Log the limits of the gate if a line is due."""
        gate = self._gate
        if not gate.slowed:
            self.slowed = False
            _log.info(events.ENDPOINT_RECOVERED, endpoint=self._endpoint, concurrency=gate.concurrency)
        elif self._throttle.allows():
            self.slowed = True
            _log.warning(
                events.ENDPOINT_SLOWED,
                endpoint=self._endpoint,
                rate_per_s=None if gate.rate_per_s is None else round(gate.rate_per_s, 1),
                concurrency=gate.concurrency,
                reason=gate.reason,
            )
