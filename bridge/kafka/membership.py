"""The parameters of a membership in the consumer group, and the consumer that is configured with them."""

from __future__ import annotations

from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer

from bridge.kafka.assignor import ByNumberAssignor
from bridge.kafka.client import KafkaOptions

_LONG_POLL_MS = 50
"""aiokafka has one fetch in progress per broker; a partition that is not in it waits until it ends.
With the usual 500 ms, that was the latency of every hundredth event."""


@dataclass(frozen=True, slots=True)
class Membership:
    """The parameters of this process's membership in its group; times in seconds."""

    group: str
    topics: tuple[str, ...]
    session_timeout_s: float = 45
    heartbeat_interval_s: float = 3
    rebalance_timeout_s: float = 60
    instance_id: str | None = None
    max_batch: int = 1000
    max_value_bytes: int = 1024 * 1024


def new_consumer(options: KafkaOptions, membership: Membership) -> AIOKafkaConsumer:
    """Return a consumer of the group that has neither been started nor subscribed."""
    return AIOKafkaConsumer(
        **options.arguments(),
        group_id=membership.group,
        group_instance_id=membership.instance_id,
        partition_assignment_strategy=(ByNumberAssignor,),
        enable_auto_commit=False,
        auto_offset_reset="none",
        session_timeout_ms=int(membership.session_timeout_s * 1000),
        heartbeat_interval_ms=int(membership.heartbeat_interval_s * 1000),
        rebalance_timeout_ms=int(membership.rebalance_timeout_s * 1000),
        fetch_max_wait_ms=_LONG_POLL_MS,
        max_partition_fetch_bytes=max(1024 * 1024, membership.max_value_bytes),
        isolation_level="read_committed",
    )
