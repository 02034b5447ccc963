"""Subscribe the member of the group to topics by name or by pattern, and return which ones it reads.

Invariant: every member reads the same topics once it has joined, because a member with a pattern looks at
the cluster's topics again before it joins. aiokafka joins again when that set changes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener

from bridge.kafka.membership import Membership
from bridge.model import Partition


def subscribe(
    consumer: AIOKafkaConsumer, membership: Membership, listener: ConsumerRebalanceListener
) -> None:
    """Subscribe a started consumer; with a pattern, to what it matches from now on."""
    if membership.pattern is None:
        consumer.subscribe(topics=membership.topics, listener=listener)
    else:
        consumer.subscribe(pattern=membership.pattern, listener=listener)


def topics_read(consumer: AIOKafkaConsumer, membership: Membership) -> Collection[str]:
    """Return the topics that the group reads; with a pattern, none before the first look at the cluster."""
    if membership.pattern is None:
        return membership.topics
    topics: Collection[str] = consumer.subscription() or frozenset()
    return topics


def existing_offsets(
    consumer: AIOKafkaConsumer, offsets: Mapping[Partition, int]
) -> dict[TopicPartition, int]:
    """Return the offsets of topics that exist, for aiokafka.

    The broker refuses a commit for a deleted topic, and aiokafka repeats the whole commit until its time
    is up: the other topics would wait for that.
    """
    return {
        TopicPartition(*partition): offset
        for partition, offset in offsets.items()
        if consumer.partitions_for_topic(partition.topic)
    }
