"""Read what aiokafka keeps private about a group membership: heartbeats, generation, coordinator.

Upstream: https://github.com/aio-libs/aiokafka/issues/1040 (open). aiokafka 0.14 keeps the time of the last
successful heartbeat in a local variable. Remove this when a consumer reports both publicly.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from aiokafka import AIOKafkaConsumer


def report_heartbeats(consumer: AIOKafkaConsumer, accepted: Callable[[float], None]) -> None:
    """Call ``accepted`` after each heartbeat that the broker accepts, with the monotonic time it was sent at.

    The consumer must have been started: before that it has no coordinator.
    """
    coordinator: Any = consumer._coordinator
    send_heartbeat = coordinator._do_heartbeat

    async def send_and_report() -> bool:
        sent_at = time.monotonic()
        success: bool = await send_heartbeat()
        if success:
            accepted(sent_at)
        return success

    coordinator._do_heartbeat = send_and_report


def knows_coordinator(consumer: AIOKafkaConsumer) -> bool:
    """Return True if the consumer has found the coordinator of its group and did not lose it since."""
    coordinator: Any = consumer._coordinator
    return coordinator is not None and coordinator.coordinator_id is not None


def has_generation(consumer: AIOKafkaConsumer) -> bool:
    """Return True if the consumer is a member of a generation of its group."""
    coordinator: Any = consumer._coordinator
    return coordinator is not None and coordinator.generation >= 0
