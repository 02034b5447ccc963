"""Load the cursors of newly assigned partitions: from the commits, the journal and what is remembered.

Invariant: a journal entry counts only for the commit that it followed, and no cursor that was known is
taken for a new one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, Protocol

from bridge.core.beginning import NO_PLACES, Beginning, Beginnings, TopicPlaces
from bridge.core.memory_budget import MemoryBudget
from bridge.model import Committed, Partition
from bridge.pipeline.cursor_start import (
    Bounds,
    Continued,
    CursorPolicy,
    EndpointCursor,
    Lost,
    ReadCommit,
    Started,
    StartedCursors,
    build_cursor,
    decide_start,
    read_commit,
)
from bridge.storage.journal import Journal, JournaledOffsets

_AT_ONCE = 16
"""Groups whose offsets are fetched together."""
CursorsByPartition = dict[Partition, dict[str, EndpointCursor]]
"""Cursors by partition, then by endpoint."""
TopicIdByName = Mapping[str, str | None]
"""The ids of the topics that exist; None where the broker does not return one."""


class CommitsOffsets(Protocol):
    """Where cursors are committed: as offsets of groups without members."""

    async def commit(self, group: str, offsets: Mapping[Partition, Committed]) -> Collection[Partition]:
        """Commit; return the partitions that a missing right refuses. Raises ``CommitError``."""
        ...


class Offsets(CommitsOffsets, Protocol):
    """The broker's store of cursors."""

    async def fetch(self, group: str, partitions: Collection[Partition] | None) -> dict[Partition, Committed]:
        """Return what is committed, of these partitions or of all. Raises ``CommitError``."""
        ...

    async def fetch_all(
        self, groups: Sequence[str], partitions: Collection[Partition] | None
    ) -> dict[str, dict[Partition, Committed]]:
        """Return what is committed for each of these groups. Raises ``CommitError`` if that of one fails."""
        ...


class Loaded(NamedTuple):
    """The cursors of newly assigned partitions, and the commit that each continues, if it does.

    ``stopped``: by endpoint, the reason why it must be turned off before it gets a record.
    """

    cursors: CursorsByPartition
    committed: dict[EndpointCursor, Committed | None]
    topic_ids: TopicIdByName
    stopped: dict[str, str]


class CursorLoader:
    """Builds the cursors of an assignment, each where its endpoint stopped."""

    def __init__(
        self,
        group: str,
        policies: Mapping[str, CursorPolicy],
        *,
        offsets: Offsets,
        journal: Journal,
        beginnings: Beginnings,
        budget: MemoryBudget,
        whole_topics: Collection[str] = (),
    ) -> None:
        """``beginnings``: where the endpoints have begun. Every endpoint has, before the first ``load``.

        ``whole_topics``: topics that every endpoint reads from the first record, whatever its policy.
        """
        self._group = group
        self._policies = dict(policies)
        self._offsets = offsets
        self._journal = journal
        self._beginnings = beginnings
        self._budget = budget
        self._whole_topics = frozenset(whole_topics)

    def adopt(self, policies: Mapping[str, CursorPolicy]) -> None:
        """Load the cursors of these endpoints, and of no others, from now on."""
        self._policies = dict(policies)

    async def load(self, bounds: Bounds, topic_ids: TopicIdByName) -> Loaded:
        """Return a cursor for each endpoint in each of these partitions. Raises ``CommitError``."""
        loaded = Loaded({partition: {} for partition in bounds}, {}, topic_ids, {})
        journaled, started = self._journal.read(), StartedCursors()
        reads: dict[Committed, ReadCommit] = {}  # of a thousand endpoints at rest, most commits are the same
        policies = self._policies  # of one configuration, whatever is adopted meanwhile
        left = list(policies)
        while left:
            names, left = left[:_AT_ONCE], left[_AT_ONCE:]
            groups = [f"{self._group}.{name}" for name in names]
            fetched = await self._offsets.fetch_all(groups, bounds.keys())
            for endpoint, group in zip(names, groups, strict=True):
                commits: dict[Partition, ReadCommit] = {}
                for partition, committed in fetched[group].items():
                    if committed not in reads:
                        reads[committed] = read_commit(committed)
                    commits[partition] = reads[committed]
                starts = self._build(endpoint, policies[endpoint], bounds, commits, journaled, loaded)
                started.add(endpoint, starts)
        started.report()
        return loaded

    def _build(
        self,
        endpoint: str,
        chosen: CursorPolicy,
        bounds: Bounds,
        commits: Mapping[Partition, ReadCommit],
        journaled: JournaledOffsets,
        loaded: Loaded,
    ) -> dict[str, dict[Partition, int]]:
        """Build the cursors of one endpoint. Return the next offsets of its first ones, by cause."""
        starts: defaultdict[str, dict[Partition, int]] = defaultdict(dict)
        share = self._budget.share(endpoint)
        beginning = self._beginnings[endpoint]
        begun = beginning.topics if beginning else {}
        by_topic = {
            topic: (self._policy(chosen, topic), begun.get(topic, NO_PLACES), loaded.topic_ids.get(topic))
            for topic in {partition.topic for partition in bounds}
        }
        for partition, log in bounds.items():
            read, (policy, places, topic_id) = commits.get(partition), by_topic[partition.topic]
            committed = read.committed if read else None
            settled = journaled.settled(endpoint, partition, committed)
            start = decide_start(partition.number, log, read, places, topic_id)
            if isinstance(start, Lost) and policy.on_lost_offset == "stop":
                reason = f"on_lost_offset: the cursor in {partition} is lost: {start.cause}"
                loaded.stopped[endpoint] = reason
            cursor = build_cursor(endpoint, policy, share, partition, log, start, settled)
            if isinstance(start, Started):
                starts[start.cause][partition] = cursor.position
            loaded.cursors[partition][endpoint] = cursor
            loaded.committed[cursor] = committed if isinstance(start, Continued) else None
        return starts

    def _policy(self, policy: CursorPolicy, topic: str) -> CursorPolicy:
        return replace(policy, on_lost_offset="earliest") if topic in self._whole_topics else policy

    def rebuild(self, endpoint: str, partition: Partition, committed: Committed) -> EndpointCursor:
        """Return a cursor that begins as committed, wherever its log begins and ends."""
        policy, share = self._policies[endpoint], self._budget.share(endpoint)
        log = (0, committed.offset)
        return build_cursor(endpoint, policy, share, partition, log, Continued(read_commit(committed)), ())

    def beginnings_in(self, loaded: Loaded) -> dict[str, Beginning]:
        """Return what to remember of these cursors, by endpoint, once they are committed."""
        numbers: defaultdict[str, set[int]] = defaultdict(set)
        for topic, number in loaded.cursors:
            if topic not in self._whole_topics:
                numbers[topic].add(number)
        topics = {
            topic: TopicPlaces(loaded.topic_ids.get(topic), frozenset(of_topic))
            for topic, of_topic in numbers.items()
        }
        endpoints = sorted(set().union(*loaded.cursors.values()))
        return dict.fromkeys(endpoints, Beginning("", topics))
