"""Count and log the answers of one endpoint that complain of the signature.

Invariant: every such answer is counted; the log has one line per minute at most.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from bridge.core.signature_failure import SignatureFailures
from bridge.model import Response
from bridge.telemetry import events
from bridge.telemetry.counted import Counter
from bridge.telemetry.throttle import Throttle

_log = structlog.get_logger()
_CHANGE_KEY = (
    "give the receiver this key, or sign with the key that it has as well. If the receiver has this key, a"
    " proxy changes the body, or a clock is wrong"
)
_NO_KEY = "the endpoint signs nothing: set its secrets to the key that the receiver expects"


class SignatureWatch:
    """Examines the failed answers of an endpoint.

    ``newest_key`` returns the name of the newest key that signs now; empty if none does.
    """

    def __init__(
        self,
        endpoint: str,
        failures: SignatureFailures,
        newest_key: Callable[[], str],
        counter: Counter,
        throttle: Throttle | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._failures = failures
        self._newest_key = newest_key
        self._counter = counter
        self._throttle = throttle or Throttle()

    def examine(self, answer: Response) -> None:
        """Count an answer that complains of the signature."""
        if not self._failures.match(answer):
            return
        self._counter.inc()
        if self._throttle.allows():
            key = self._newest_key()
            _log.warning(
                events.SIGNATURE_REFUSED,
                endpoint=self._endpoint,
                status=answer.status,
                newest_key=key or None,
                remedy=_CHANGE_KEY if key else _NO_KEY,
            )
