"""Log events of the broker, its topics, the group, and the control topic."""

from __future__ import annotations

from typing import Final

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
"""Patterns match these topics, but they end in .parked, .again, .control or .attempts, as topics that
Hookferry writes.

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

SOURCE_ASSIGNED: Final = "source.assigned"
"""This process was assigned partitions and reads them from `next_offsets`.

Worry if it is frequent without deployments: the group keeps rebalancing."""

SOURCE_REVOKED: Final = "source.revoked"
"""The group is rebalancing: this process drains, commits, and gives its partitions up.

Worry if it is frequent without deployments: the group keeps rebalancing."""

SOURCE_FAILED: Final = "source.failed"
"""Records could not be read from Kafka. The bridge tries again every second and logs once per minute.

Worry if it lasts: no new events are delivered from these partitions. The `cause` is the broker's."""

SOURCE_RESUBSCRIBED: Final = "source.resubscribed"
"""A changed configuration names more topics: the assignment ends in order, and the process joins its group
again with these topics. Nothing is lost or repeated.

Never by itself."""

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
"""A record of the control topic cannot be read from the log. The bridge skips it and reads on.

Always: a switch or a hold may be unknown. `hookferry endpoints list` and `hookferry events list` show the
states in use; set those again that differ."""

FETCH_FAILED: Final = "fetch.failed"
"""A broker cannot read a partition's records at `next_offset`, or the login may not read its topic. Other
partitions go on; nothing is skipped.

Always: `cause` names a missing right, damage or a failing disk, or fetches that break off. Nothing of this
partition is delivered meanwhile. Grant the right; or see the broker's log and move the leader to another
replica."""

FETCH_RECOVERED: Final = "fetch.recovered"
"""The records of a partition can be read again after `fetch.failed`.

Never by itself."""

BATCH_SUSPECTED: Final = "batch.suspected"
"""A batch of records does not match its checksum, or its length is wrong. The bridge fetches it again.

Worry if `record.rejected` follows for the same place: the batch is damaged on the broker's disk. Compare the
replicas of the partition. If nothing follows, it was damaged on its way: check the network and the memory."""

TOPIC_FORGETS: Final = "topic.forgets"
"""The topic that must keep parked events has a limited `retention.ms`.

Always: after that time parked events are lost, and held lanes go on without them. Set `retention.ms=-1`."""

CONTROL_IGNORED: Final = "control.ignored"
"""A record of the control topic cannot be read. The endpoint or event type keeps its state.

Always: repeat the command, `hookferry endpoints` or `hookferry events`, `on` or `off`."""

CONTROL_FAILED: Final = "control.failed"
"""The control topic cannot be read or written. Switches from other processes arrive late.

Worry if `control.recovered` does not follow: the `cause` is the broker's."""

CONTROL_RECOVERED: Final = "control.recovered"
"""The control topic can be read and written again.

Never."""
