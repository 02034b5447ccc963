"""The dead-letter topic: what cannot be delivered is kept there, byte for byte, with its reason.

Edge floor: an aiokafka producer. The offset of an event may move only after its ``park`` returned.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from bridge.errors import ParkError
from bridge.kafka.client_health import Lasting
from bridge.model import Record

_ANSWER_TIMEOUT_S = 30.0
"""The producer gives up after 10 s (``PARK_TIMEOUT_MS``); this is for one that does not even do that."""
_REASON_BYTES = 2_000
EVENT_INDEX = "event-index"
"""The detail that tells which event of a record of several was parked (``Event.index``)."""


class Reason(NamedTuple):
    """Why something was parked. ``details`` are further facts (event id and type, attempts, …).

    ``logged``: false when the log has just said the same of another event.
    """

    cause: str
    remedy: str
    endpoint: str | None = None
    details: Mapping[str, str] = {}
    logged: bool = True


class Parking:
    """Writes to ``<group>.parked``, with acknowledgement of all replicas and idempotence.

    The record keeps its key, value and headers as they were (so that parked events of one entity
    keep their order); what the bridge knows is added as ``hookferry-*`` headers.
    """

    def __init__(self, producer: Lasting[AIOKafkaProducer], topic: str) -> None:
        self._producer = producer
        self._topic = topic

    async def park(self, record: Record, reason: Reason) -> None:
        """Return when the record is safe in the dead-letter topic; raises ``ParkError`` when it is not."""
        headers = [
            *((name, value) for name, value in record.headers if not name.startswith("hookferry-")),
            *((f"hookferry-{name}", value) for name, value in _facts(record, reason)),
        ]
        try:
            async with asyncio.timeout(_ANSWER_TIMEOUT_S):
                producer = await self._producer.working()
                await producer.send_and_wait(self._topic, value=record.value, key=record.key, headers=headers)
        except MessageSizeTooLargeError as exc:
            raise ParkError(
                f"{record.place} does not fit topic {self._topic!r}: raise its max.message.bytes"
            ) from exc
        except (KafkaError, OSError) as exc:
            raise ParkError(f"topic {self._topic!r} did not take {record.place}: {exc!r}") from exc


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
