"""Events for the tests of presets: any payload with any type, without a record."""

from __future__ import annotations

from typing import Any

from bridge.model import Event, Partition, Record

ID = "abda146d-68b5-48ca-b527-16d2b7c5daef"


def event_of(
    type: str = "LoanApprovedBusinessEvent",
    data: Any = None,
    *,
    entity: str | None = "42",
    tenant: str | None = "default",
    id: str = ID,
    source: str = "fineract",
    business_date: str = "2026-06-29",
) -> Event:
    """Return an event like a decoder."""
    record = Record(Partition("external-events", 0), 7, 1_782_720_930_123, b"key", b"value")
    return Event(
        record=record,
        source=source,
        id=id,
        type=type,
        time="2026-06-29T08:15:30.123Z",
        entity=entity,
        tenant=tenant,
        lane=None,
        payload=lambda: data,
        context={"businessDate": business_date} if business_date else {},
        webhook_id=ID,
    )
