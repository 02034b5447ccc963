"""Log events of the path from a record to its delivery: cursors, schemas, parking, holds, endpoints."""

from __future__ import annotations

from typing import Final

RECORDS_DELETED: Final = "records.deleted"
"""Records were deleted from a topic before this endpoint had received them.

Always. This is the one loss that the bridge cannot prevent: the endpoint had not settled `offsets_lost`
offsets of the partition. With a transactional producer, some of them may have held no event: what a
deleted offset held is unknown. Offsets that the endpoint had passed are not counted. Raise the topic's
retention above the longest outage an endpoint may have."""

CURSOR_STARTED: Final = "cursor.started"
"""These endpoints have their first cursors in some partitions: they begin at `next_offsets`. The `cause`
states whether the endpoints are new, or the partitions are (a topic was created or got more partitions).

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
"""The cursors could not be committed. The next commit tries again, unless this process is no longer a member
of the group. At the end of an assignment it means that the last commit did not succeed in time.

Worry if `cursors.committed` does not follow: after a restart, events delivered since the last commit are
sent again."""

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
"""An event that the dead-letter topic did not accept at first, see `parking.failed`, is now in it.

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

SIGNATURE_REFUSED: Final = "signature.refused"
"""An answer complains of the signature of its request (`signature_failures`). `newest_key` is the fingerprint
of the newest key with which the request was signed. The line is written once per minute.

Always. After a change of keys, the receiver may not have the new one yet: list the old key next to it until
it does. `hookferry_signature_failures_total` counts all such answers."""

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

REPLAY_STARTED: Final = "replay.started"
"""This process carries out a replay for some partitions: a new one, or one that goes on after a pause, a
restart or a rebalance.

Never. `hookferry replay show` shows how far it is."""

REPLAY_ENDED: Final = "replay.ended"
"""The last partition of a replay reached its end, and this process recorded that the job is done.

Never."""

REPLAY_PAUSED: Final = "replay.paused"
"""A replay exceeded the `park_limit` of its endpoint, and this process paused it. Live deliveries go on.

Always: more of its events would become dead letters for the same `cause`."""

REPLAY_FAILED: Final = "replay.failed"
"""A replay cannot go on. Either its topic was deleted and created again, so that its offsets mean other
records, or this release cannot read its query. The `cause` states which.

Always: what it has not sent is not sent."""

REPLAY_FAILED_INSIDE: Final = "replay.failed_inside"
"""A replay met an error of our own. It is tried again after ten seconds; live deliveries go on.

Always: report it with its traceback."""

REPLAY_WAITING: Final = "replay.waiting"
"""A replay cannot read on, because the log ends before its position.

Always: the topic was deleted and created again."""

REPLAY_OFFSETS_KEPT: Final = "replay.offsets_kept"
"""The consumer group of a replay that ended could not be deleted. The broker deletes its offsets after
`offsets.retention.minutes`.

Never; `hookferry cursors prune` deletes them as well."""

CURSOR_MOVED: Final = "cursor.moved"
"""An operator moved the cursor of an endpoint with `hookferry rewind` or `skip-to`, and this process applied
it to a partition: `next_offset` is where it goes on.

Never, if an operator did. `skipped` counts the offsets that are not sent any more."""
