"""The producer of dead letters, holds and switches."""

from __future__ import annotations

from aiokafka import AIOKafkaProducer

from bridge.kafka.client import PARK_TIMEOUT_MS, KafkaOptions
from bridge.kafka.topics import (
    PARKED_MAX_BYTES,
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
