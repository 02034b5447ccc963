"""Asking a running bridge, its files and its cursors how things stand, and waiting until they do.

Everything here reads what an operator can read: the log, the admin port, the history file, the
committed offsets. Polling happens in ``wait_until`` alone.
"""

from __future__ import annotations

import http.client
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from typing import Any, TypeVar

import orjson
from confluent_kafka import Consumer, TopicPartition

from bridge.core import completion_map
from tests.support.bridge_process import BridgeProcess, plain_config
from tests.support.kafka import RealKafka

T = TypeVar("T")
SOON = {"base_s": 0.05, "cap_s": 0.2}
"""Retries that a test can wait for."""


def quick_config(
    kafka: RealKafka, topic: str, endpoints: Mapping[str, Mapping[str, Any]], group: str, **top: Any
) -> dict[str, Any]:
    """``plain_config`` with a membership that notices deaths and rebalances within a test's patience."""
    made = plain_config(kafka.bootstrap, topic, endpoints, group=group, **top)
    made["kafka"] |= {"session_timeout_s": 6, "heartbeat_interval_s": 0.5}
    return made


def wait_until(holds: Callable[[], T], what: str, timeout_s: float = 20) -> T:
    """What ``holds`` gives once that is true; raises ``TimeoutError`` that says ``what`` did not come."""
    deadline = time.monotonic() + timeout_s
    while True:
        found = holds()
        if found:
            return found
        if time.monotonic() > deadline:
            raise TimeoutError(f"not in {timeout_s} s: {what}")
        time.sleep(0.03)


def ask(bridge: BridgeProcess, target: str) -> tuple[int, str]:
    """Status and text of the admin port; (0, why) while nobody listens."""
    connection = http.client.HTTPConnection("127.0.0.1", bridge.admin_port, timeout=5)
    try:
        connection.request("GET", target)
        response = connection.getresponse()
        return response.status, response.read().decode()
    except (OSError, http.client.HTTPException) as exc:
        return 0, str(exc)
    finally:
        connection.close()


def all_say(bridges: Iterable[BridgeProcess], text: str) -> bool:
    """Whether every bridge is ready and its readiness holds this."""
    return all(status == 200 and text in said for status, said in (ask(one, "/readyz") for one in bridges))


def logged(bridge: BridgeProcess, event: str | None = None) -> list[dict[str, Any]]:
    """The log's lines, all or those of one event. A line that is not JSON fails the test."""
    if not bridge.log.exists():
        return []
    whole = bridge.log.read_bytes().rpartition(b"\n")[0]  # the last one may be half written
    lines = [orjson.loads(line) for line in whole.splitlines()]
    return [line for line in lines if event is None or line["event"] == event]


def log_counts(bridge: BridgeProcess) -> Counter[str]:
    """How many lines each event has; a library's lines are counted under its logger's name."""
    return Counter(line.get("logger") or line["event"] for line in logged(bridge))


def history(bridge: BridgeProcess) -> list[dict[str, Any]]:
    """The rows of the attempt history, in their order."""
    file = f"file:{bridge.config['state_dir']}/history.sqlite?mode=ro"
    with closing(sqlite3.connect(file, uri=True)) as db:
        db.row_factory = sqlite3.Row
        return [dict(row) for row in db.execute("SELECT * FROM attempts ORDER BY id")]


def log_ends(kafka: RealKafka, topic: str) -> dict[int, int]:
    """The next offset of each partition's log."""
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": "looks", "log_level": 0})
    try:
        numbers = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        return {
            number: consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=10)[1]
            for number in numbers
        }
    finally:
        consumer.close()


def cursors(kafka: RealKafka, group: str, topic: str) -> dict[int, completion_map.Completion]:
    """What is committed for one cursor, by partition."""
    return {
        number: completion_map.decode(offset, metadata)
        for (name, number), (offset, metadata) in kafka.consumer_groups(group).items()
        if name == topic
    }


def wait_settled(kafka: RealKafka, group: str, topic: str, timeout_s: float = 15) -> None:
    """Return when a cursor stands at the end of every partition: nothing open, lag 0."""
    ends = log_ends(kafka, topic)

    def settled() -> bool:
        found = {number: one.offset for number, one in cursors(kafka, group, topic).items()}
        return found == ends

    wait_until(settled, f"{group} at {ends}", timeout_s)
