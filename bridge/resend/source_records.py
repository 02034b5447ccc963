"""Read the records of events in their source topics, to render the events again.

Invariant: a record is returned only if it has the timestamp that the attempt recorded: a topic that was
recreated has other records at the same offsets.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from bridge.errors import BrokerError
from bridge.history.attempt import Source
from bridge.history.scan import runs
from bridge.kafka.side_reader import SideReader, read_stretch
from bridge.model import Partition, Record


async def fetch_records(reader: SideReader, sources: Collection[Source]) -> dict[Source, Record]:
    """Return the records at these places that are still there. Raises ``KafkaUnavailable``."""
    wanted: defaultdict[Partition, dict[int, set[Source]]] = defaultdict(lambda: defaultdict(set))
    for source in sources:
        wanted[source.partition][source.offset].add(source)
    found: dict[Source, Record] = {}
    for partition, places in wanted.items():
        begin, end = await _bounds(reader, partition)
        for start, stop in runs(offset for offset in places if begin <= offset < end):
            async for records in read_stretch(reader, partition, start, stop):
                for record in records:
                    if record.damage is None:
                        found |= {
                            source: record
                            for source in places.get(record.offset, ())
                            if source.timestamp_ms == record.timestamp_ms
                        }
    return found


async def _bounds(reader: SideReader, partition: Partition) -> tuple[int, int]:
    """Return the first and the next offset of a log; an empty log if the topic is gone."""
    try:
        begins, ends = await reader.begins([partition]), await reader.ends([partition])
    except BrokerError as exc:
        if "UnknownTopicOrPartition" in type(exc.__cause__).__name__:
            return 0, 0
        raise
    return begins[partition], ends[partition]
