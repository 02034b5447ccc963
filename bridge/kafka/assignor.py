"""Which member of the group gets which partition: by number, the same number of every topic together.

A record sent again stands in the partition of ``<group>.again`` that has its original's number. One
pod must have both, or two pods could have one entity in flight. Edge floor; the rule in it is pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Protocol

from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

Assignment = dict[str, dict[str, list[int]]]
"""Member to topic to partition numbers."""

_VERSION = 0


class Cluster(Protocol):
    """What is asked of aiokafka's view of the cluster."""

    def partitions_for_topic(self, topic: str) -> Collection[int] | None:
        """The partition numbers of a topic; None while it is not known."""
        ...


def by_number(
    subscriptions: Mapping[str, Collection[str]], numbers: Mapping[str, Collection[int]]
) -> Assignment:
    """Give partition n of every topic to the (n modulo members)-th member, by member id.

    ``subscriptions`` are the topics of each member, ``numbers`` the partitions of each topic. Every
    partition of a topic that somebody reads goes to exactly one member. Members that read the same
    topics, as all pods of one configuration do, get the same numbers of each of them.
    """
    assignment: Assignment = {member: {} for member in subscriptions}
    for topic, of_topic in numbers.items():
        readers = sorted(member for member, topics in subscriptions.items() if topic in topics)
        for number in sorted(of_topic) if readers else ():
            assignment[readers[number % len(readers)]].setdefault(topic, []).append(number)
    return assignment


class ByNumberAssignor(AbstractPartitionAssignor):  # type: ignore[misc]
    """``by_number`` as the group's protocol. Its name keeps members with another rule out."""

    name = "hookferry-by-number"  # pyright: ignore[reportIncompatibleMethodOverride, reportAssignmentType]

    @classmethod
    def assign(
        cls, cluster: Cluster, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """aiokafka: called at the leader. A topic without metadata is left out until there is some."""
        subscriptions = {member: frozenset(metadata.subscription) for member, metadata in members.items()}
        topics = sorted(frozenset().union(*subscriptions.values()))
        numbers = {topic: cluster.partitions_for_topic(topic) or () for topic in topics}
        return {
            member: ConsumerProtocolMemberAssignment(_VERSION, sorted(partitions.items()), b"")
            for member, partitions in by_number(subscriptions, numbers).items()
        }

    @classmethod
    def metadata(cls, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        """aiokafka: what a member tells when it joins."""
        return ConsumerProtocolMemberMetadata(_VERSION, sorted(topics), b"")

    @classmethod
    def on_assignment(cls, assignment: ConsumerProtocolMemberAssignment) -> None:
        """aiokafka: an assignor may keep state; this one has none."""
