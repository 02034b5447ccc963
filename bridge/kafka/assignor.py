"""Assign partitions to the members of the group by number: equal numbers of all topics to one member.

A record that is sent again has the same partition number in ``<group>.again`` as its original. One
pod must own both partitions, or two pods could send events of one entity at the same time.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Protocol

from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

Assignment = dict[str, dict[str, list[int]]]
"""Member to topic to partition numbers."""

_VERSION = 0


class Cluster(Protocol):
    """The part of aiokafka's cluster metadata that an assignor reads."""

    def partitions_for_topic(self, topic: str) -> Collection[int] | None:
        """Return the partition numbers of a topic; None until its metadata has arrived."""
        ...


def assign_by_number(
    subscriptions: Mapping[str, Collection[str]], numbers: Mapping[str, Collection[int]]
) -> Assignment:
    """Give partition n of every topic to the (n modulo members)-th member, by member id.

    ``subscriptions`` are the topics of each member, ``numbers`` the partitions of each topic. Every
    partition of a subscribed topic goes to exactly one member. Members with the same subscription,
    as all pods of one configuration have, get the same numbers of each topic.
    """
    assignment: Assignment = {member: {} for member in subscriptions}
    for topic, topic_numbers in numbers.items():
        readers = sorted(member for member, topics in subscriptions.items() if topic in topics)
        for number in sorted(topic_numbers) if readers else ():
            assignment[readers[number % len(readers)]].setdefault(topic, []).append(number)
    return assignment


class ByNumberAssignor(AbstractPartitionAssignor):  # type: ignore[misc] # aiokafka has no type information
    """``assign_by_number`` as the group's protocol; one for each member.

    Its name excludes members with another rule. Every assignment carries what the leader knew: the number
    of partitions of each topic. A static member that restarts gets its old assignment without a rebalance,
    even if its topics have changed; if it was the leader, no member watches for new partitions any more
    (KIP-345, KIP-814). Each member therefore compares what it knows with the assignment.
    """

    name = "hookferry-by-number"  # pyright: ignore[reportIncompatibleMethodOverride, reportAssignmentType]

    def __init__(self) -> None:
        self._known_to_leader: dict[str, int] | None = None
        self._rejoins = 0

    def assign(  # pyright: ignore[reportIncompatibleMethodOverride] - a class method upstream
        self, cluster: Cluster, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """Assign all partitions; aiokafka calls it at the leader. Topics without metadata are left out."""
        subscriptions = {member: frozenset(metadata.subscription) for member, metadata in members.items()}
        topics = sorted(frozenset().union(*subscriptions.values()))
        numbers = {topic: cluster.partitions_for_topic(topic) or () for topic in topics}
        known = json.dumps({topic: len(of_topic) for topic, of_topic in numbers.items()}).encode()
        return {
            member: ConsumerProtocolMemberAssignment(_VERSION, sorted(partitions.items()), known)
            for member, partitions in assign_by_number(subscriptions, numbers).items()
        }

    def metadata(  # pyright: ignore[reportIncompatibleMethodOverride] - a class method upstream
        self, topics: Iterable[str]
    ) -> ConsumerProtocolMemberMetadata:
        """Return what a member sends when it joins; called by aiokafka.

        The group rebalances for a follower that joins again only if its metadata has changed.
        """
        return ConsumerProtocolMemberMetadata(_VERSION, sorted(topics), b"%d" % self._rejoins)

    def on_assignment(  # pyright: ignore[reportIncompatibleMethodOverride] - a class method upstream
        self, assignment: ConsumerProtocolMemberAssignment
    ) -> None:
        """Remember what the leader knew; called by aiokafka."""
        try:
            known = json.loads(assignment.user_data)
        except (TypeError, ValueError):  # a leader of an earlier version
            known = None
        self._known_to_leader = known if isinstance(known, dict) else None

    def outdated(self, cluster: Cluster, topics: Iterable[str]) -> bool:
        """Return True if the leader did not know all partitions of these topics that this member knows."""
        known = self._known_to_leader
        if known is None:
            return False
        counts = {topic: len(cluster.partitions_for_topic(topic) or ()) for topic in topics}
        return any(count and known.get(topic) != count for topic, count in counts.items())

    def prepare_rejoin(self) -> None:
        """Change the metadata, so that the group rebalances when this member joins again."""
        self._rejoins += 1
