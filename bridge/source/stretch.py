"""Reading a stretch of a partition's log again, beside the group: for the dedupe index.

Edge floor: a consumer without a group, opened for the stretch and closed after it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from bridge.errors import KafkaUnavailable
from bridge.model import Partition, Record
from bridge.source.client import KafkaOptions, stop_consumer
from bridge.source.reader import _record


async def offset_at(options: KafkaOptions, partition: Partition, timestamp_ms: int) -> int | None:
    """The first offset at or after an instant, or None when there is none. Raises ``KafkaUnavailable``."""
    asked = TopicPartition(*partition)
    consumer = AIOKafkaConsumer(**options.arguments(), enable_auto_commit=False)
    try:
        await consumer.start()
        found = await consumer.offsets_for_times({asked: max(0, timestamp_ms)})
    except KafkaError as exc:
        raise KafkaUnavailable(f"{partition}: no offset for an instant: {exc!r}") from exc
    finally:
        await stop_consumer(consumer)
    at = found.get(asked)
    return at.offset if at is not None else None


async def read_stretch(
    options: KafkaOptions, partition: Partition, start: int, end: int
) -> AsyncIterator[list[Record]]:
    """The records of [start, end) in batches. Raises ``KafkaUnavailable``."""
    asked = TopicPartition(*partition)
    consumer = AIOKafkaConsumer(
        **options.arguments(),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
    )
    try:
        await consumer.start()
        consumer.assign([asked])
        consumer.seek(asked, start)
        position = start
        while position < end:
            batches = await consumer.getmany(asked, timeout_ms=500, max_records=1000)
            raws = batches.get(asked, [])
            inside = [_record(partition, raw) for raw in raws if raw.offset < end]
            if inside:
                yield inside
            position = await consumer.position(asked)
    except KafkaError as exc:
        raise KafkaUnavailable(f"{partition}: [{start}, {end}) could not be read again: {exc!r}") from exc
    finally:
        await stop_consumer(consumer)
