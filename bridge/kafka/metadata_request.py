"""The Metadata request of version 10, which aiokafka 0.14 does not have: it implements versions up to 5.

Version 8 adds the operations that a login may use (KIP-430), and version 10 the ids of topics (KIP-516).
Invariant: a broker without that version is no error.
"""

from __future__ import annotations

from collections.abc import Collection

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Int64,
    Schema,
    TaggedFields,
)

_TEXT = CompactString("utf-8")


class MetadataResponseV10(Response):  # type: ignore[misc] # aiokafka has no type information
    """The brokers, the topics, and what the login may do."""

    # aiokafka declares these as properties, and sets constants in every response of its own
    API_KEY = 3  # pyright: ignore[reportIncompatibleMethodOverride, reportAssignmentType]
    API_VERSION = 10  # pyright: ignore[reportIncompatibleMethodOverride, reportAssignmentType]
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", _TEXT),
                ("port", Int32),
                ("rack", _TEXT),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", _TEXT),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", _TEXT),
                ("id_high", Int64),
                ("id_low", Int64),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("authorized_operations", Int32),
        ("tags", TaggedFields),
    )


class MetadataRequestV10(RequestStruct):  # type: ignore[misc] # aiokafka has no type information
    """The bytes of the request."""

    FLEXIBLE_VERSION = True
    API_KEY = 3
    API_VERSION = 10
    RESPONSE_TYPE = MetadataResponseV10
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(("id_high", Int64), ("id_low", Int64), ("name", _TEXT), ("tags", TaggedFields)),
        ),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class TopicsRequest(Request[MetadataRequestV10]):  # type: ignore[misc] # aiokafka has no type information
    """Requests the metadata of topics; creates none."""

    API_KEY = 3

    def __init__(self, topics: Collection[str], *, with_rights: bool = False) -> None:
        """``with_rights``: also ask which operations the login may use on the topics and the cluster."""
        self._topics = topics
        self._with_rights = with_rights

    def build(self, request_struct_class: type[MetadataRequestV10]) -> MetadataRequestV10:
        """Return the request in the version that the broker has."""
        rows: list[tuple[int, int, str, dict[int, bytes]]] = [
            (0, 0, name, {}) for name in sorted(self._topics)
        ]
        return request_struct_class(rows, False, self._with_rights, self._with_rights, {})
