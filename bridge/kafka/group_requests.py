"""The requests of a static member that aiokafka 0.14 does not have: with ``group.instance.id`` (KIP-345).

Without that id the coordinator answers a member whose name another process took with "unknown member", after
which aiokafka joins again and takes the name back, in turns with the other process forever.
"""

from __future__ import annotations

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.commit import OffsetCommitRequest, OffsetCommitResponse_v3
from aiokafka.protocol.group import HeartbeatResponse_v1, LeaveGroupRequest
from aiokafka.protocol.types import Array, Int16, Int32, Int64, Schema, String

FENCED_INSTANCE_ID = 82
"""Another process joined under this name (``Errors.FENCED_INSTANCE_ID`` of Kafka)."""
_NO_LEADER_EPOCH = -1


class HeartbeatRequestV3(RequestStruct):  # type: ignore[misc] # aiokafka has no type information
    """Version 3, since Kafka 2.3."""

    API_KEY = 12
    API_VERSION = 3
    RESPONSE_TYPE = HeartbeatResponse_v1
    SCHEMA = Schema(
        ("group", String("utf-8")),
        ("generation_id", Int32),
        ("member_id", String("utf-8")),
        ("group_instance_id", String("utf-8")),
    )


class StaticHeartbeat(Request[HeartbeatRequestV3]):  # type: ignore[misc] # aiokafka has no type information
    """The heartbeat of a static member."""

    API_KEY = 12

    def __init__(self, group: str, generation: int, member_id: str, instance_id: str) -> None:
        self._fields = (group, generation, member_id, instance_id)

    def build(self, request_struct_class: type[HeartbeatRequestV3]) -> HeartbeatRequestV3:
        """Return the struct of the negotiated version."""
        return request_struct_class(*self._fields)


class OffsetCommitRequestV7(RequestStruct):  # type: ignore[misc] # aiokafka has no type information
    """Version 7, since Kafka 2.3. Its answer has the format of version 3."""

    API_KEY = 8
    API_VERSION = 7
    RESPONSE_TYPE = OffsetCommitResponse_v3
    SCHEMA = Schema(
        ("group", String("utf-8")),
        ("generation_id", Int32),
        ("member_id", String("utf-8")),
        ("group_instance_id", String("utf-8")),
        (
            "topics",
            Array(
                ("topic", String("utf-8")),
                (
                    "partitions",
                    Array(
                        ("partition", Int32),
                        ("offset", Int64),
                        ("leader_epoch", Int32),
                        ("metadata", String("utf-8")),
                    ),
                ),
            ),
        ),
    )


class StaticOffsetCommit(Request[OffsetCommitRequestV7]):  # type: ignore[misc] # aiokafka has no type information
    """The commit of a static member."""

    API_KEY = 8

    def __init__(self, like: OffsetCommitRequest, instance_id: str) -> None:
        """``like``: the request of aiokafka, without the name."""
        topics = [
            (topic, [(number, offset, _NO_LEADER_EPOCH, metadata) for number, offset, metadata in rows])
            for topic, rows in like._topics
        ]
        self._fields = (
            like._consumer_group,
            like._consumer_group_generation_id,
            like._consumer_id,
            instance_id,
            topics,
        )

    def build(self, request_struct_class: type[OffsetCommitRequestV7]) -> OffsetCommitRequestV7:
        """Return the struct of the negotiated version."""
        return request_struct_class(*self._fields)


class LeaveGroupResponseV3(Response):  # type: ignore[misc] # aiokafka has no type information
    """Version 3, with an error for each member."""

    API_KEY = 13  # pyright: ignore[reportIncompatibleMethodOverride, reportAssignmentType] - abstract upstream
    API_VERSION = 3  # pyright: ignore[reportIncompatibleMethodOverride, reportAssignmentType] - likewise
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        (
            "members",
            Array(
                ("member_id", String("utf-8")),
                ("group_instance_id", String("utf-8")),
                ("error_code", Int16),
            ),
        ),
    )


class LeaveGroupRequestV3(RequestStruct):  # type: ignore[misc] # aiokafka has no type information
    """Version 3, since Kafka 2.4: it names the members that leave."""

    API_KEY = 13
    API_VERSION = 3
    RESPONSE_TYPE = LeaveGroupResponseV3
    SCHEMA = Schema(
        ("group", String("utf-8")),
        ("members", Array(("member_id", String("utf-8")), ("group_instance_id", String("utf-8")))),
    )


class StaticLeave(Request[LeaveGroupRequestV3]):  # type: ignore[misc] # aiokafka has no type information
    """The leave of a static member, which aiokafka does not send."""

    API_KEY = LeaveGroupRequest.API_KEY

    def __init__(self, group: str, member_id: str, instance_id: str) -> None:
        """With an empty ``member_id`` the coordinator removes whichever member has the name."""
        self._fields = (group, [(member_id, instance_id)])

    def build(self, request_struct_class: type[LeaveGroupRequestV3]) -> LeaveGroupRequestV3:
        """Return the struct of the negotiated version."""
        return request_struct_class(*self._fields)
