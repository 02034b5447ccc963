"""Log aiokafka's errors of a first start as what they are: no failure.

Upstream: no issue found. A cluster creates its topic ``__consumer_offsets`` when a group first looks up its
coordinator. Until then it answers with error 15, and aiokafka 0.14 logs each answer at ERROR. The broker may
then name itself before it has opened the topic: it refuses the first JoinGroup with error 16, and aiokafka
logs at WARNING that the coordinator is dead.
A topic that was just created is unknown for a moment to a broker other than the one that was asked to
create it, and aiokafka logs that at ERROR, too. When another pod joins, aiokafka logs that
as a failed heartbeat. Remove this when aiokafka logs all of these at INFO.
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
_METADATA_LOGGER = logging.getLogger("aiokafka.cluster")
_NOT_YET_OPEN = "Marking the coordinator dead (node %s)for group %s."
_REBALANCING = "Heartbeat failed for group %s because it is rebalancing"
_EXPECTED_S = 30.0
"""How long a broker may take to create its offsets topic before aiokafka's errors are logged."""
_SPREADS_S = 10.0
"""How long brokers may take to learn of a new topic before aiokafka's errors are logged."""


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


class NewTopicNoise(logging.Filter):
    """Drops "Topic … not found in cluster metadata" for topics that were created a moment ago."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock``: monotonic seconds."""
        super().__init__()
        self._clock = clock
        self._created_at: dict[str, float] = {}

    def expect(self, topic: str) -> None:
        """Note that a topic was created right now. Only internal and source topics are."""
        self._created_at[topic] = self._clock()
        _METADATA_LOGGER.addFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        """Return True if aiokafka's line is to be logged."""
        arguments = record.args if isinstance(record.args, tuple) else ()
        created_at = self._created_at.get(str(arguments[0])) if len(arguments) == 1 else None
        return created_at is None or self._clock() - created_at > _SPREADS_S


new_topics = NewTopicNoise()
"""The one of the process: aiokafka's logger is shared by all clients."""
