"""Assign partitions to the members of the group by number: equal numbers of all topics to one member.

A record that is sent again has the same partition number in ``<group>.again`` as its original. One
pod must own both partitions, or two pods could send events of one entity at the same time.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Protocol

from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

from bridge.core.sticky import divide

Assignment = dict[str, dict[str, list[int]]]
"""Member to topic to partition numbers."""

_VERSION = 0


class Cluster(Protocol):
    """The part of aiokafka's cluster metadata that an assignor reads."""

    def partitions_for_topic(self, topic: str) -> Collection[int] | None:
        """Return the partition numbers of a topic; None until its metadata has arrived."""
        ...


def assign_by_number(
    subscriptions: Mapping[str, Collection[str]],
    numbers: Mapping[str, Collection[int]],
    owned: Mapping[str, Collection[int]] | None = None,
) -> Assignment:
    """Give partition n of every topic to one member: the one that had it, as far as the shares are equal.

    ``subscriptions`` are the topics of each member, ``numbers`` the partitions of each topic, ``owned`` the
    numbers that each member had. Every partition of a subscribed topic goes to exactly one member. Members
    with the same subscription, as all pods of one configuration have, get the same numbers of each topic.
    A member that keeps a number has its dedupe index already; another reads the window of the log again.
    """
    assignment: Assignment = {member: {} for member in subscriptions}
    topics_of: dict[tuple[str, ...], list[str]] = {}
    for topic in numbers:
        readers = tuple(sorted(member for member, topics in subscriptions.items() if topic in topics))
        topics_of.setdefault(readers, []).append(topic)
    for readers, topics in topics_of.items():
        bounds = [max(numbers[topic], default=-1) + 1 for topic in topics]
        owners = divide(bounds, readers, owned or {}) if readers else {}
        for topic in topics if readers else ():
            for number in sorted(numbers[topic]):
                assignment[owners[number]].setdefault(topic, []).append(number)
    return assignment


class ByNumberAssignor(AbstractPartitionAssignor):  # type: ignore[misc] # aiokafka has no type information
    """``assign_by_number`` as the group's protocol; one for each member.

    Its name excludes members with another rule. Every assignment contains what the leader saw: the number
    of partitions of each topic. A static member that restarts gets its old assignment without a rebalance,
    even if its topics have changed; if it was the leader, no member watches for new partitions any more
    (KIP-345, KIP-814). Each member therefore compares its own view with the assignment.
    """

    name = "hookferry-by-number"  # pyright: ignore[reportIncompatibleMethodOverride, reportAssignmentType]

    def __init__(self) -> None:
        self._seen_by_leader: dict[str, int] | None = None
        self._owned: set[int] = set()
        self._rejoins = 0

    def assign(  # pyright: ignore[reportIncompatibleMethodOverride] - a class method upstream
        self, cluster: Cluster, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """Assign all partitions; aiokafka calls it at the leader. Topics without metadata are left out."""
        subscriptions = {member: frozenset(metadata.subscription) for member, metadata in members.items()}
        topics = sorted(frozenset().union(*subscriptions.values()))
        numbers = {topic: cluster.partitions_for_topic(topic) or () for topic in topics}
        known = json.dumps({topic: len(of_topic) for topic, of_topic in numbers.items()}).encode()
        owned = {member: _owned(metadata) for member, metadata in members.items()}
        return {
            member: ConsumerProtocolMemberAssignment(_VERSION, sorted(partitions.items()), known)
            for member, partitions in assign_by_number(subscriptions, numbers, owned).items()
        }

    def metadata(  # pyright: ignore[reportIncompatibleMethodOverride] - a class method upstream
        self, topics: Iterable[str]
    ) -> ConsumerProtocolMemberMetadata:
        """Return what a member sends when it joins; called by aiokafka.

        The group rebalances for a follower that joins again only if its metadata has changed.
        """
        own = json.dumps({"owned": sorted(self._owned), "rejoins": self._rejoins}).encode()
        return ConsumerProtocolMemberMetadata(_VERSION, sorted(topics), own)

    def on_assignment(  # pyright: ignore[reportIncompatibleMethodOverride] - a class method upstream
        self, assignment: ConsumerProtocolMemberAssignment
    ) -> None:
        """Remember the assignment and what the leader saw; called by aiokafka."""
        self._owned = {number for _, numbers in assignment.assignment for number in numbers}
        self._seen_by_leader = _document(assignment.user_data)

    def outdated(self, cluster: Cluster, topics: Iterable[str]) -> bool:
        """Return True if this member sees partitions of these topics that the leader did not see.

        A member that sees fewer than the leader has old metadata itself.
        """
        known = self._seen_by_leader
        if known is None:
            return False
        counts = {topic: len(cluster.partitions_for_topic(topic) or ()) for topic in topics}
        return any(count > known.get(topic, 0) for topic, count in counts.items())

    def prepare_rejoin(self) -> None:
        """Change the metadata, so that the group rebalances when this member joins again."""
        self._rejoins += 1


def _owned(metadata: ConsumerProtocolMemberMetadata) -> list[int]:
    """Return the partition numbers that a member had; none from an earlier version."""
    owned = (_document(metadata.user_data) or {}).get("owned", ())
    return [number for number in owned if isinstance(number, int)]


def _document(user_data: bytes | None) -> dict[str, Any] | None:
    """Return the JSON object in ``user_data``; None if there is none, as from an earlier version."""
    try:
        document = json.loads(user_data or b"")
    except ValueError:
        return None
    return document if isinstance(document, dict) else None
