"""When the broker appended each record of a topic: its own timestamps, with a resolution of 1 ms."""

from __future__ import annotations

import orjson
from confluent_kafka import Consumer, TopicPartition

from tests.bench.compare.judging import EventKey


def appended_ms(bootstrap: str, topic: str) -> dict[EventKey, int]:
    """Read a topic of JSON events to its end. It must have ``message.timestamp.type=LogAppendTime``."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "bench-appended", "log_level": 0})
    found: dict[EventKey, int] = {}
    try:
        metadata = consumer.list_topics(topic, timeout=10)
        partitions = [TopicPartition(topic, number, 0) for number in metadata.topics[topic].partitions]
        ends = [consumer.get_watermark_offsets(one, timeout=10)[1] for one in partitions]
        consumer.assign(partitions)
        left = sum(ends)
        while left > 0:
            messages = consumer.consume(min(left, 10_000), timeout=10)
            if not messages:
                raise RuntimeError(f"{topic}: {left} records were not read within 10 s")
            for message in messages:
                payload = orjson.loads(message.value())["payload"]
                found[payload["entity"], payload["seq"]] = message.timestamp()[1]
            left -= len(messages)
    finally:
        consumer.close()
    return found
