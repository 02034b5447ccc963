"""Parking: what cannot be delivered is safe in the dead-letter topic before its offset moves.

Between the path and ``bridge/dead_letters/topic.py``, which writes the dead letters.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import structlog

from bridge.core.ordering_key import lane_id
from bridge.dead_letters.durable_write import tries_until_safe
from bridge.dead_letters.topic import EVENT_INDEX, Reason
from bridge.errors import ParkError
from bridge.model import Event, Record
from bridge.telemetry import events

_log = structlog.get_logger()


class Parks(Protocol):
    """Where undeliverable events go."""

    async def park(self, record: Record, reason: Reason) -> None:
        """Return when the record is safe; raise ``ParkError`` when it is not."""
        ...


def facts_of(event: Event, attempts: int) -> dict[str, str]:
    """What a dead letter tells of its event, beside why it is one."""
    return {
        "event-id": event.id,
        "event-type": event.type,
        "webhook-id": event.webhook_id,
        "attempts": str(attempts),
        **({EVENT_INDEX: str(event.index)} if event.index else {}),
        **({"entity": event.entity} if event.entity is not None else {}),
        **({"tenant": event.tenant} if event.tenant is not None else {}),
        **({"lane": lane_id(event.lane)} if event.lane is not None else {}),
    }


async def park_until_safe(
    parks: Parks, record: Record, reason: Reason, keep_trying: Callable[[], bool]
) -> bool:
    """Park, and try again until it worked: its offset may not move before. Says so once.

    False when it did not work and ``keep_trying`` says no: whoever has the partition next parks it.
    """
    tries = await tries_until_safe(
        lambda: parks.park(record, reason),
        ParkError,
        keep_trying,
        events.PARKING_FAILED,
        place=record.place,
    )
    if tries > 1:
        _log.info(events.PARKING_RECOVERED, place=record.place)
    if tries and reason.logged:
        _log.warning(
            events.EVENT_PARKED,
            endpoint=reason.endpoint,
            place=record.place,
            cause=reason.cause,
            remedy=reason.remedy,
        )
    return tries > 0
