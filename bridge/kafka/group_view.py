"""What the status reports of the group: this process's place, its partitions and those that fail.

Invariant: reading it changes nothing, and waits for nothing.
"""

from __future__ import annotations

import time
from collections.abc import Collection

from aiokafka import TopicPartition

from bridge.core.readiness import GroupPlace
from bridge.kafka.aiokafka_patches.failing_fetches import failing_partitions
from bridge.kafka.aiokafka_patches.heartbeats import knows_coordinator
from bridge.kafka.group_reader import Reader
from bridge.model import Partition


class GroupView:
    """The view of a reader and its membership from outside."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._member = reader.member

    @property
    def place(self) -> GroupPlace | None:
        """The place in the group; None before the first assignment."""
        member = self._member
        if not member.was_assigned and not member.name.taken:
            return None
        since = member.rebalancing_since
        return GroupPlace(
            group=member.membership.group,
            silent_s=member.lease.silent_s,
            session_timeout_s=member.membership.session_timeout_s,
            assigned=len(self._reader.assigned),
            rebalancing_s=None if since is None else time.monotonic() - since,
            unprepared=len(self._reader.unprepared),
            reachable=knows_coordinator(member.consumer),
            name_taken=member.name.value if member.name.taken else None,
        )

    @property
    def assigned(self) -> frozenset[Partition]:
        """All partitions of the current assignment."""
        return self._reader.assigned

    @property
    def topics(self) -> Collection[str]:
        """The topics that the group reads; with patterns, none before the first look at the cluster."""
        return self._member.topics

    @property
    def failing(self) -> int:
        """The number of assigned partitions that their brokers cannot read now."""
        return failing_partitions(self._member.consumer, map(TopicPartition._make, self._reader.assigned))
