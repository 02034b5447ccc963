"""Topics at the broker: wait for those of the sources, create and check the bridge's own."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import structlog
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    InvalidPartitionsError,
    KafkaError,
    TopicAlreadyExistsError,
)

from bridge.errors import KafkaUnavailable
from bridge.telemetry import events

_log = structlog.get_logger()


PARKED_MAX_BYTES = 16 * 1024 * 1024
"""``max.message.bytes`` of a dead-letter topic that we create: whatever was read must fit."""
AGAIN_CONFIGS = {"max.message.bytes": str(PARKED_MAX_BYTES)}
PARKED_CONFIGS = {**AGAIN_CONFIGS, "retention.ms": "-1"}
"""What is parked is kept until somebody decides: a held lane whose letters are gone has lost events."""
CONTROL_CONFIGS = {
    "cleanup.policy": "compact",
    "max.message.bytes": "65536",
    "segment.bytes": str(16 * 1024 * 1024),
}
"""Compacted, or an endpoint that is off would be on again when retention took the record. Only whole
segments are compacted, and every assignment reads the topic: short ones keep it short."""


async def wait_for_topics(admin: AIOKafkaAdminClient, topics: Iterable[str]) -> None:
    """Return when all source topics exist; name the missing ones, at first and every minute."""
    waited = 0
    while True:
        try:
            missing = sorted(set(topics) - set(await admin.list_topics()))
        except (KafkaError, OSError) as exc:
            _log.warning(
                events.KAFKA_UNREACHABLE, cause=str(exc), remedy="waiting for the broker to come back"
            )
        else:
            if not missing:
                return
            if waited % 60 == 0:
                _log.error(
                    events.TOPICS_MISSING,
                    topics=missing,
                    remedy="create them, or correct `topics` of the source; waiting for them",
                )
        await asyncio.sleep(1)
        waited += 1


async def ensure_topic(
    admin: AIOKafkaAdminClient,
    topic: str,
    like: Collection[str] = (),
    *,
    create: bool,
    replication_factor: int,
    configs: Mapping[str, str],
) -> None:
    """Make sure a topic of the bridge's own exists, with as many partitions as the largest of ``like``.

    Without ``like`` it has one. A ``replication_factor`` of -1 means three copies, or as many as
    there are brokers.
    Raises ``KafkaUnavailable`` that says how to make it by hand.
    """
    if topic in await admin.list_topics():
        return
    by_hand = (
        f"kafka-topics.sh --bootstrap-server … --create --topic {topic}"
        + ("" if like else " --partitions 1")
        + "".join(f" --config {name}={value}" for name, value in configs.items())
    )
    if not create:
        raise KafkaUnavailable(
            f"topic {topic!r} does not exist and kafka.create_topics is false; make it: {by_hand}"
        )
    try:
        new = NewTopic(
            topic,
            await _most_partitions(admin, like) if like else 1,
            replication_factor if replication_factor > 0 else min(3, await _brokers(admin)),
            topic_configs=dict(configs),
        )
        response: Any = await admin.create_topics([new])
    except TopicAlreadyExistsError:
        return
    except KafkaError as exc:
        raise KafkaUnavailable(f"topic {topic!r} could not be created ({exc}); make it: {by_hand}") from exc
    for name, code, *message in response.topic_errors:
        if code not in (0, TopicAlreadyExistsError.errno):
            said = message[0] if message and message[0] else f"error {code}"
            raise KafkaUnavailable(f"topic {name!r} could not be created ({said}); make it: {by_hand}")
    _log.info(events.TOPIC_CREATED, topic=topic)


async def warn_unless_compacted(admin: AIOKafkaAdminClient, topic: str) -> None:
    """Say it when a topic that is there already would forget what it should keep.

    A broker that does not tell (an embedded one, or no right to ask) is believed.
    """
    try:
        answers: list[Any] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    except (KafkaError, OSError):
        return
    policies = {entry[0]: entry[1] for *_, entries in answers[0].resources for entry in entries}
    policy = policies.get("cleanup.policy") or ""
    if policy and "delete" in policy.split(","):
        _log.error(
            events.TOPIC_NOT_COMPACTED,
            topic=topic,
            cause=f"its cleanup.policy is {policy}: an endpoint that is off is on again once that is deleted",
            remedy=f"kafka-configs.sh --bootstrap-server … --alter --topic {topic}"
            " --add-config cleanup.policy=compact",
        )


async def warn_if_it_forgets(admin: AIOKafkaAdminClient, topic: str) -> None:
    """Say it when the dead-letter topic deletes what lanes are held for.

    A broker that does not tell is believed.
    """
    try:
        answers: list[Any] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    except (KafkaError, OSError):
        return
    told = {entry[0]: entry[1] for *_, entries in answers[0].resources for entry in entries}
    retention_ms = told.get("retention.ms") or "-1"
    if retention_ms != "-1":
        _log.warning(
            events.TOPIC_FORGETS,
            topic=topic,
            cause=f"its retention.ms is {retention_ms}: what is parked for longer is lost, and a held lane"
            " goes on without it",
            remedy=f"kafka-configs.sh --bootstrap-server … --alter --topic {topic}"
            " --add-config retention.ms=-1",
        )


async def ensure_partitions(admin: AIOKafkaAdminClient, topic: str, like: Collection[str]) -> None:
    """Let a topic of the bridge's own grow to as many partitions as the largest of ``like`` has.

    Raises ``KafkaUnavailable`` that says how to do it by hand.
    """
    wanted = await _most_partitions(admin, like)
    has = await _most_partitions(admin, [topic])
    if has >= wanted:
        return
    try:
        await admin.create_partitions({topic: NewPartitions(wanted)})
    except InvalidPartitionsError:
        return  # another pod was quicker
    except KafkaError as exc:
        raise KafkaUnavailable(
            f"topic {topic!r} has {has} partitions and needs {wanted}, as the largest source topic has"
            f" ({exc}); do it: kafka-topics.sh --bootstrap-server … --alter --topic {topic}"
            f" --partitions {wanted}"
        ) from exc
    _log.info(events.TOPIC_GREW, topic=topic, partitions=wanted)


async def topic_sizes(admin: AIOKafkaAdminClient, topics: Collection[str]) -> dict[str, int]:
    """How many partitions each of these topics has; those that do not exist are left out.

    Raises ``KafkaUnavailable``.
    """
    try:
        there = sorted(set(topics) & set(await admin.list_topics()))
        if not there:
            return {}
        return {one["topic"]: len(one["partitions"]) for one in await admin.describe_topics(there)}
    except (KafkaError, OSError) as exc:
        raise KafkaUnavailable(f"the topics are not to be had: {exc!r}") from exc


async def _most_partitions(admin: AIOKafkaAdminClient, topics: Collection[str]) -> int:
    described = await admin.describe_topics(list(topics))
    return max(len(topic["partitions"]) for topic in described)


async def cluster_id(admin: AIOKafkaAdminClient) -> str | None:
    """Which cluster this is, by its own word; a broker need not say. Raises aiokafka's errors."""
    found = (await admin.describe_cluster()).get("cluster_id")
    return found if isinstance(found, str) else None


async def _brokers(admin: AIOKafkaAdminClient) -> int:
    return len((await admin.describe_cluster())["brokers"])
