"""Log aiokafka's errors of a first start as what they are: no failure.

Upstream: no issue found. A cluster creates its topic ``__consumer_offsets`` when a group first looks up its
coordinator. Until then it answers with error 15, and aiokafka 0.14 logs each answer at ERROR. The broker may
then name itself before it has opened the topic: it refuses the first JoinGroup with error 16, and aiokafka
logs at WARNING that the coordinator is dead.
When another pod joins, aiokafka logs that as a failed heartbeat. Remove this when aiokafka logs all of these
at INFO.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import structlog
from aiokafka.errors import GroupCoordinatorNotAvailableError

from bridge.telemetry import events

_log = structlog.get_logger()
_COORDINATOR_LOGGER = logging.getLogger("aiokafka.consumer.group_coordinator")
_NOT_YET_OPEN = "Marking the coordinator dead (node %s)for group %s."
_REBALANCING = "Heartbeat failed for group %s because it is rebalancing"
_EXPECTED_S = 30.0
"""How long a broker may take to create its offsets topic before aiokafka's errors are logged."""


class StartupNoise(logging.Filter):
    """Replaces what aiokafka logs while the coordinator of a new cluster gets ready by one INFO line.

    aiokafka's own lines pass after the first assignment, or once the answers last longer than 30 s. Its
    warning that a heartbeat was answered with "rebalancing" never passes: another pod joins, which is
    normal when several start, and ``source.revoked`` reports it.
    """

    def __init__(self, joined: Callable[[], bool], clock: Callable[[], float] = time.monotonic) -> None:
        """``joined``: returns True after the first assignment. ``clock``: monotonic seconds."""
        super().__init__()
        self._joined = joined
        self._clock = clock
        self._since: float | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        """Return True if aiokafka's line is to be logged."""
        if record.msg == _REBALANCING:
            return False
        arguments = record.args if isinstance(record.args, tuple) else ()
        unavailable = record.msg == _NOT_YET_OPEN or any(
            isinstance(value, GroupCoordinatorNotAvailableError) for value in arguments
        )
        if self._joined() or not unavailable:
            return True
        if self._since is None:
            self._since = self._clock()
            _log.info(
                events.COORDINATOR_AWAITED,
                cause="the broker creates its topic for group offsets, as on the first start of a cluster",
                remedy="none needed; the bridge retries until the topic exists",
            )
        return self._clock() - self._since > _EXPECTED_S

    def add(self) -> None:
        """Begin to filter aiokafka's log lines; calling it again has no effect."""
        _COORDINATOR_LOGGER.addFilter(self)

    def remove(self) -> None:
        """Stop filtering."""
        _COORDINATOR_LOGGER.removeFilter(self)
