"""The dead-letter topic: it keeps each undeliverable record byte for byte, with the reason in headers.

The offset of an event may be committed only after ``park`` returned.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from bridge.dead_letters import stub
from bridge.errors import BrokerError, ParkError, RecordTooLarge
from bridge.formats.resent import NULL_VALUE, PREFIX
from bridge.kafka.producer import NewRecord
from bridge.model import Header, Record
from bridge.telemetry.scrub import scrub

_REASON_BYTES = 2_000
EVENT_INDEX = "event-index"
"""The detail that names which event of a record of several was parked (``Event.index``)."""
RAW_OF = "raw-of"
"""The detail that names what the value of a letter contains instead of a value: "record" or "batch"."""
LAST_OFFSET = "last-offset"
"""The detail that names the last offset of a letter that replaces several records."""


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
    The reason is added as ``hookferry-*`` headers, without secrets. Of a record that the topic does not
    accept, a stub is written if ``stubs`` is True (``park_oversize: stub``).
    """

    def __init__(self, producer: RecordWriter, topic: str, *, stubs: bool = False) -> None:
        self._producer = producer
        self._topic = topic
        self._stubs = stubs

    async def park(self, record: Record, reason: Reason) -> None:
        """Return once the dead-letter topic has the record, or its stub. Raises ``ParkError``."""
        facts = _facts(record, reason)
        try:
            await self._write(record, facts)
        except RecordTooLarge as exc:
            if self._stubs:
                await self._park_stub(record, facts)
                return
            raise ParkError(
                f"cannot park {record.place} in topic {self._topic!r}: {exc.cause}",
                f"{exc.remedy}; the write is repeated, and needs no restart then. Or set park_oversize: stub"
                " and restart, to keep a stub instead of the record",
            ) from exc
        except BrokerError as exc:
            raise ParkError(f"cannot park {record.place}: {exc}") from exc

    async def _park_stub(self, record: Record, facts: dict[str, str]) -> None:
        """Write the largest stub that the topic accepts. Raises ``ParkError``."""
        error: RecordTooLarge | None = None
        for budget in stub.BUDGETS:
            kept = stub.cut(record, budget)
            about = await asyncio.to_thread(stub.stub_facts, record, kept)
            try:
                await self._write(kept, stub.shorten_facts(facts) | about)
            except RecordTooLarge as exc:
                error = exc
            except BrokerError as exc:
                raise ParkError(f"cannot park a stub of {record.place}: {exc}") from exc
            else:
                return
        assert error is not None, "every budget was refused"
        raise ParkError(
            f"cannot park even a stub of {record.place} in topic {self._topic!r}: {error.cause}", error.remedy
        ) from error

    async def _write(self, record: Record, facts: Mapping[str, str]) -> None:
        headers: list[Header] = [
            *((name, value) for name, value in record.headers if not name.startswith(PREFIX)),
            *((f"{PREFIX}{name}", fact.encode("utf-8", "replace")) for name, fact in facts.items()),
        ]
        if record.key is None and record.value is None:
            headers.append((NULL_VALUE, b"yes"))
        await self._producer.write(NewRecord(self._topic, record.value, record.key, headers=headers))


def _facts(record: Record, reason: Reason) -> dict[str, str]:
    return {
        "cause": scrub(reason.cause)[:_REASON_BYTES],
        "remedy": scrub(reason.remedy),
        "topic": record.partition.topic,
        "partition": str(record.partition.number),
        "offset": str(record.offset),
        "timestamp-ms": str(record.timestamp_ms),
        "parked-at-ms": str(int(time.time() * 1000)),
        **({"endpoint": reason.endpoint} if reason.endpoint else {}),
        **reason.details,
    }
