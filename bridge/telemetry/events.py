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
"""A Kafka client did not close in time, not even after it was cancelled, or closing it failed. It is left to
end with the process.

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
"""Source topics do not exist. The bridge waits for them. The first line has level info, because the producer
may create them; after a minute it is an error, once per minute. If a source has a pattern, others are read.

From the error on, unless the producer has yet to start: create them, or correct `topics` of the source."""

TOPICS_MATCHED: Final = "topics.matched"
"""New topics that patterns match are read from now on; each is shown with its source.

Worry if a topic is among them that should not be sent: exclude it with a `!` in `topics` of the source."""

TOPICS_AWAITED: Final = "topics.awaited"
"""No topic matches these patterns yet. The bridge looks every ten seconds.

Worry if there should be one: correct `topics` of the source, or let the bridge's user describe the topic."""

TOPICS_VANISHED: Final = "topics.vanished"
"""Topics that patterns matched no longer exist, or the bridge's user may no longer describe them.

Always, unless you deleted them: their events that were not delivered are lost."""

TOPICS_LEFT_OUT: Final = "topics.left_out"
"""Patterns match these topics, but they end in .parked, .again or .control, as topics that Hookferry writes.

Worry if they contain events to send: name them in `topics` of the source."""

TOPIC_AMBIGUOUS: Final = "topic.ambiguous"
"""Patterns of several sources match the topic. The source that is listed first reads it.

Worry if another source has the right format for it: exclude the topic from the others."""

TOPIC_TOO_SMALL: Final = "topic.too_small"
"""A new source topic has more partitions than `<group>.again`, and the bridge cannot add any.

Always: parked events of the partitions that it lacks cannot be sent again. Add them by hand."""

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

READINESS_CHANGED: Final = "readiness.changed"
"""The process became ready or not ready, or the reason has changed: `/readyz` answers with the same words.

Worry if `ready` is false for longer than a start or a rebalance takes: `reason` names what it waits for."""

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

SOURCE_LEFT: Final = "source.left"
"""This process stopped in order and left the group: the other pods take over its partitions at once.

Never."""

SOURCE_NOT_LEFT: Final = "source.not_left"
"""The broker did not accept that this process left the group. Its partitions wait until its session ends.

Worry if it repeats while Kafka is up: each stop then delays deliveries by `kafka.session_timeout_s`."""

SOURCE_FENCED: Final = "source.fenced"
"""Another process joined the group as this `member`. This process gave up its partitions and is not ready.

Always. Two processes have the same `kafka.group_instance_id`. Give each its own, and restart this one."""

SOURCE_OUTDATED: Final = "source.outdated"
"""The group assigned its partitions without some topic or partition of this pod. It rebalances.

Worry if it repeats without new partitions or topics: the pods have different rights to see the topics."""

CLIENT_REPLACED: Final = "client.replaced"
"""Another Kafka client (admin, producer) had failed, or a task of it had ended. A new one has taken over.

Worry if it repeats: report it with its `cause`."""

CLIENT_FAILED: Final = "client.failed"
"""A Kafka client raised an `exception` that it should not raise. It is replaced, and its call repeated.

Always: report it with its traceback, which is written once per type. No event is lost. Worry at once if it
repeats: nothing is read from or written to Kafka while it does."""

CONTROL_UNREADABLE: Final = "control.unreadable"
"""A record of the control topic cannot be read from the log. It is skipped; the bridge reads on behind it.

Always: a switch or a hold may be unknown. `hookferry endpoints list` and `hookferry events list` show the
states in use; set those again that differ."""

FETCH_FAILED: Final = "fetch.failed"
"""A broker cannot read a partition's records at `next_offset`. Other partitions go on; nothing is skipped.

Always: the broker reports damage or a failing disk, or its fetches break off. Nothing of this partition is
delivered meanwhile. See the broker's log; move the leader to another replica."""

FETCH_RECOVERED: Final = "fetch.recovered"
"""The records of a partition can be read again after `fetch.failed`.

Never by itself."""

BATCH_SUSPECTED: Final = "batch.suspected"
"""A batch of records does not match its checksum, or its length is wrong. The bridge fetches it again.

Worry if `record.rejected` follows for the same place: the batch is damaged on the broker's disk. Compare the
replicas of the partition. If nothing follows, it was damaged on its way: check the network and the memory."""

RECORDS_DELETED: Final = "records.deleted"
"""Records were deleted from a topic before this endpoint had received them.

Always. This is the one loss that the bridge cannot prevent: the endpoint had not settled `offsets_lost`
offsets of the partition. With a transactional producer, some of them may have held no event: what a
deleted offset held is unknown. Offsets that the endpoint had passed are not counted. Raise the topic's
retention above the longest outage an endpoint may have."""

CURSOR_STARTED: Final = "cursor.started"
"""An endpoint has its first cursor in this partition, and begins at `next_offset`. The `cause` states whether
the endpoint is new, or the partition (its topic was created or got more partitions).

Worry if neither is new: report it with its `cause`."""

CURSOR_LOST: Final = "cursor.lost"
"""The position of an endpoint in this partition was known and is gone: its committed offset expired or was
deleted, or the topic was deleted and created again. `on_lost_offset` decides what follows (`consequence`).

Always. With `earliest` nothing that is still in the log is lost, and some events may be sent again. Offsets
expire when no bridge ran for longer than `offsets.retention.minutes`."""

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

RECORD_PARKED_BEFORE: Final = "record.parked_before"
"""A record that cannot be decoded is in the dead-letter topic already, or was discarded there. It is not
parked again: an endpoint that begins earlier, or catches up, has reached it.

Never."""

DELIVERY_ATTEMPTED: Final = "delivery.attempted"
"""One request to an endpoint has ended: level info if it was delivered, otherwise warning with the `reason`.

Worry if verdict `again` is frequent or verdict `park` occurs: the endpoint refuses or does not answer."""

DELIVERY_FAILED_INSIDE: Final = "delivery.failed_inside"
"""An attempt ended with an unexpected exception inside the bridge. It is retried like a failed request.

Always: this is a bug. Report it with the exception."""

EVENT_DUPLICATE_DIFFERED: Final = "event.duplicate_differed"
"""An event was dropped as a duplicate, but its type or its data is not that of the first event with its id
(`first_place`). Written once per minute and source; `more` were left out before it.

Always: if they are two events, the second was not sent. Compare the records, and set the source's `id` to a
place that differs per event. After a change of the source's `data` or `bulk` it may be a false alarm for one
window."""

EVENT_FIELD_REFUSED: Final = "event.field_refused"
"""A time or an entity could not be used. The event was sent with what `instead` names. Written once per
minute, source and field; `more` were left out before it.

Worry if it is frequent: the source's place or `time_unit` does not fit the events, or a producer's clock is
wrong."""

EVENT_PARKED: Final = "event.parked"
"""An event was written to the dead-letter topic for this endpoint and is not tried again.

Always: see `cause` and `remedy`. `hookferry parked redrive` sends it again once the cause is gone."""

PARKING_FAILED: Final = "parking.failed"
"""The dead-letter topic did not accept an event. The write is tried again, and the offset is not committed
before it succeeds. If the event is too large, `remedy` has the command that raises the limit of the topic.

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
"""An endpoint was switched on, or `hookferry endpoints on` was run for one that is on. It is tried at once.

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
