"""Read the state of a running bridge, its files and its cursors, and wait for a state.

Everything here reads what an operator can read: the log, the admin port, the history, the committed
offsets. Only ``wait_until`` polls. A test waits for a state instead of reading it once after an action: on a
loaded machine, commits, log lines and attempts in the history arrive later.
"""

from __future__ import annotations

import http.client
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import orjson
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from bridge.core import completion_map
from bridge.history.batch import decode
from bridge.model import Partition, Record
from tests.support.bridge_process import BridgeProcess, plain_config
from tests.support.kafka import RealKafka

T = TypeVar("T")
SOON = {"base_s": 0.05, "cap_s": 0.2}
"""Retry delays that are short enough for a test."""


def quick_config(
    kafka: RealKafka, topic: str, endpoints: Mapping[str, Mapping[str, Any]], group: str, **top: Any
) -> dict[str, Any]:
    """Return ``plain_config`` with short group timeouts, so that a test sees deaths and rebalances soon."""
    config = plain_config(kafka.bootstrap, topic, endpoints, group=group, **top)
    config["kafka"] |= {"session_timeout_s": 6, "heartbeat_interval_s": 0.5}
    return config


def wait_until(condition: Callable[[], T], what: str, timeout_s: float = 120) -> T:
    """Return the first true result of ``condition``; raises ``TimeoutError`` with the text ``what``."""
    deadline = time.monotonic() + timeout_s
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > deadline:
            raise TimeoutError(f"not in {timeout_s} s: {what}")
        time.sleep(0.03)


def ask(bridge: BridgeProcess, target: str) -> tuple[int, str]:
    """Return status and text of the admin port; (0, the error) if it does not listen.

    Of ``/readyz``, the line about the work: ``configuration`` returns the other one.
    """
    status, text = _get(bridge, target)
    if target == "/readyz":
        text = "".join(line for line in text.splitlines(True) if not line.startswith("configuration: "))
    return status, text


def configuration(bridge: BridgeProcess) -> str:
    """Return the line of ``/readyz`` about the configuration; empty if the bridge is not ready."""
    status, text = _get(bridge, "/readyz")
    lines = [line for line in text.splitlines() if line.startswith("configuration: ")]
    return lines[0] if status == 200 and lines else ""


def _get(bridge: BridgeProcess, target: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", bridge.admin_port, timeout=5)
    try:
        connection.request("GET", target)
        response = connection.getresponse()
        return response.status, response.read().decode()
    except (OSError, http.client.HTTPException) as exc:
        return 0, str(exc)
    finally:
        connection.close()


def all_report(bridges: Iterable[BridgeProcess], text: str) -> bool:
    """Return True if every bridge is ready and its readiness contains ``text``."""
    answers = (ask(bridge, "/readyz") for bridge in bridges)
    return all(status == 200 and text in answer for status, answer in answers)


def logged(bridge: BridgeProcess, event: str | None = None) -> list[dict[str, Any]]:
    """Return the lines of the log, all or those of one event. A line that is not JSON fails the test."""
    if not bridge.log.exists():
        return []
    whole = bridge.log.read_bytes().rpartition(b"\n")[0]  # the last line may be incomplete
    lines = [orjson.loads(line) for line in whole.splitlines()]
    return [line for line in lines if event is None or line["event"] == event]


def log_counts(bridge: BridgeProcess) -> Counter[str]:
    """Count the lines of each event; lines of a library are counted by the name of its logger."""
    return Counter(line.get("logger") or line["event"] for line in logged(bridge))


def history(bridge: BridgeProcess) -> list[dict[str, Any]]:
    """Return the attempts in the topic of the history, oldest first, with their ids and endpoints."""
    (bootstrap,) = bridge.config["kafka"]["bootstrap_servers"]
    return attempts_of(bootstrap, f"{bridge.config['group']}.attempts")


def attempts_of(bootstrap: str, topic: str) -> list[dict[str, Any]]:
    """Return the attempts in a topic, oldest first; a record that was written twice counts once."""
    rows: dict[tuple[Any, int], dict[str, Any]] = {}
    for record in read_topic(bootstrap, topic):
        writer, attempts = decode(record)
        for index, (id, endpoint, attempt) in enumerate(attempts):
            row = {"id": str(id), "endpoint": endpoint, **attempt._asdict()}
            rows.setdefault((writer, index), row)
    return sorted(rows.values(), key=lambda row: (row["answered_s"], row["id"]))


def read_topic(bootstrap: str, topic: str) -> list[Record]:
    """Return all records that a topic has now; none if it does not exist."""
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "looks", "enable.auto.commit": False, "log_level": 0,
         "allow.auto.create.topics": False}
    )  # fmt: skip
    try:
        known = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        ends = {}
        for number in known:
            begin, end = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=10)
            if end > begin:
                ends[number] = end
        consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in ends])
        records: list[Record] = []
        while ends:
            message = consumer.poll(10)
            assert message is not None, f"{topic}: no record within 10 s"
            assert message.error() is None, message.error()
            number, offset = message.partition(), message.offset()
            records.append(
                Record(
                    Partition(topic, number), offset, message.timestamp()[1], message.key(), message.value(),
                    tuple(message.headers() or ()),
                )
            )  # fmt: skip
            if offset + 1 >= ends.get(number, 0):
                ends.pop(number, None)
        return records
    finally:
        consumer.close()


def log_ends(kafka: RealKafka, topic: str) -> dict[int, int]:
    """Return the next offset of the log of each partition."""
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
    """Return the commits of one cursor, by partition."""
    return {
        number: completion_map.decode(offset, metadata)
        for (name, number), (offset, metadata) in kafka.consumer_groups(group).items()
        if name == topic
    }


def wait_settled(kafka: RealKafka, group: str, topic: str, timeout_s: float = 120) -> None:
    """Return when a cursor is at the end of every partition: nothing open, lag 0."""
    ends = log_ends(kafka, topic)

    def settled() -> bool:
        offsets = {number: completion.offset for number, completion in cursors(kafka, group, topic).items()}
        return offsets == ends

    wait_until(settled, f"{group} at {ends}", timeout_s)
