"""Make a static member of aiokafka safe: detect that its name was taken, and accept its old assignment.

Upstream: no issue found. aiokafka 0.14 sends ``group.instance.id`` when it joins, but not with heartbeats and
commits, so it cannot distinguish a taken name from an expired member. Its consumer fails on an assignment
that contains a topic to which it is not subscribed. Remove this when aiokafka sends the id with all requests
of a member and returns ``FENCED_INSTANCE_ID``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import KafkaError
from aiokafka.protocol.commit import OffsetCommitRequest
from aiokafka.protocol.group import HeartbeatRequest, SyncGroupRequest

from bridge.kafka.group_requests import FENCED_INSTANCE_ID, StaticHeartbeat, StaticOffsetCommit


class NameTaken(KafkaError):  # type: ignore[misc] # aiokafka has no type information
    """Another process joined the group under this member's name. aiokafka must not join again."""


def guard_name(consumer: AIOKafkaConsumer, instance_id: str, taken: Callable[[], None]) -> None:
    """Send ``instance_id`` with every request of the member; call ``taken`` once another process has it.

    After that every request fails with ``NameTaken`` instead of being sent. The consumer must have been
    started.
    """
    coordinator: Any = consumer._coordinator
    send = coordinator._send_req
    fenced = False

    async def send_with_name(request: Any) -> Any:
        nonlocal fenced
        if fenced:
            raise NameTaken(instance_id)
        try:
            response = await send(_with_name(request, instance_id))
        except NotImplementedError:  # Kafka before 2.3 has no static members
            response = await send(request)
        if FENCED_INSTANCE_ID in _codes(response):
            fenced = True
            taken()
            raise NameTaken(instance_id)
        if isinstance(request, SyncGroupRequest) and response.member_assignment:
            response.member_assignment = _subscribed_part(response.member_assignment, consumer.subscription())
        return response

    coordinator._send_req = send_with_name


def member_id(consumer: AIOKafkaConsumer) -> str:
    """Return the id that the coordinator gave this member; empty before it has joined."""
    coordinator: Any = consumer._coordinator
    return getattr(coordinator, "member_id", "")


def rejoin(consumer: AIOKafkaConsumer) -> None:
    """Let the member join again. The group rebalances if it is the leader or its metadata has changed."""
    coordinator: Any = consumer._coordinator
    coordinator.request_rejoin()


def _with_name(request: Any, instance_id: str) -> Any:
    if isinstance(request, HeartbeatRequest):
        return StaticHeartbeat(request._group, request._generation_id, request._member_id, instance_id)
    if isinstance(request, OffsetCommitRequest):
        return StaticOffsetCommit(request, instance_id)
    return request


def _codes(response: Any) -> set[int]:
    """Return the error codes of an answer: of the whole, or of each partition (the last field of its row)."""
    if hasattr(response, "error_code"):
        return {response.error_code}
    return {row[-1] for _, rows in getattr(response, "topics", ()) for row in rows}


def _subscribed_part(assignment: bytes, subscribed: Collection[str]) -> bytes:
    """Return an assignment without topics that are no longer subscribed.

    A static member that restarts within its session gets its assignment from before, without a rebalance
    (KIP-345). ``ByNumberAssignor.outdated`` then has the group rebalance.
    """
    decoded = ConsumerProtocolMemberAssignment.decode(assignment)
    kept = [(topic, numbers) for topic, numbers in decoded.assignment if topic in subscribed]
    return ConsumerProtocolMemberAssignment(decoded.version, kept, decoded.user_data).encode()  # type: ignore[no-any-return] # aiokafka has no type information
