"""Create the internal topics of the bridge before it starts to work, and warn about unsuitable settings."""

from __future__ import annotations

from bridge.kafka.topic_setup import (
    AGAIN_CONFIGS,
    ATTEMPTS_CONFIGS,
    CONTROL_CONFIGS,
    PARKED_CONFIGS,
    ensure_partitions,
    ensure_topic,
    report_retention,
    warn_if_retention_deletes,
    warn_unless_compacted,
)
from bridge.kafka.topics import TopicAdmin
from bridge.settings import Settings
from bridge.wiring.endpoints import holding_endpoints
from bridge.wiring.kafka import again_topic, attempts_topic, control_topic, parked_topic
from bridge.wiring.topics import build_selection


async def ensure_internal_topics(admin: TopicAdmin, settings: Settings) -> None:
    """Create the missing ones of .parked, .again and .attempts, with the partitions of the largest source.

    Raises ``KafkaUnavailable``.
    """
    kafka, selection = settings.kafka, build_selection(settings)
    sources = selection.select(await admin.names()) if selection.patterns else selection.names
    create, copies = kafka.create_topics, kafka.replication_factor
    parked, again, attempts = parked_topic(settings), again_topic(settings), attempts_topic(settings)
    retention_ms = int(settings.history.retention_s * 1000)
    kept = {**ATTEMPTS_CONFIGS, "retention.ms": str(retention_ms)}
    for topic, configs in ((parked, PARKED_CONFIGS), (again, AGAIN_CONFIGS), (attempts, kept)):
        await ensure_topic(
            admin, topic, like=sources, create=create, replication_factor=copies, configs=configs
        )
    if holding_endpoints(settings):
        await warn_if_retention_deletes(admin, parked)
    await report_retention(admin, attempts, retention_ms)
    await ensure_partitions(admin, again, like=sources)


async def ensure_control_topic(admin: TopicAdmin, settings: Settings) -> None:
    """Create .control if it is missing: before the source topics, because endpoints may begin without them.

    Raises ``KafkaUnavailable``.
    """
    kafka, control = settings.kafka, control_topic(settings.group)
    create, copies = kafka.create_topics, kafka.replication_factor
    await ensure_topic(admin, control, create=create, replication_factor=copies, configs=CONTROL_CONFIGS)
    await warn_unless_compacted(admin, control)
