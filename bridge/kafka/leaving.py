"""Leave the consumer group as a static member, so that the others take over at once.

aiokafka sends no leave for a static member: its name would keep its partitions until the session ends.
"""

from __future__ import annotations

import structlog
from aiokafka.client import AIOKafkaClient, ConnectionGroup, CoordinationType
from aiokafka.errors import for_code

from bridge.errors import BrokerError
from bridge.kafka.aiokafka_patches.closing import close_client
from bridge.kafka.broker_call import broker_call
from bridge.kafka.client import KafkaOptions
from bridge.kafka.group_requests import FENCED_INSTANCE_ID, StaticLeave
from bridge.telemetry import events

_log = structlog.get_logger()
_TIMEOUT_S = 2.0


async def leave_group(options: KafkaOptions, group: str, member_id: str, instance_id: str) -> None:
    """Leave on a connection of its own; log a failure, after which the group waits for the session to end.

    A broker answers the requests of one connection in turn, and a JoinGroup may wait there for other members.
    A member whose name was taken removes no other: the coordinator compares ``member_id``.
    """
    client = AIOKafkaClient(**options.arguments())
    try:
        async with broker_call(f"leave group {group!r}", timeout_s=_TIMEOUT_S):
            await client.bootstrap()
            node = await client.coordinator_lookup(CoordinationType.GROUP, group)
            request = StaticLeave(group, member_id, instance_id)
            response = await client.send(node, request, group=ConnectionGroup.COORDINATION)
        cause = _cause({response.error_code, *(code for *_, code in response.members)} - {0})
    except BrokerError as exc:
        cause = exc.cause
    finally:
        await close_client(client, "close the client that leaves the group")
    if cause:
        _log.warning(
            events.SOURCE_NOT_LEFT,
            group=group,
            member=instance_id,
            cause=cause,
            remedy="none needed: the other pods take over when its session ends",
        )
    else:
        _log.info(events.SOURCE_LEFT, group=group, member=instance_id)


def _cause(codes: set[int]) -> str:
    """Return the errors of an answer in words; empty if there are none."""
    if FENCED_INSTANCE_ID in codes:
        return "another process has joined under this name"
    return ", ".join(for_code(code).__name__ for code in sorted(codes))
