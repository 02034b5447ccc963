"""Convert aiokafka's records and partitions to the product's own frozen types."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from bridge.errors import RecordsDeleted
from bridge.model import Batch, Partition, Record


def to_partition(partition: TopicPartition) -> Partition:
    """Convert one partition."""
    return Partition(partition.topic, partition.partition)


def to_topic_partitions(partitions: Iterable[Partition]) -> list[TopicPartition]:
    """Convert partitions to aiokafka's type."""
    return [TopicPartition(*partition) for partition in partitions]


def to_batches(
    fetched: Mapping[TopicPartition, Sequence[ConsumerRecord]], wanted: Collection[TopicPartition]
) -> list[Batch]:
    """Convert what ``getmany`` returned for the wanted partitions."""
    return [
        (to_partition(partition), [to_record(to_partition(partition), raw) for raw in raws])
        for partition, raws in fetched.items()
        if partition in wanted
    ]


def to_record(partition: Partition, raw: ConsumerRecord) -> Record:
    """Convert one record."""
    return Record(
        partition,
        raw.offset,
        raw.timestamp,
        raw.key,
        raw.value,
        tuple(raw.headers) if raw.headers else (),
    )


def records_deleted(exc: OffsetOutOfRangeError) -> RecordsDeleted:
    """Convert aiokafka's error for positions that are not in the log: partition to offset."""
    return RecordsDeleted({to_partition(partition): offset for partition, offset in exc.args[0].items()})
