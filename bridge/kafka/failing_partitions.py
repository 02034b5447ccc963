"""The partitions that their broker cannot read: when each may be fetched again, and what is reported of them.

Invariant: a partition that fails is fetched less often, and never skipped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Set
from typing import NamedTuple

import structlog
from aiokafka import TopicPartition

from bridge.telemetry import events
from bridge.telemetry.throttle import Throttle

_log = structlog.get_logger()
_FIRST_BACKOFF_S, _MOST_BACKOFF_S = 1.0, 30.0
_SILENT_S, _SILENT_TIMES = 30.0, 20
"""How long, and how often, a broker may send nothing of a partition although its log goes on: responses are
limited."""
_REMEDY = (
    "check the broker's log and its disk, and the partition's other replicas; nothing is skipped, the bridge"
    " tries again at least every 30 s"
)
_GRANT = (
    "grant this login the right to read the topic (ACL operation Read); nothing is skipped, the bridge tries"
    " again at least every 30 s"
)


class _Silence(NamedTuple):
    """Responses without records from one offset on: since when, and how many."""

    offset: int
    since: float
    times: int = 1


class FailingPartitions:
    """The partitions that their broker cannot read, and when each may be fetched again."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock``: monotonic seconds."""
        self._clock = clock
        self._backoffs: dict[TopicPartition, tuple[float, float]] = {}  # the last wait, and until when
        self._silent: dict[TopicPartition, _Silence] = {}
        self._refused: dict[TopicPartition, str] = {}  # to its topic
        self._lines = Throttle(now=clock)

    def __contains__(self, partition: TopicPartition) -> bool:
        return partition in self._backoffs

    def keys(self) -> Set[TopicPartition]:
        """Return the partitions whose last fetch failed."""
        return self._backoffs.keys()

    def __len__(self) -> int:
        return len(self._backoffs) + sum(map(self._too_long, self._silent.values()))

    def due(self, partition: TopicPartition) -> bool:
        """Return True if the partition may be fetched now."""
        return partition not in self._backoffs or self._clock() >= self._backoffs[partition][1]

    def refused(self, partition: TopicPartition, offset: int) -> None:
        """Note that the login may not read the topic; ``failed`` otherwise."""
        self._refused[partition] = partition.topic
        self.failed(partition, offset, "this login may not read the topic", _GRANT)

    @property
    def refused_topics(self) -> frozenset[str]:
        """The topics that the login may not read, as of the last fetch of each."""
        return frozenset(self._refused.values())

    def failed(self, partition: TopicPartition, offset: int, cause: str, remedy: str = _REMEDY) -> None:
        """Note that a fetch from this offset failed; wait twice as long as the last time."""
        wait_s = min(_MOST_BACKOFF_S, 2 * self._backoffs.get(partition, (_FIRST_BACKOFF_S / 2, 0))[0])
        self._backoffs[partition] = wait_s, self._clock() + wait_s
        self._report(partition, offset, cause, remedy)

    def answered(self, partition: TopicPartition, offset: int, end: int, size: int) -> None:
        """Note a response without an error: its bytes, and the end of what the broker would send."""
        silence = self._silent.pop(partition, None)
        if size == 0 and offset < end:
            if silence is None or silence.offset != offset:
                silence = _Silence(offset, self._clock(), 0)
            self._silent[partition] = silence = silence._replace(times=silence.times + 1)
            if self._too_long(silence):
                self._report(partition, offset, f"the broker sends no records, but its log ends at {end}")
        self._refused.pop(partition, None)
        if self._backoffs.pop(partition, None) is not None:
            _log.info(events.FETCH_RECOVERED, partition=_name(partition), next_offset=offset)

    def keep(self, partitions: Collection[TopicPartition]) -> None:
        """Forget all other partitions: they are no longer read here."""
        for known in (self._backoffs, self._silent, self._refused):
            for partition in known.keys() - set(partitions):
                del known[partition]

    def _too_long(self, silence: _Silence) -> bool:
        return silence.times >= _SILENT_TIMES and self._clock() - silence.since >= _SILENT_S

    def _report(self, partition: TopicPartition, offset: int, cause: str, remedy: str = _REMEDY) -> None:
        if self._lines.allows(partition):
            _log.error(
                events.FETCH_FAILED,
                partition=_name(partition),
                next_offset=offset,
                cause=cause,
                remedy=remedy,
            )


def _name(partition: TopicPartition) -> str:
    return f"{partition.topic}-{partition.partition}"
