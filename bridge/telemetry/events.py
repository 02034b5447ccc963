"""The names of all log events: ``noun.past_participle``. They are stable: searches and alerts use them.

The first paragraph below each name is what happened, the second is when to worry. The reference page
docs/reference/log-events.md is generated from both.
"""

from __future__ import annotations

from typing import Final

BRIDGE_STARTED: Final = "bridge.started"
"""The process has joined its consumer group and delivers from now on.

Worry if it repeats without a deployment: the process is being restarted."""

BRIDGE_STOPPING: Final = "bridge.stopping"
"""The process received a stop signal. It stops reading and finishes the requests in flight.

Never by itself."""

BRIDGE_DRAINED: Final = "bridge.drained"
"""The drain has ended, on shutdown or because the group is rebalancing.

Worry at level warning: `unfinished` requests had no answer at the deadline and are sent again. If that is
frequent, raise `drain_timeout_s` or look for a slow endpoint."""

BRIDGE_ABANDONED: Final = "bridge.abandoned"
"""The process did not end in time after the drain's deadline, so it ended itself with `exit_code`.

Always: this is a bug. Report it with the `task.seen` lines above it. No event is lost; what was not
committed is delivered again."""

SIGNAL_IGNORED: Final = "signal.ignored"
"""The process received `SIGHUP` and goes on unchanged: it does not read its configuration again.

Never by itself. If you wanted to apply a changed configuration, restart the process."""

LOG_LOST: Final = "log.lost"
"""Log lines could not be written, and `lines` of them are lost. This is the first line written since.

Always: the disk is full or the program that reads the log has stopped. Deliveries were not affected."""

TASK_SEEN: Final = "task.seen"
"""A task of the process and the calls it waits in: written for each task on `SIGUSR1`, and before
`bridge.abandoned`.

Never by itself. It is the material for a bug report about a process that hangs."""

TASK_LEFT: Final = "task.left"
"""A Kafka client did not close in time, not even after it was cancelled. It is left to end with the process.

Worry if it is frequent: a broker accepts connections but does not answer."""

MEMORY_PLANNED: Final = "memory.planned"
"""The memory that the process may use beyond what it uses at rest (`budget_bytes`): `waiting_bytes` of it for
waiting events and `fetched_bytes` for fetched records. `limit_source` is the place of the limit.

Worry if `limit_bytes` is not the memory limit that you set: set `memory_budget` to a size then."""

MEMORY_LIMIT_LOW: Final = "memory.limit_low"
"""The memory limit leaves too little beyond what the process uses at rest. It works with the least budget.

Always: the process may be killed for memory. Raise its limit."""

MEMORY_SHORT: Final = "memory.short"
"""Reading for these `endpoints` pauses, because their waiting events use up their share of the memory budget.
Written at most once per minute.

Not for an endpoint that is down: its events wait in Kafka. For one that works, raise `memory_budget` or the
memory limit of the process, if it should be faster."""

KAFKA_UNREACHABLE: Final = "kafka.unreachable"
"""The broker did not answer, or refused the connection, at start. The bridge tries again.

Worry if it lasts longer than a broker's restart: check `kafka.bootstrap_servers`, `kafka.tls`, `kafka.sasl`
and that the brokers are up."""

KAFKA_CONNECTED: Final = "kafka.connected"
"""The broker answered after `kafka.unreachable`.

Never."""

TOPICS_MISSING: Final = "topics.missing"
"""Source topics do not exist. The bridge waits for them and writes this line once per minute.

Always, unless the producer of the topics has yet to start: create them, or correct `topics` of the source."""

TOPIC_NOT_COMPACTED: Final = "topic.not_compacted"
"""The control topic has a `cleanup.policy` that deletes records, so switches will be forgotten.

Always: once the record is deleted, an endpoint that was switched off is on again. Set
`cleanup.policy=compact` on the topic."""

TOPIC_CREATED: Final = "topic.created"
"""The bridge created one of its own topics, as on the first start of a consumer group.

Worry if the topic existed before: it was deleted, and its records with it."""

TOPIC_GREW: Final = "topic.grew"
"""The bridge added partitions to one of its own topics, to match the largest source topic.

Never."""

COORDINATOR_AWAITED: Final = "coordinator.awaited"
"""The broker is creating its offsets topic, as on the first start of a cluster. The bridge tries again.

Worry if `bridge.started` does not follow within a minute. The Kafka client's own errors are logged then."""

SOURCE_ASSIGNED: Final = "source.assigned"
"""This process was assigned partitions and reads them from `next_offsets`.

Worry if it is frequent without deployments: the group keeps rebalancing."""

SOURCE_REVOKED: Final = "source.revoked"
"""The group is rebalancing: this process drains, commits, and gives its partitions up.

Worry if it is frequent without deployments: the group keeps rebalancing."""

SOURCE_FAILED: Final = "source.failed"
"""Records could not be read from Kafka. The bridge tries again every second and logs once per minute.

Worry if it lasts: no new events are delivered from these partitions. The `cause` is the broker's."""

SOURCE_REPLACED: Final = "source.replaced"
"""The Kafka consumer was stuck or one of its tasks had ended. A new consumer joins the group.

Worry if it repeats: report it with its `cause`. Events delivered but not yet committed may be sent again."""

CLIENT_REPLACED: Final = "client.replaced"
"""A background task of another Kafka client (admin, producer) had ended. A new client has taken over.

Worry if it repeats: report it with its `cause`."""

RECORDS_DELETED: Final = "records.deleted"
"""Records were deleted from a topic before this endpoint had received them, or the topic was recreated.

Always. This is the one loss that the bridge cannot prevent: `offsets_lost` of the partition were not
delivered. Raise the topic's retention above the longest outage an endpoint may have. If the topic was
recreated (`log_end` is present), everything in it is delivered."""

CURSOR_STARTED: Final = "cursor.started"
"""An endpoint has no committed position in this partition, as on its first start. It begins at `next_offset`.

Worry if the endpoint is not new: its committed offsets have expired or were deleted."""

CURSOR_DETACHED: Final = "cursor.detached"
"""An endpoint cannot keep pace with the partition. The other endpoints go on without it, and it reads
through a consumer of its own.

Worry if `cursor.attached` does not follow: the endpoint stays slower than its events arrive."""

CURSOR_ATTACHED: Final = "cursor.attached"
"""An endpoint has caught up and reads together with the others again.

Never."""

CURSOR_MAP_IGNORED: Final = "cursor.map_ignored"
"""The committed metadata of a cursor could not be decoded. The cursor starts at the committed offset alone.

Always: something else commits for this consumer group, or there is a bug. Events settled beyond that offset
are delivered again; none is lost."""

CURSORS_COMMITTED: Final = "cursors.committed"
"""A commit succeeded after `commit.failed`. Successful commits are otherwise not logged; the metric
`hookferry_commits_total` counts them.

Never."""

COMMIT_FAILED: Final = "commit.failed"
"""The cursors could not be committed. The next commit tries again. At the end of an assignment it means that
the last commit did not succeed in time.

Worry if `cursors.committed` does not follow: after a restart, events delivered since the last commit are
sent again."""

INDEX_REBUILT: Final = "index.rebuilt"
"""The dedupe index of a partition was rebuilt by reading the dedupe window again from Kafka.

Worry if it repeats without new partitions or a new `state_dir`: the index is being lost."""

INDEX_FAILED: Final = "index.failed"
"""The dedupe index on disk cannot be used. It is kept in memory instead.

Always: free the disk. A later start has to read the dedupe window again from Kafka."""

INDEX_REPLACED: Final = "index.replaced"
"""The file of the dedupe index was damaged. It was replaced and is rebuilt from Kafka.

Worry if it repeats: the disk under `state_dir` is failing."""

STATE_FORGOTTEN: Final = "state.forgotten"
"""The state folder belonged to another consumer group or cluster. Its dedupe index and journal were cleared.

Worry if the group and cluster have not changed: two bridges share one `state_dir`."""

SCHEMA_LEARNED: Final = "schema.learned"
"""A schema was fetched from the schema registry and is kept in memory.

Never."""

REGISTRY_FAILED: Final = "registry.failed"
"""The schema registry did not return a schema that a record needs. The partition waits, and the bridge tries
again every second. The line is written once per minute.

Worry if it lasts: check the registry, `registry.url` and its login. `hookferry_partitions_without_schema`
counts the partitions that wait."""

SCHEMAS_READ: Final = "schemas.read"
"""The schema folder was read after a change. `new` schemas are known from now on.

Never."""

SCHEMAS_IGNORED: Final = "schemas.ignored"
"""The schema folder changed and contains a file that cannot be used. The schemas read before stay in use.

Always: correct or remove the file named in `cause`."""

RECORD_REJECTED: Final = "record.rejected"
"""A record could not be decoded. It is parked for every endpoint that waits for it.

Always: see `cause` and `remedy`. A schema is missing, or the record is not in the format of its source."""

DELIVERY_ATTEMPTED: Final = "delivery.attempted"
"""One request to an endpoint has ended: level info if it was delivered, otherwise warning with the `reason`.

Worry if verdict `again` is frequent or verdict `park` occurs: the endpoint refuses or does not answer."""

DELIVERY_FAILED_INSIDE: Final = "delivery.failed_inside"
"""An attempt ended with an unexpected exception inside the bridge. It is retried like a failed request.

Always: this is a bug. Report it with the exception."""

EVENT_PARKED: Final = "event.parked"
"""An event was written to the dead-letter topic for this endpoint and is not tried again.

Always: see `cause` and `remedy`. `hookferry parked redrive` sends it again once the cause is gone."""

PARKING_FAILED: Final = "parking.failed"
"""The dead-letter topic did not accept an event. The write is tried again, and the offset is not committed
before it succeeds.

Worry if `parking.recovered` does not follow: the lane of the event makes no progress."""

PARKING_RECOVERED: Final = "parking.recovered"
"""The event named in `parking.failed` is now in the dead-letter topic.

Never."""

LANE_HELD: Final = "lane.held"
"""An event was parked at an endpoint with `on_park: hold`. Later events of its entity are parked after it.

Always: the entity receives nothing until `hookferry parked redrive` or `hookferry parked discard`."""

LANE_RELEASED: Final = "lane.released"
"""A held lane is free again after a redrive or a discard. `held_s` is how long it was held.

Never."""

HOLD_FAILED: Final = "hold.failed"
"""The hold of a lane could not be written to Kafka. The write is tried again, and the offset is not committed
before it succeeds.

Worry if it lasts: the lane makes no progress."""

HOLD_IGNORED: Final = "hold.ignored"
"""A record of the hold topic cannot be read, so that lane is not held.

Always: later events of that lane may be delivered before the parked one. `hookferry parked list` shows
what is parked."""

HOLDS_LIFTED: Final = "holds.lifted"
"""`on_park` of the endpoint is no longer `hold`, so its held lanes were released. Parked events stay parked.

Worry if the setting was not changed on purpose. `hookferry parked redrive` sends the parked events, after
those that were delivered in the meantime."""

TOPIC_FORGETS: Final = "topic.forgets"
"""The topic that must keep parked events has a limited `retention.ms`.

Always: after that time parked events are lost, and held lanes go on without them. Set `retention.ms=-1`."""

ENDPOINT_SLOWED: Final = "endpoint.slowed"
"""The receiver is overloaded, so the bridge sends less: `rate_per_s` (null without a limit) and `concurrency`
are the limits now, `reason` is what the receiver answered. Repeated at most once per minute while it lasts.

Worry if it lasts and the lag of the endpoint grows: the receiver takes less than arrives. Ask its operator
for a higher limit, or set `rate` to the limit that it documents."""

ENDPOINT_RECOVERED: Final = "endpoint.recovered"
"""The limits after `endpoint.slowed` are lifted, or the breaker has opened and decides alone.

Never."""

ENDPOINT_TURNED_OFF: Final = "endpoint.turned_off"
"""An endpoint is switched off: by a person, by a 410 Gone, or by its park_limit. Its events wait.

Worry if it was not intended: correct the cause, then run `hookferry endpoints on`."""

ENDPOINT_TURNED_ON: Final = "endpoint.turned_on"
"""An endpoint was switched on again.

Never."""

EVENT_TYPES_TURNED_OFF: Final = "types.turned_off"
"""Event types are switched off. Such events are not sent, now or later.

Worry if it was not intended: `hookferry events on` sends the events that arrive from then on."""

EVENT_TYPES_TURNED_ON: Final = "types.turned_on"
"""Event types were switched on again.

Never."""

CONTROL_IGNORED: Final = "control.ignored"
"""A record of the control topic cannot be read. The endpoint or event type keeps its state.

Always: repeat the command, `hookferry endpoints` or `hookferry events`, `on` or `off`."""

CONTROL_FAILED: Final = "control.failed"
"""The control topic cannot be read or written. Switches from other processes arrive late.

Worry if `control.recovered` does not follow: the `cause` is the broker's."""

CONTROL_RECOVERED: Final = "control.recovered"
"""The control topic can be read and written again.

Never."""

JOURNAL_FAILED: Final = "journal.failed"
"""The journal in `state_dir` cannot be written. Deliveries go on without it.

Always: free the disk or correct the path. Until then, a killed process repeats up to one commit interval of
deliveries."""

HISTORY_FAILED: Final = "history.failed"
"""Attempts could not be written to the history file and are missing in it. Deliveries go on.

Always: free the disk or correct the path."""

HISTORY_REPLACED: Final = "history.replaced"
"""The history file was damaged. A new one was begun, and the damaged one was kept under another name.

Worry if it repeats: the disk under `state_dir` is failing."""

HISTORY_RECOVERED: Final = "history.recovered"
"""Attempts are written to the history file again.

Never."""
