"""Park an event: write it to the dead-letter topic before its offset is committed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import structlog

from bridge.core.ordering_key import lane_id
from bridge.dead_letters.durable_write import write_durably
from bridge.dead_letters.letter import REPEATS_FACT, STORED_FACT
from bridge.dead_letters.topic import EVENT_INDEX, Reason
from bridge.errors import ParkDeferred, ParkError
from bridge.formats.stored_request import write_stored
from bridge.model import Event, Record, Resend
from bridge.telemetry import events
from bridge.telemetry.sparse_log import SparseLog

_log = structlog.get_logger()


class DeadLetterWriter(Protocol):
    """Writes events that cannot be delivered (``bridge.dead_letters.topic.DeadLetterTopic``)."""

    async def park(self, record: Record, reason: Reason) -> None:
        """Return once the record is acknowledged. Raises ``ParkError``."""
        ...


def letter_facts(event: Event, attempts: int, status: int = 0) -> dict[str, str]:
    """Return what a dead letter records about its event, in addition to the reason.

    ``status`` is that of the last answer; 0 without one.
    """
    return {
        "event-id": event.id,
        "event-type": event.type,
        "webhook-id": event.webhook_id,
        "attempts": str(attempts),
        **({"status": str(status)} if status else {}),
        "event-time": event.time,
        "time-source": event.time_source,
        **({EVENT_INDEX: str(event.index)} if event.index else {}),
        **({"entity": event.entity} if event.entity is not None else {}),
        **({"tenant": event.tenant} if event.tenant is not None else {}),
        **({"lane": lane_id(event.lane)} if event.lane is not None else {}),
        **(resend_facts(event.resend) if event.resend is not None else {}),
    }


def resend_facts(resend: Resend) -> dict[str, str]:
    """Return what a dead letter needs to be sent again as it was: the request, and the attempt it is of."""
    return {
        **({STORED_FACT: write_stored(resend.stored)} if resend.stored is not None else {}),
        **({REPEATS_FACT: resend.repeats} if resend.repeats else {}),
    }


async def park_durably(
    writer: DeadLetterWriter,
    record: Record,
    reason: Reason,
    keep_trying: Callable[[], bool],
    sparse_log: SparseLog,
    deferred: set[str] | None = None,
) -> bool:
    """Park a record, and retry until it is acknowledged; return True then.

    Return False if ``keep_trying()`` returned False first: the next owner of the partition parks it. With
    ``deferred``, raise ``ParkDeferred`` for a record that waits for an operator, so that the caller waits for
    nothing. ``deferred`` has the places of such records, each of which is logged once. ``sparse_log``
    writes what is said of the topic, which may refuse many records at once.
    """
    attempts = 0

    async def park() -> None:
        nonlocal attempts
        attempts += 1
        try:
            await writer.park(record, reason)
        except ParkError as exc:
            if deferred is None or not exc.remedy:
                raise
            if record.place not in deferred:
                deferred.add(record.place)
                sparse_log.error(events.PARKING_FAILED, place=record.place, cause=str(exc), remedy=exc.remedy)
            raise ParkDeferred(str(exc)) from exc

    parked = await write_durably(
        park, ParkError, keep_trying, sparse_log, events.PARKING_FAILED, place=record.place
    )
    was_deferred = deferred is not None and record.place in deferred
    if deferred is not None and parked:
        deferred.discard(record.place)
    if parked and (attempts > 1 or was_deferred):
        sparse_log.info(events.PARKING_RECOVERED, place=record.place)
    if parked and reason.logged:
        _log.warning(
            events.EVENT_PARKED,
            endpoint=reason.endpoint,
            place=record.place,
            cause=reason.cause,
            remedy=reason.remedy,
        )
    return parked
