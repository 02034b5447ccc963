"""Prepare the topics before work begins: wait for the sources, create and check the internal ones."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import structlog

from bridge.errors import BrokerError, KafkaUnavailable
from bridge.kafka.aiokafka_patches.new_topics import new_topics
from bridge.kafka.topics import PARKED_MAX_BYTES, TopicAdmin
from bridge.telemetry import events
from bridge.telemetry.throttle import Throttle

_log = structlog.get_logger()

AGAIN_CONFIGS = {"max.message.bytes": str(PARKED_MAX_BYTES)}
PARKED_CONFIGS = {**AGAIN_CONFIGS, "retention.ms": "-1"}
"""Dead letters are kept until an operator decides: a held lane whose letters are deleted has lost events."""
ATTEMPTS_CONFIGS = {"cleanup.policy": "delete", "max.message.bytes": str(2 * 1024 * 1024)}
"""An attempt with the largest body that the history keeps fits, even if it cannot be compressed."""
CONTROL_CONFIGS = {
    "cleanup.policy": "compact",
    "max.message.bytes": "65536",
    "segment.bytes": str(16 * 1024 * 1024),
}
"""Compacted: otherwise an endpoint that is off would be on again once retention deleted the record.
Kafka compacts only closed segments, and every assignment reads the topic: short segments keep it short."""


def missing_topics_reporter() -> Callable[[Sequence[str]], None]:
    """Return a function that logs the missing source topics it is called with, about once per second.

    On a first start their producer may still create them, so only what is missing for a minute is an error.
    """
    throttle, reported = Throttle(), False

    def report(missing: Sequence[str]) -> None:
        nonlocal reported
        if not missing:
            reported = False
        elif throttle.allows():
            remedy = "create them, or correct `topics` of the source; the bridge waits for them"
            if reported:
                _log.error(events.TOPICS_MISSING, topics=missing, remedy=remedy)
            else:
                _log.info(events.TOPICS_MISSING, topics=missing, remedy=remedy)
            reported = True

    return report


async def wait_for_topics(admin: TopicAdmin, topics: Iterable[str]) -> None:
    """Return when all source topics exist; log the missing ones at first and then once per minute."""
    report, names = missing_topics_reporter(), frozenset(topics)
    awaited: frozenset[str] = frozenset()
    while True:
        try:
            missing = sorted(names - await admin.names())
        except BrokerError as exc:
            _log.warning(
                events.KAFKA_UNREACHABLE,
                cause=exc.cause,
                remedy="none needed: the bridge retries each second",
            )
        else:
            for name in awaited - set(missing):
                new_topics.expect(name)
            if not missing:
                return
            awaited = frozenset(missing)
            report(missing)
        await asyncio.sleep(1)


async def ensure_topic(
    admin: TopicAdmin,
    topic: str,
    like: Collection[str] = (),
    *,
    create: bool,
    replication_factor: int,
    configs: Mapping[str, str],
) -> None:
    """Create an internal topic unless it exists, with as many partitions as the largest of ``like``.

    Without ``like`` it has one partition. A ``replication_factor`` of -1 means three copies, or one per
    broker if there are fewer. Raises ``KafkaUnavailable`` with the command that creates it by hand,
    and ``BrokerError`` if it is not known whether the topic exists.
    """
    if topic in await admin.names():
        return
    by_hand = (
        f"create it: kafka-topics.sh --bootstrap-server … --create --topic {topic}"
        + ("" if like else " --partitions 1")
        + "".join(f" --config {name}={value}" for name, value in configs.items())
    )
    if not create:
        raise KafkaUnavailable(f"topic {topic!r} does not exist and kafka.create_topics is false; {by_hand}")
    try:
        partitions = max((await admin.partition_counts(like)).values(), default=0) if like else 1
        created = await admin.create(topic, partitions, replication_factor, configs)
    except BrokerError as exc:
        raise KafkaUnavailable(f"cannot create topic {topic!r}: {exc.cause}; {by_hand}") from exc
    new_topics.expect(topic, partitions)
    if created:
        _log.info(events.TOPIC_CREATED, topic=topic)


async def ensure_partitions(admin: TopicAdmin, topic: str, like: Collection[str]) -> None:
    """Give an internal topic as many partitions as the largest of ``like``; never remove any.

    Raises ``KafkaUnavailable`` with the command that does it by hand, and ``BrokerError`` if the
    topics cannot be described.
    """
    needed = max((await admin.partition_counts(like)).values(), default=0)
    current = (await admin.partition_counts([topic])).get(topic, 0)
    if current >= needed:
        return
    try:
        grown = await admin.grow(topic, needed)
    except BrokerError as exc:
        raise KafkaUnavailable(
            f"topic {topic!r} has {current} partitions and needs {needed}, as many as the largest source"
            f" topic: {exc.cause}; run: kafka-topics.sh --bootstrap-server … --alter --topic {topic}"
            f" --partitions {needed}"
        ) from exc
    new_topics.expect(topic, needed)
    if grown:
        _log.info(events.TOPIC_GREW, topic=topic, partitions=needed)


async def warn_unless_compacted(admin: TopicAdmin, topic: str) -> None:
    """Log an error if the control topic deletes old records: that switches endpoints on again."""
    policy = (await _configs(admin, topic)).get("cleanup.policy", "")
    if "delete" in policy.split(","):
        _log.error(
            events.TOPIC_NOT_COMPACTED,
            topic=topic,
            cause=f"its cleanup.policy is {policy}: an endpoint that is off is on again once its record is"
            " deleted",
            remedy=f"kafka-configs.sh --bootstrap-server … --alter --topic {topic}"
            " --add-config cleanup.policy=compact",
        )


async def warn_if_retention_deletes(admin: TopicAdmin, topic: str) -> None:
    """Log a warning if the dead-letter topic deletes letters that held lanes wait for."""
    retention_ms = (await _configs(admin, topic)).get("retention.ms") or "-1"
    if retention_ms != "-1":
        _log.warning(
            events.TOPIC_FORGETS,
            topic=topic,
            cause=f"its retention.ms is {retention_ms}: letters parked for longer are lost, and a held lane"
            " continues without them",
            remedy=f"kafka-configs.sh --bootstrap-server … --alter --topic {topic}"
            " --add-config retention.ms=-1",
        )


async def report_retention(admin: TopicAdmin, topic: str, wanted_ms: int) -> None:
    """Log that a topic keeps its records for another time than the settings require."""
    retention_ms = (await _configs(admin, topic)).get("retention.ms")
    if retention_ms and retention_ms != str(wanted_ms):
        _log.info(
            events.RETENTION_DIFFERS,
            topic=topic,
            retention_ms=retention_ms,
            wanted_ms=wanted_ms,
            remedy=f"kafka-configs.sh --bootstrap-server … --alter --topic {topic}"
            f" --add-config retention.ms={wanted_ms}",
        )


async def _configs(admin: TopicAdmin, topic: str) -> Mapping[str, str]:
    """Return the settings of a topic; none if the broker does not return them.

    An embedded broker does not, nor does one that gives the bridge no right to read them: no warning then.
    """
    try:
        return await admin.configs(topic)
    except BrokerError:
        return {}
