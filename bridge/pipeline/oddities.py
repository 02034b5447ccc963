"""Log and count what is odd about events that are handled all the same.

Invariant: a line per minute, source and kind at most; the counters count every case.
"""

from __future__ import annotations

import structlog

from bridge.core.dedupe import Claim
from bridge.formats import TYPE_BITS
from bridge.model import Event, Record, RedriveMark
from bridge.telemetry import events
from bridge.telemetry.metrics import Metrics
from bridge.telemetry.throttle import Throttle

_log = structlog.get_logger()


class Oddities:
    """Duplicates that differ from their first, and fields that could not be used."""

    def __init__(self, metrics: Metrics) -> None:
        self._differing = metrics.duplicates_differing
        self._refused = metrics.fields_refused
        self._throttle = Throttle()

    def see_duplicate(self, item: Event | RedriveMark, record: Record, first: Claim) -> None:
        """Report a dropped duplicate whose type or data differs from its first's. 0 is no digest."""
        if isinstance(item, RedriveMark) or item.resend is not None:
            return
        if item.digest == first.digest or not item.digest or not first.digest:
            return
        self._differing.labels(item.source).inc()
        key = "duplicate", item.source
        suppressed = self._throttle.suppressed(key)
        if not self._throttle.allows(key):
            return
        part = "type" if item.digest >> TYPE_BITS != first.digest >> TYPE_BITS else "data"
        _log.warning(
            events.EVENT_DUPLICATE_DIFFERED,
            source=item.source,
            place=record.place,
            first_place=f"{record.partition}@{first.offset}",
            event_id=item.id,
            event_type=item.type,
            more=suppressed,
            cause=f"it has the id of an earlier event, but another {part}; it was dropped as a duplicate",
            remedy=f"compare the two records; if they are two events, set sources.{item.source}.id to a place"
            " that differs per event",
        )

    def see_refused(self, event: Event) -> None:
        """Report the fields of an event that could not be used."""
        for field in event.refused:
            self._refused.labels(event.source, field.setting).inc()
            key = event.source, field.setting
            suppressed = self._throttle.suppressed(key)
            if not self._throttle.allows(key):
                continue
            _log.warning(
                events.EVENT_FIELD_REFUSED,
                source=event.source,
                place=event.origin.place,
                field=field.setting,
                value=field.value,
                instead=field.instead,
                more=suppressed,
                cause=f"the {field.setting} of the event cannot be used: {field.cause}",
                remedy=_remedy(event.source, field.setting),
            )


def _remedy(source: str, setting: str) -> str:
    if setting == "timestamp":
        return "correct the clock of the producer, or set message.timestamp.type=LogAppendTime on the topic"
    if setting == "time":
        return f"correct the producer, or where the format has them sources.{source}.time and time_unit"
    return f"correct the producer, or where the format has it sources.{source}.{setting}"
