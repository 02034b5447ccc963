"""Render docs/reference/topics.md: the topics and groups of a bridge, with keys, headers and configuration.

The configuration of a topic comes from ``bridge.kafka.topic_setup``. Headers and fields are described here;
tests/unit/docs/test_topics_page.py compares them with what the bridge writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bridge.core.completion_map import LIMIT_BYTES
from bridge.history.pool import ATTEMPT_BYTES
from bridge.history.stream import BATCH_BYTES
from bridge.kafka.topic_setup import AGAIN_CONFIGS, ATTEMPTS_CONFIGS, CONTROL_CONFIGS, PARKED_CONFIGS
from bridge.pipeline.shown_answers import BODY_BYTES, HEADER_BYTES, LEFT_OUT
from tools.markdown import REFERENCE, code, escape, generated_note, page, prose, table

PAGE = REFERENCE / "topics.md"

ORIGIN_HEADERS = {
    "hookferry-topic": "topic of the original record",
    "hookferry-partition": "its partition",
    "hookferry-offset": "its offset",
    "hookferry-timestamp-ms": "its timestamp, in Unix milliseconds",
}
PARKED_HEADERS = {
    **ORIGIN_HEADERS,
    "hookferry-cause": "why it was parked, at most 2,000 characters",
    "hookferry-remedy": "what to do about it",
    "hookferry-parked-at-ms": "when it was parked, in Unix milliseconds",
    "hookferry-endpoint": "the endpoint that it was meant for; absent if it was parked for all endpoints",
    "hookferry-event-id": "id of the event",
    "hookferry-event-type": "type of the event",
    "hookferry-webhook-id": "the `webhook-id` of its requests",
    "hookferry-event-time": "time of the event (RFC 3339)",
    "hookferry-time-source": "where that time comes from: `event`, `record` (its timestamp) or `clock`",
    "hookferry-attempts": "how many attempts were made",
    "hookferry-status": "the status of the last answer; missing without an answer",
    "hookferry-event-index": "which event of a record with several, from 1; absent for the only one",
    "hookferry-entity": "the entity of the event, if it has one",
    "hookferry-tenant": "the tenant of the event, if it has one",
    "hookferry-lane": "id of its lane: 32 hexadecimal digits; absent if the event needs no order",
    "hookferry-held-behind": "place of the earlier event that a held lane waits for; absent otherwise",
    "hookferry-raw-of": "`record` or `batch` if the value is the bytes of an unreadable one; else absent",
    "hookferry-last-offset": "the last offset of these bytes; absent for an event",
    "hookferry-replay": "`replay-<id>` of the replay that parked it; absent for a live delivery",
    "hookferry-stored": "the request that it is to be sent as, as in the topic `<group>.again`",
    "hookferry-repeats": "id of the attempt that the event was a re-send of; absent otherwise",
}
STUB_HEADERS = {
    "hookferry-stub-value-bytes": "size of the original value; `null` if it was null",
    "hookferry-stub-value-sha256": "SHA-256 of the original value",
    "hookferry-stub-record-sha256": "SHA-256 of timestamp, key, value and headers; a redrive compares it",
    "hookferry-stub-key-bytes": "size of the original key; only if it is left out",
    "hookferry-stub-headers-left-out": "number of headers that are left out; absent if all are kept",
}
NULL_HEADERS = {
    "hookferry-value-is-null": "the original has neither key nor value, and its empty value here is null",
}
MARKER_HEADERS = {
    "hookferry-settles": "the parked record that the marker settles, as `partition:offset` of this topic",
    "hookferry-settled-as": "`redriven` or `discarded`",
    "hookferry-settled-at-ms": "when, in Unix milliseconds",
    "hookferry-settled-by": "who ran the command",
    "hookferry-settled-reason": "the reason given with `discard`; absent otherwise",
    "hookferry-again-id": "id of the redrive, as in the record that it sent; absent for `discarded`",
}
AGAIN_HEADERS = {
    **ORIGIN_HEADERS,
    "hookferry-again-id": "id of the redrive; with the round it is the deduplication key of the event",
    "hookferry-endpoint": "the only endpoint that receives it; absent if it was parked for all endpoints",
    "hookferry-event-index": "which event of a record with several, from 1; absent for the only one",
    "hookferry-round": "round of the hold on its lane; absent if the lane is not held",
    "hookferry-webhook-id": "the `webhook-id` to send; absent if it was not decoded before",
    "hookferry-stored": "if it is sent as it was, whose body is the value then: a JSON object with `method`,"
    " `url` (masked), `headers`, and the event's `id`, `type`, `time`, `entity`, `tenant` and `lane`",
    "hookferry-repeats": "id of the attempt that a re-send repeats; absent for a redrive",
}
MARK_HEADERS = {
    "hookferry-again-id": "id of the mark; a hold repeats it as `answered` if it was not released",
    "hookferry-endpoint": "the endpoint that holds the lane",
    "hookferry-lane-key": "the lane: JSON list of topic, partition, key and tenant",
    "hookferry-round": "round of the hold when the command read it",
    "hookferry-covers": "how many events the hold had parked when the command read it",
}
SWITCH_FIELDS = {
    "state": "`on` or `off`",
    "since": "when it was switched (RFC 3339)",
    "by": "who switched it: user and host, or the bridge",
    "reason": "why",
}
HOLD_FIELDS = {
    "lane": "the lane: topic, partition, key and tenant, as JSON text",
    "since_ms": "when the hold began, in Unix milliseconds",
    "first": "place of the event that the lane waits for",
    "first_at_ms": "timestamp of that record, in Unix milliseconds",
    "last": "place of the latest event that was parked under the hold",
    "parked": "how many events were parked since the hold began",
    "round": "round of the redrive whose events may pass",
    "entity": "the entity, for display",
    "answered": "id of the last mark that did not release the lane",
}
BEGINNING_FIELDS = {
    "began": "when the endpoint began (RFC 3339); empty if an older release did",
    "topics.<topic>.id": "the topic's id when this was written; null if the broker has none",
    "topics.<topic>.cursors": "the partitions in which an offset was committed, as runs [first, last]",
    "topics.<topic>.begins": "by partition without a cursor so far: the offset where the endpoint begins",
}
ATTEMPTS_HEADERS = {
    "hookferry-first-ms": "when the first request of the record was sent, in Unix milliseconds",
    "hookferry-last-ms": "when its last request was answered, in Unix milliseconds",
}
ATTEMPTS_FIELDS = {
    "format": "the version of this format: 2; releases before 0.2 wrote format 1, which is read as well",
    "process": "a random name of the process that wrote the record",
    "number": "the number of the record, per process and endpoint. Two records with the same process,"
    " endpoint and number are one that was written twice",
    "endpoint": "the endpoint",
    "same": "by column, the value that all attempts of the record have. For a column of bytes, the value is"
    " their number, and the bytes are in the record once",
    "columns": "by column, a list of values, one for each attempt; `sent_s` is always here. Later releases"
    " may add columns; ignore those that you do not know",
}
ATTEMPTS_COLUMNS = {
    "sent_s": "when the request was sent, in Unix seconds with fractions",
    "answered_s": "when the answer was complete, or when it was given up",
    "event_id": "id of the event",
    "webhook_id": "the `webhook-id` of the request",
    "type": "type of the event",
    "entity": "its entity, or null",
    "tenant": "its tenant, or null",
    "topic": "topic of the record that the event was read from; `<group>.again` for a redrive",
    "partition": "its partition",
    "offset": "its offset",
    "event_index": "which event of a record with several, from 1; 0 for the only one",
    "event_time": "time of the event (RFC 3339)",
    "appended_ms": "timestamp of the record, in Unix milliseconds",
    "again_id": "id of the request that sent the event again, or null",
    "attempt": "the number of the attempt for this event and endpoint, from 1",
    "method": "method of the request",
    "url": "URL of the request, with `***` for what the configuration contains after the origin",
    "status": "status of the answer; null without an answer",
    "verdict": "`delivered`, `again`, `park`, or `off` (the endpoint is turned off, and the event waits)",
    "reason": "the reason of the verdict; empty for `delivered`",
    "body_bytes": "size of the body that was sent",
    "body_sha256": "SHA-256 of the body, if it is larger than `history.max_body_bytes`; else null",
    "body_masked": "whether the body that is kept differs from the sent one, because a secret is masked",
    "own_headers": "how many of the headers, from the first one, were rendered for the event",
    "repeats": "id of the attempt that this one repeats, `partition:offset:entry`; null for any other",
    "origin": "of an event that was sent again: the place of its record in the source topic; else null",
    "origin_ms": "the timestamp of that record, in Unix milliseconds; else null",
    "trace_id": "the id of the trace, 32 hexadecimal digits; null without `tracing`",
    "next_s": "when the next attempt was due, in Unix seconds; null if none was planned",
    "lane": "the ordering key, or null: a list of its key (bytes as hexadecimal digits, anything else in a"
    " list) and its tenant; topic and partition are those of `origin` or of the record",
    "headers": "headers of the request, as lines `name: value`; values of the configuration are `***`",
    "body": "body of the request; null if it is not kept (`history.bodies`, `history.max_body_bytes`)",
    "answer_headers": f"headers of the answer in the same form, at most {HEADER_BYTES:,} bytes; null without"
    " an answer",
    "answer_body": f"the first {BODY_BYTES:,} bytes of the answer's body; nothing if bodies are not kept",
}
CONTROL_KEYS = {
    "endpoint/<endpoint>": "whether an endpoint is on or off",
    "events/<endpoint>/<pattern>": "whether event types are on or off; `*` for all endpoints",
    "begun/<endpoint>": "where an endpoint has begun; without the record and without offsets it is new",
    "hold/<endpoint>/<lane id>": "a held lane; the id is that of `hookferry-lane`",
    "job/<id>": "a replay or a bulk re-send: what it does, how far it is, its state",
    "move/<id>/<endpoint>/<topic>/<partition>": "a cursor that is to move, until it has moved",
    "change/<instant>-<random>": "a change that a person made: who, when, why",
    "pod/<name>": "the report of a process (see `bridge/core/pod_report.py`): when it changes, at most every"
    " 5 s, and once a minute. A tombstone: it stopped. Without one for 3 minutes: it died",
}
MOVE_FIELDS = {
    "back": "true for `rewind`, false for `skip-to`",
    "offset": "where the cursor is to go on",
    "at": "when it was requested (RFC 3339)",
    "by": "who requested it: user and host",
}

_HEAD = """
    Kafka is the only service that Hookferry needs. All state that processes share is in four topics
    and in committed offsets. `<group>` is the setting `group`. Every header that Hookferry writes
    begins with `hookferry-`. It copies the headers of the original record, except those with this prefix.

    Hookferry creates the topics at start, unless `kafka.create_topics` is false; then it stops with the
    command that creates the missing one. `kafka.replication_factor` sets the number of copies.
"""
_PARKED = """
    The dead-letter topic. It contains one record for each event that could not be delivered, and one
    for each record that could not be decoded. Key, value and headers are those of the original record,
    byte for byte. The partition is chosen by the key, so parked events of one key stay in order.

    The bridge writes a parked record before the cursor passes its offset. `hookferry parked` reads the
    topic. `hookferry parked redrive` and `discard` write a *marker* for each record that they settle:
    no value, the same key and the same partition.

    If a record could not be decoded, the headers about the event are absent.
"""
_AGAIN = """
    The topic of redrives and re-sends. `hookferry parked redrive` writes each chosen record to the partition
    number that the original has, with the original's key, value and headers. The bridge reads the topic as
    one more source, so a redriven event has the order and the guarantee of a first delivery, and its first
    `webhook-id`. `hookferry resend` writes the same with `--render`; otherwise the value is the body that
    was sent.

    A *mark* ends the redrive of a held lane: a record with the value `release` after all records of
    that lane. `hookferry parked discard` writes records and marks too, for the events that waited for a
    discarded one.
"""
_CONTROL = """
    The compacted topic of switches, holds, beginnings, jobs, moves of cursors, and changes (the audit).
    All its records are in partition 0, so that they have one order. Every process reads the topic at
    start and follows it. A record without a value
    deletes its key: the endpoint or the event types are on, the lane is not held, the endpoint is new.

    `hookferry endpoints` and `hookferry events` write switches. The bridge switches an endpoint off
    when the receiver answers 410 or sends `webhook-delivery: disable`, or when its `park_limit` is
    exceeded, or when its cursor is lost and `on_lost_offset` is `stop`. The bridge that owns a
    partition writes the holds of its lanes, and adds the partition to the beginnings. `hookferry cursors
    prune` deletes the holds and beginnings of endpoints that were removed.

    `hookferry replay` writes jobs, and the bridge that finds a replay done, or has to pause it, writes its
    new state. `hookferry rewind` and `skip-to` write a move for each partition; the bridge that has the
    partition deletes the record once it has applied the move.
"""
_ATTEMPTS = f"""
    The history: what was sent, when, and what was answered. The bridge writes the attempts of each
    endpoint in batches, and never later than the commit that depends on them, unless the topic does not
    accept them within a second. A record has attempts of one endpoint, in the order of their answers,
    and at most {BATCH_BYTES:,} bytes of them, counted with {ATTEMPT_BYTES:,} bytes for each in addition
    to headers and bodies. An attempt that is larger has a separate record. `hookferry history` reads
    the topic.

    The key of a record is the endpoint, so the attempts of an endpoint are in one partition, unless
    partitions are added. Records of several processes alternate there. The id of an attempt is
    `partition:offset:entry`: the place of the record, and the number of the attempt in it, from 0.

    The value is one line of JSON, a line feed, and then the bytes of headers and bodies, one after the
    other. The last four columns have bytes: the JSON has only their number, or null for what is not
    kept. The bytes follow column by column, in the order of this page; those of a column that is the
    same in all attempts are there once. They are not escaped, so a
    body is stored exactly as it was sent, except that a secret in it is masked.

    Answers are searched for secrets that they repeat. If a receiver answers deliveries with very many
    different texts, some of them are not searched: `{LEFT_OUT.decode()}` stands for a header or a
    body that was left out.

    The records are compressed with snappy. The topic has as many partitions as the largest source topic
    had when it was created.
"""
_MEMBERS = """
    The consumer group whose members are the running bridges. It reads the source topics and
    `<group>.again`. Its committed offset of a partition is the lowest of all cursors there. A process
    commits here first: the broker refuses this commit if the process is no longer a member, and then no
    cursor is committed either.
"""
_CURSORS = f"""
    One group without members for each endpoint. Its committed offset of a partition is the *cursor*:
    the lowest offset that is not settled for the endpoint. The lag of the group is the backlog of the
    endpoint, and every Kafka tool can show it. The metadata of the commit contains the completion map:
    what is settled above the offset, the attempts of deliveries that wait for a retry, and the id of the
    topic. It begins with `h2` (`h1` without a topic id) and has at most {LIMIT_BYTES:,} bytes, the
    broker's default for `offset.metadata.max.bytes`.

    Every cursor is committed at least once per hour, because a broker deletes the offsets of a group
    without members after `offsets.retention.minutes` (7 days by default). What follows if that happens is
    the endpoint's setting `on_lost_offset`. `hookferry cursors list`
    shows the cursors; `hookferry cursors prune` deletes those of endpoints that were removed.
"""

_REPLAYS = """
    The cursors of a replay, as long as it lasts: one in each of its partitions. The job `job/<id>` in
    `<group>.control` has the offsets where each begins and ends. The bridges delete the group when the
    replay has ended.
"""


def render() -> dict[Path, str]:
    """Return the page."""
    return {
        PAGE: page(
            "# Topics and groups",
            generated_note("tools/topics.py"),
            prose(_HEAD),
            _overview(),
            *_topic("parked", _PARKED, PARKED_CONFIGS),
            "### Headers of a parked record",
            _fields("Header", PARKED_HEADERS | NULL_HEADERS),
            "### Further headers of a stub (`park_oversize: stub`)",
            _fields("Header", STUB_HEADERS),
            "### Headers of a marker",
            _fields("Header", MARKER_HEADERS),
            *_topic("again", _AGAIN, AGAIN_CONFIGS),
            "### Headers of a redriven record",
            _fields("Header", AGAIN_HEADERS | NULL_HEADERS),
            "### Headers of a mark",
            _fields("Header", MARK_HEADERS),
            *_topic("control", _CONTROL, CONTROL_CONFIGS),
            "### Keys",
            _fields("Key", CONTROL_KEYS),
            "### Value of a switch (JSON)",
            _fields("Field", SWITCH_FIELDS),
            "### Value of a beginning (JSON)",
            _fields("Field", BEGINNING_FIELDS),
            "### Value of a hold (JSON)",
            _fields("Field", HOLD_FIELDS),
            "### Value of a move (JSON)",
            _fields("Field", MOVE_FIELDS),
            *_topic("attempts", _ATTEMPTS, {**ATTEMPTS_CONFIGS, "retention.ms": "<history.retention_s>"}),
            "### Headers of a batch of attempts",
            _fields("Header", ATTEMPTS_HEADERS),
            "### Fields of the JSON line",
            _fields("Field", ATTEMPTS_FIELDS),
            "### Columns of an attempt",
            _fields("Column", ATTEMPTS_COLUMNS),
            "## The group `<group>`",
            prose(_MEMBERS),
            "## The groups `<group>.<endpoint>`",
            prose(_CURSORS),
            "## The groups `<group>.<endpoint>.replay-<id>`",
            prose(_REPLAYS),
        )
    }


def _overview() -> str:
    rows = [
        (
            "`<group>.parked`",
            "topic",
            "the largest source topic's",
            "bridge, `hookferry parked`",
            "`hookferry parked`",
        ),
        ("`<group>.again`", "topic", "the largest source topic's", "`hookferry parked`, `resend`", "bridge"),
        ("`<group>.control`", "topic", "1", "bridge, commands", "bridge, commands"),
        (
            "`<group>.attempts`",
            "topic",
            "the largest source topic's",
            "bridge",
            "`hookferry history`, `resend`",
        ),
        ("`<group>`", "consumer group", "", "bridge", "broker"),
        ("`<group>.<endpoint>`", "group without members", "", "bridge", "bridge, every Kafka tool"),
        ("`<group>.<endpoint>.replay-<id>`", "group without members", "", "bridge", "bridge, commands"),
    ]
    return table(("Name", "Kind", "Partitions", "Written by", "Read by"), rows)


def _topic(suffix: str, text: str, configs: Mapping[str, str]) -> tuple[str, str, str]:
    settings = ", ".join(code(f"{name}={value}") for name, value in configs.items())
    return f"## The topic `<group>.{suffix}`", prose(text), f"Created with {settings}."


def _fields(kind: str, fields: Mapping[str, str]) -> str:
    return table((kind, "Content"), ((code(name), escape(meaning)) for name, meaning in fields.items()))
