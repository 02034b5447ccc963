"""What aiokafka says in its first moments on a new cluster, said as what it is. Edge floor."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import structlog
from aiokafka.errors import GroupCoordinatorNotAvailableError

from bridge.telemetry import events

_log = structlog.get_logger()
_COORDINATOR = logging.getLogger("aiokafka.consumer.group_coordinator")
_USUAL_S = 30.0
"""How long a broker may take to make its topic of the groups' offsets, before it is worth an error."""


class FirstStart(logging.Filter):
    """Turns "Group Coordinator Request failed" into one line without alarm, while it is no failure.

    A cluster makes its topic ``__consumer_offsets`` when a group first asks for it, and until then answers
    each question with error 15, which aiokafka writes as an error. After the first assignment, or when it
    lasts, aiokafka's lines are written as they are.
    """

    def __init__(self, joined: Callable[[], bool], clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._joined = joined
        self._clock = clock
        self._since: float | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether aiokafka's line is written."""
        arguments = record.args if isinstance(record.args, tuple) else ()
        if self._joined() or not any(isinstance(one, GroupCoordinatorNotAvailableError) for one in arguments):
            return True
        if self._since is None:
            self._since = self._clock()
            _log.info(
                events.COORDINATOR_AWAITED,
                cause="the broker makes its topic of the groups' offsets, as on the first start of a cluster",
                remedy="none needed; it is tried again until it is there",
            )
        return self._clock() - self._since > _USUAL_S

    def add(self) -> None:
        """Begin to filter."""
        _COORDINATOR.addFilter(self)

    def remove(self) -> None:
        """End it."""
        _COORDINATOR.removeFilter(self)
