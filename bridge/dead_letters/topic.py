"""The dead-letter topic: it keeps each undeliverable record byte for byte, with the reason in headers.

The offset of an event may be committed only after ``park`` returned.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from bridge.errors import BrokerError, ParkError, RecordTooLarge
from bridge.kafka.producer import NewRecord
from bridge.model import Header, Record

_REASON_BYTES = 2_000
EVENT_INDEX = "event-index"
"""The detail that names which event of a record of several was parked (``Event.index``)."""
RAW_OF = "raw-of"
"""The detail that names what the value of a letter contains instead of a value: "record" or "batch"."""
LAST_OFFSET = "last-offset"
"""The detail that names the last offset of a letter that stands for several records."""


class Reason(NamedTuple):
    """Why an event was parked. ``details`` are further facts (event id and type, attempts, …).

    ``logged`` is False if the log has just reported the same reason for another event.
    """

    cause: str
    remedy: str
    endpoint: str | None = None
    details: Mapping[str, str] = {}
    logged: bool = True


class RecordWriter(Protocol):
    """Writes records (``bridge.kafka.producer.DurableProducer``)."""

    async def write(self, record: NewRecord) -> None:
        """Return once all replicas have the record. Raises ``BrokerError``."""
        ...


class DeadLetterTopic:
    """Writes to ``<group>.parked``, idempotently and acknowledged by all replicas.

    The record keeps its key, value and headers, so parked events of one entity keep their order.
    The reason is added as ``hookferry-*`` headers.
    """

    def __init__(self, producer: RecordWriter, topic: str) -> None:
        self._producer = producer
        self._topic = topic

    async def park(self, record: Record, reason: Reason) -> None:
        """Return once the dead-letter topic has the record. Raises ``ParkError``."""
        headers: list[Header] = [
            *((name, value) for name, value in record.headers if not name.startswith("hookferry-")),
            *((f"hookferry-{name}", value) for name, value in _facts(record, reason)),
        ]
        try:
            await self._producer.write(NewRecord(self._topic, record.value, record.key, headers=headers))
        except RecordTooLarge as exc:
            raise ParkError(
                f"cannot park {record.place}: it does not fit topic {self._topic!r};"
                " raise its max.message.bytes"
            ) from exc
        except BrokerError as exc:
            raise ParkError(f"cannot park {record.place}: {exc}") from exc


def _facts(record: Record, reason: Reason) -> list[tuple[str, bytes]]:
    facts = {
        "cause": reason.cause[:_REASON_BYTES],
        "remedy": reason.remedy,
        "topic": record.partition.topic,
        "partition": str(record.partition.number),
        "offset": str(record.offset),
        "timestamp-ms": str(record.timestamp_ms),
        "parked-at-ms": str(int(time.time() * 1000)),
        **({"endpoint": reason.endpoint} if reason.endpoint else {}),
        **reason.details,
    }
    return [(name, value.encode("utf-8", "replace")) for name, value in facts.items()]
