"""Begin new endpoints: decide where they start, once, for all partitions that exist, and record it.

Invariant: when ``begin`` returns, every endpoint has a record in the control topic. A topic or a partition
that appears afterwards is therefore new, and the endpoint is not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol

from bridge.clock import Clock
from bridge.core.beginning import Beginning, Beginnings, TopicPlaces
from bridge.model import Partition
from bridge.pipeline.cursor_loader import Offsets, TopicIdByName
from bridge.pipeline.cursor_start import Bounds, CursorPolicy, start_offsets

_AT_ONCE = 16
"""Groups whose offsets are fetched together."""


class Logs(Protocol):
    """The logs of the source topics, also of partitions that are not assigned to this process."""

    async def bounds(self, topics: Collection[str]) -> Bounds:
        """Return the first and the next offset of each partition that exists. Raises ``KafkaUnavailable``."""
        ...

    async def offsets_at(self, partitions: Collection[Partition], timestamp_ms: int) -> dict[Partition, int]:
        """Return the first offset at or after an instant, where there is one. Raises ``KafkaUnavailable``."""
        ...

    async def topic_ids(self, topics: Collection[str]) -> TopicIdByName:
        """Return the ids of those topics that exist. Raises ``KafkaUnavailable``."""
        ...


class NewEndpoints:
    """Finds the endpoints that never began, and begins them.

    Two pods may begin an endpoint at the same time. The two records are merged, and each partition has
    one owner, which commits its first cursor.
    """

    def __init__(
        self,
        group: str,
        policies: Mapping[str, CursorPolicy],
        *,
        offsets: Offsets,
        beginnings: Beginnings,
        remember: Callable[[Mapping[str, Beginning]], Awaitable[None]],
        clock: Clock,
    ) -> None:
        """``remember`` returns once the broker has the records. Raises ``KafkaUnavailable``."""
        self._group = group
        self._policies = policies
        self._offsets = offsets
        self._beginnings = beginnings
        self._remember = remember
        self._clock = clock

    def unknown(self) -> list[str]:
        """Return the endpoints without a record: only for these, ``begin`` has anything to do."""
        return [name for name in self._policies if self._beginnings[name] is None]

    async def begin(self, topics: Collection[str], logs: Logs) -> None:
        """Begin the new endpoints in these topics, as far as they exist.

        Raises ``KafkaUnavailable`` and ``CommitError``, and may be called again after either.
        """
        topic_ids, bounds = await logs.topic_ids(topics), await logs.bounds(topics)
        new = await self._without_cursor(bounds)
        began = datetime.fromtimestamp(self._clock.time(), UTC).isoformat(timespec="seconds")
        by_start: dict[str | int, Beginning] = {}
        for policy in (self._policies[name] for name in new):
            if policy.start not in by_start:
                topics = _by_topic(await start_offsets(policy, bounds, logs.offsets_at), topic_ids)
                by_start[policy.start] = Beginning(began.replace("+00:00", "Z"), topics)
        await self._remember({name: by_start[self._policies[name].start] for name in new})

    async def _without_cursor(self, partitions: Collection[Partition]) -> list[str]:
        """Return the endpoints without a record that have no cursor either."""
        new: list[str] = []
        left = self.unknown()
        while left:
            names, left = left[:_AT_ONCE], left[_AT_ONCE:]
            with_cursor = await self._with_cursor(names, partitions)
            new += [name for name in names if name not in with_cursor]
        return new

    async def _with_cursor(self, endpoints: Sequence[str], partitions: Collection[Partition]) -> set[str]:
        """Return which of these are endpoints of a release that kept no record of their beginning."""
        if not partitions:
            return set()
        groups = {f"{self._group}.{name}": name for name in endpoints}
        committed = await self._offsets.fetch_all(list(groups), None)  # of most, there is none
        return {name for group, name in groups.items() if not committed[group].keys().isdisjoint(partitions)}


def _by_topic(starts: Mapping[Partition, int], topic_ids: TopicIdByName) -> dict[str, TopicPlaces]:
    begins: defaultdict[str, dict[int, int]] = defaultdict(dict)
    for (topic, number), offset in starts.items():
        begins[topic][number] = offset
    return {topic: TopicPlaces(topic_ids.get(topic), begins=of_topic) for topic, of_topic in begins.items()}
