"""A membership in the consumer group: its parameters, its consumer, and the listener for rebalances."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener

from bridge.core.memory_budget import MOST_BATCH_BYTES
from bridge.kafka.assignor import ByNumberAssignor
from bridge.kafka.client import KafkaOptions

_LONG_POLL_MS = 50
"""aiokafka has one fetch in progress per broker; a partition that is not in it waits until it ends.
With the usual 500 ms, that was the latency of every hundredth event."""
COMPLETE_POLL_MS = 500
"""The same for a fetch of all partitions of a broker, which no other partition waits for."""
SILENT_POLL_MS = 2000
"""The same while nothing comes. A partition whose position is set anew waits for it; records do not."""
METADATA_AGE_S = 10.0
"""New partitions and topics are noticed within this time (aiokafka's default: 300 s)."""

MOST_RECORDS = 128
"""Records of one read: taking them in holds the event loop, for about 20 µs each."""


@dataclass(frozen=True, slots=True)
class Membership:
    """The parameters of this process's membership in its group; times in seconds."""

    group: str
    topics: tuple[str, ...]
    pattern: re.Pattern[str] | None = None
    """If set, the topics are all that it matches, also those that appear later; ``topics`` are among them."""
    session_timeout_s: float = 10
    heartbeat_interval_s: float = 1
    rebalance_timeout_s: float = 60
    instance_id: str | None = None
    """The lasting name of a static member; None: a dynamic member."""
    max_batch: int = MOST_RECORDS
    max_batch_bytes: int = MOST_BATCH_BYTES
    max_value_bytes: int = 1024 * 1024


def new_consumer(
    options: KafkaOptions, membership: Membership, assignor: ByNumberAssignor
) -> AIOKafkaConsumer:
    """Return a consumer of the group that has neither been started nor subscribed."""
    return AIOKafkaConsumer(
        **options.arguments(),
        group_id=membership.group,
        group_instance_id=membership.instance_id,
        partition_assignment_strategy=(assignor,),
        enable_auto_commit=False,
        auto_offset_reset="none",
        session_timeout_ms=int(membership.session_timeout_s * 1000),
        heartbeat_interval_ms=int(membership.heartbeat_interval_s * 1000),
        rebalance_timeout_ms=int(membership.rebalance_timeout_s * 1000),
        fetch_max_wait_ms=_LONG_POLL_MS,
        max_partition_fetch_bytes=max(1024 * 1024, membership.max_value_bytes),
        isolation_level="read_committed",
        metadata_max_age_ms=int(METADATA_AGE_S * 1000),
        exclude_internal_topics=membership.pattern is None,  # a pattern leaves out itself what it must
    )


class RebalanceListener(ConsumerRebalanceListener):  # type: ignore[misc] # aiokafka has no type information
    """Passes a consumer's rebalances on, unless that consumer was replaced by another."""

    def __init__(
        self,
        is_current: Callable[[], bool],
        revoked: Callable[[Collection[TopicPartition]], Awaitable[None]],
        assigned: Callable[[Collection[TopicPartition]], None],
    ) -> None:
        """``is_current`` returns False once the consumer was replaced."""
        self._is_current = is_current
        self._revoked = revoked
        self._assigned = assigned

    async def on_partitions_revoked(  # pyright: ignore[reportIncompatibleMethodOverride] - may be either
        self, revoked: Collection[TopicPartition]
    ) -> None:
        """Await ``revoked``; called by aiokafka before it joins again, with all partitions."""
        if self._is_current():
            await self._revoked(revoked)

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Call ``assigned``; called by aiokafka before heartbeats begin."""
        if self._is_current():
            self._assigned(assigned)
