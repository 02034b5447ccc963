"""The names of all log events: ``noun.past_participle``, stable, to be searched for and alerted on."""

from __future__ import annotations

from typing import Final

BRIDGE_STARTED: Final = "bridge.started"
BRIDGE_STOPPING: Final = "bridge.stopping"
BRIDGE_DRAINED: Final = "bridge.drained"
BRIDGE_ABANDONED: Final = "bridge.abandoned"
LOG_LOST: Final = "log.lost"
TASK_SEEN: Final = "task.seen"
TASK_LEFT: Final = "task.left"

KAFKA_UNREACHABLE: Final = "kafka.unreachable"
KAFKA_CONNECTED: Final = "kafka.connected"
TOPICS_MISSING: Final = "topics.missing"
TOPIC_NOT_COMPACTED: Final = "topic.not_compacted"
TOPIC_CREATED: Final = "topic.created"
TOPIC_GREW: Final = "topic.grew"

COORDINATOR_AWAITED: Final = "coordinator.awaited"
SOURCE_ASSIGNED: Final = "source.assigned"
SOURCE_REVOKED: Final = "source.revoked"
SOURCE_FAILED: Final = "source.failed"
SOURCE_REPLACED: Final = "source.replaced"
CLIENT_REPLACED: Final = "client.replaced"
RECORDS_DELETED: Final = "records.deleted"
"""Retention removed records that an endpoint had not got yet: the one loss the bridge cannot prevent."""

CURSOR_STARTED: Final = "cursor.started"
CURSOR_DETACHED: Final = "cursor.detached"
CURSOR_ATTACHED: Final = "cursor.attached"
CURSOR_MAP_IGNORED: Final = "cursor.map_ignored"
CURSORS_COMMITTED: Final = "cursors.committed"
COMMIT_FAILED: Final = "commit.failed"

INDEX_REBUILT: Final = "index.rebuilt"
INDEX_FAILED: Final = "index.failed"
STATE_FORGOTTEN: Final = "state.forgotten"
INDEX_REPLACED: Final = "index.replaced"

SCHEMA_LEARNED: Final = "schema.learned"
REGISTRY_FAILED: Final = "registry.failed"
SCHEMAS_READ: Final = "schemas.read"
SCHEMAS_IGNORED: Final = "schemas.ignored"

RECORD_REJECTED: Final = "record.rejected"
DELIVERY_ATTEMPTED: Final = "delivery.attempted"
DELIVERY_FAILED_INSIDE: Final = "delivery.failed_inside"
EVENT_PARKED: Final = "event.parked"
PARKING_FAILED: Final = "parking.failed"
PARKING_RECOVERED: Final = "parking.recovered"

LANE_HELD: Final = "lane.held"
LANE_RELEASED: Final = "lane.released"
HOLD_FAILED: Final = "hold.failed"
HOLD_IGNORED: Final = "hold.ignored"
HOLDS_LIFTED: Final = "holds.lifted"
TOPIC_FORGETS: Final = "topic.forgets"

ENDPOINT_TURNED_OFF: Final = "endpoint.turned_off"
ENDPOINT_TURNED_ON: Final = "endpoint.turned_on"
EVENT_TYPES_TURNED_OFF: Final = "types.turned_off"
EVENT_TYPES_TURNED_ON: Final = "types.turned_on"
CONTROL_IGNORED: Final = "control.ignored"
CONTROL_FAILED: Final = "control.failed"
CONTROL_RECOVERED: Final = "control.recovered"

JOURNAL_FAILED: Final = "journal.failed"

HISTORY_FAILED: Final = "history.failed"
HISTORY_REPLACED: Final = "history.replaced"
HISTORY_RECOVERED: Final = "history.recovered"
