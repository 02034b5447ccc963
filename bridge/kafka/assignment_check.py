"""Decide when a member requests a rebalance: the leader did not see all topics and partitions.

Invariant: it requests at most one for one view of the topics within ``_AGAIN_S``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from bridge.kafka.assignor import ByNumberAssignor, Cluster

_EVERY_S = 1.0
_AGAIN_S = 300.0
"""If the first request had no effect, the leader may have no right to see all topics."""


class AssignmentCheck:
    """Compares the topics as this member sees them with those that the leader saw, once per second."""

    def __init__(self, assignor: ByNumberAssignor, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock``: monotonic seconds."""
        self._assignor = assignor
        self._clock = clock
        self._checked_at = -_EVERY_S
        self._requested: tuple[frozenset[tuple[str, int]], float] | None = None

    def must_rejoin(self, cluster: Cluster, subscription: Callable[[], Collection[str]]) -> bool:
        """Return True if the member must join again now; its metadata is then changed for that.

        Call it only while the member has an assignment. ``subscription`` returns its topics.
        """
        now = self._clock()
        if now - self._checked_at < _EVERY_S:
            return False
        self._checked_at, topics = now, subscription()
        if not self._assignor.outdated(cluster, topics):
            return False
        view = frozenset((topic, len(cluster.partitions_for_topic(topic) or ())) for topic in topics)
        if self._requested is not None and self._requested[0] == view and now - self._requested[1] < _AGAIN_S:
            return False
        self._requested = view, now
        self._assignor.prepare_rejoin()
        return True
