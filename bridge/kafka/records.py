"""Convert aiokafka's partitions and errors to the product's own frozen types."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from bridge.errors import RecordsDeleted
from bridge.model import Batch, Damage, Partition, Record


def to_partition(partition: TopicPartition) -> Partition:
    """Convert one partition."""
    return Partition(partition.topic, partition.partition)


def to_topic_partitions(partitions: Iterable[Partition]) -> list[TopicPartition]:
    """Convert partitions to aiokafka's type."""
    return [TopicPartition(*partition) for partition in partitions]


def to_batches(
    fetched: Mapping[TopicPartition, list[Any]], wanted: Collection[TopicPartition]
) -> list[Batch]:
    """Return what ``getmany`` returned for the wanted partitions.

    The records have the product's type already (``aiokafka_patches/unreadable_records.py``).
    """
    return [(records[0].partition, records) for partition, records in fetched.items() if partition in wanted]


def unreadable_place(partition: Partition, offset: int, cause: str) -> Record:
    """Return what takes the place of a record at which the client fails: only its place is known."""
    damage = Damage(
        f"the client fails at this record: {cause}",
        "report this with the traceback in the log; `hookferry inspect` may show the record",
        offset + 1,
        "record",
    )
    return Record(partition, offset, int(time.time() * 1000), None, None, (), damage)


def records_deleted(exc: OffsetOutOfRangeError) -> RecordsDeleted:
    """Convert aiokafka's error for positions that are not in the log: partition to offset."""
    return RecordsDeleted({to_partition(partition): offset for partition, offset in exc.args[0].items()})
