"""The topics of the bridge's own, and the producer that writes them: what must be there before work begins.

Next to ``app``; on the Kafka edge.
"""

from __future__ import annotations

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from bridge import assembly
from bridge.control import control_topic
from bridge.settings import Settings
from bridge.source.client import (
    AGAIN_CONFIGS,
    CONTROL_CONFIGS,
    PARK_TIMEOUT_MS,
    PARKED_CONFIGS,
    PARKED_MAX_BYTES,
    KafkaOptions,
    ensure_partitions,
    ensure_topic,
    warn_if_it_forgets,
    warn_unless_compacted,
)


def new_producer(options: KafkaOptions) -> AIOKafkaProducer:
    """A producer for dead letters and holds: acknowledged by all replicas, each written once."""
    return AIOKafkaProducer(
        **options.arguments(),
        acks="all",
        enable_idempotence=True,
        max_request_size=PARKED_MAX_BYTES,
        request_timeout_ms=PARK_TIMEOUT_MS,
    )


async def ensure_own_topics(admin: AIOKafkaAdminClient, settings: Settings) -> None:
    """Dead letters, what is sent again, what is off or held. Raises ``KafkaUnavailable`` with a remedy."""
    kafka, sources = settings.kafka, assembly.topics(settings)
    create, copies = kafka.create_topics, kafka.replication_factor
    parked, again = assembly.parked_topic(settings), assembly.again_topic(settings)
    for topic, configs in ((parked, PARKED_CONFIGS), (again, AGAIN_CONFIGS)):
        await ensure_topic(
            admin, topic, like=sources, create=create, replication_factor=copies, configs=configs
        )
    if assembly.holding(settings):
        await warn_if_it_forgets(admin, parked)
    await ensure_partitions(admin, again, like=sources)
    control = control_topic(settings.group)
    await ensure_topic(admin, control, create=create, replication_factor=copies, configs=CONTROL_CONFIGS)
    await warn_unless_compacted(admin, control)
