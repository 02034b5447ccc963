"""Send few fetches: gather records while they trickle, and let the broker wait longer when nothing comes.

Upstream: no issue found. aiokafka 0.14 sends the next fetch as soon as the records of the last one were
read, so a trickle costs a fetch per record. It has one fetch in progress per broker, and a partition that
is not in it waits until the broker answers; so the time that a broker may wait must be short for all.
Remove this when a consumer has a linger for fetches and a wait by request.
``failing_fetches`` builds its fetcher on this one, so every consumer of the product has the patch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.protocol.fetch import FetchRequest

from bridge.core.fetch_pace import FetchPace

_LOOK_AGAIN_S = 3.0
"""aiokafka's task that fetches looks at all partitions that often when nothing has woken it: five times per
second, by default. What was read, resumed, moved or answered does wake it."""


class GatheringFetcher(Fetcher):  # type: ignore[misc] # aiokafka has no type information
    """Fetches as aiokafka does, at the pace of ``pace``.

    ``complete_wait_ms`` is how long a broker may wait for records if its request contains all its
    partitions; 0: as long as for any other request. ``silent_wait_ms`` is the same while nothing comes.
    """

    def __init__(self, client: Any, subscriptions: Any, **options: Any) -> None:
        self.pace = FetchPace()
        self.complete_wait_ms = self.silent_wait_ms = 0
        self._pauses = False
        options["fetcher_timeout"] = _LOOK_AGAIN_S
        super().__init__(client, subscriptions, **options)

    def _get_actions_per_node(self, assignment: Any) -> Any:
        """See aiokafka: return what to send, and after how many seconds to look again."""
        now = self._loop.time()
        wait_s = self.pace.wait_s(now)
        self._pauses = wait_s > 0
        if self._pauses:
            return [], {}, wait_s, False, []
        if len(self._in_flight) > len(self._pending_tasks):
            # A fetch has ended, and its callback, which frees its broker, runs later in this turn of the
            # loop. Nothing wakes this task then, so its broker would be asked after the next look only.
            return [], {}, 0, False, []
        actions = super()._get_actions_per_node(assignment)
        requests = actions[0]
        if requests:
            self.pace.sent(now)
            if self.complete_wait_ms:
                wait_ms = self.silent_wait_ms if self.pace.is_silent(now) else self.complete_wait_ms
                self._wait_longer(assignment, requests, wait_ms)
        return actions

    def _notify(self, future: Any) -> None:
        """See aiokafka: wake what waits. The task that fetches wakes by itself at the end of a pause."""
        if not self._pauses or future is not self._wait_consume_future:
            super()._notify(future)

    def _wait_longer(
        self, assignment: Any, requests: Sequence[tuple[int, FetchRequest]], wait_ms: int
    ) -> None:
        """Let brokers wait longer whose request leaves out none of their partitions."""
        counts = [sum(len(rows) for _, rows in request.topics) for _, request in requests]
        if sum(counts) == len(assignment.tps):
            complete = requests
        else:
            leaders = [self._select_read_replica(partition) for partition in assignment.tps]
            complete = [
                (node, request)
                for (node, request), count in zip(requests, counts, strict=True)
                if count == leaders.count(node)
            ]
        for _, request in complete:
            request._max_wait_ms = wait_ms


def wait_at_broker(consumer: AIOKafkaConsumer, complete_wait_ms: int, silent_wait_ms: int) -> None:
    """Let the brokers wait this long for records, as far as no partition waits for the answer.

    ``silent_wait_ms``: while nothing comes. The consumer must have been started.
    """
    fetcher: Any = consumer._fetcher
    if fetcher is not None:
        fetcher.complete_wait_ms, fetcher.silent_wait_ms = complete_wait_ms, silent_wait_ms
