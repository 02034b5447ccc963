"""Assign partitions to the members of the group by number: equal numbers of all topics to one member.

A record that is sent again has the same partition number in ``<group>.again`` as its original. One
pod must own both partitions, or two pods could send events of one entity at the same time.
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
    """``assign_by_number`` as the group's protocol. Its name excludes members with another rule."""

    name = "hookferry-by-number"  # pyright: ignore[reportIncompatibleMethodOverride, reportAssignmentType]

    @classmethod
    def assign(
        cls, cluster: Cluster, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """Assign all partitions; aiokafka calls it at the leader. Topics without metadata are left out."""
        subscriptions = {member: frozenset(metadata.subscription) for member, metadata in members.items()}
        topics = sorted(frozenset().union(*subscriptions.values()))
        numbers = {topic: cluster.partitions_for_topic(topic) or () for topic in topics}
        return {
            member: ConsumerProtocolMemberAssignment(_VERSION, sorted(partitions.items()), b"")
            for member, partitions in assign_by_number(subscriptions, numbers).items()
        }

    @classmethod
    def metadata(cls, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        """Return what a member sends when it joins; called by aiokafka."""
        return ConsumerProtocolMemberMetadata(_VERSION, sorted(topics), b"")

    @classmethod
    def on_assignment(cls, assignment: ConsumerProtocolMemberAssignment) -> None:
        """Do nothing: aiokafka lets an assignor keep state, and this one has none."""
