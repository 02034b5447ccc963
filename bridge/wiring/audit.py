"""Record in ``<group>.control`` what a person changed, wherever it was done: by command, API or page.

Invariant: texts are scrubbed here, so the audit contains no secret.
"""

from __future__ import annotations

import time

from bridge.core import changes
from bridge.core.changes import Change
from bridge.core.instant import precise_instant
from bridge.core.switches import EventTypes, Subject, Switch, Switches, key_of
from bridge.settings import Settings
from bridge.telemetry.scrub import scrub
from bridge.wiring.kafka import build_control


def now() -> str:
    """Return the time as an RFC 3339 instant."""
    return precise_instant(time.time_ns() // 1_000_000)


def audit_record(change: Change) -> dict[bytes, bytes | None]:
    """Return the record of a change, by its key."""
    clean = change._replace(
        subject=scrub(change.subject), reason=scrub(change.reason), details=scrub(change.details)
    )
    return {changes.new_key(clean): clean.to_bytes()}


def switch_change(subject: Subject, switch: Switch) -> Change:
    """Return the change of a switch."""
    kind = "events" if isinstance(subject, EventTypes) else "endpoint"
    return Change(switch.since, switch.by, f"{kind} {switch.state}", str(subject), switch.reason)


def switch_records(subject: Subject, switch: Switch) -> dict[bytes, bytes | None]:
    """Return the records of a switch and of its change, which are written together."""
    return {key_of(subject): switch.to_bytes(), **audit_record(switch_change(subject, switch))}


async def record_change(settings: Settings, change: Change) -> None:
    """Write a change. Raises ``KafkaUnavailable``."""
    await write_control(settings, change.by, audit_record(change))


async def write_control(settings: Settings, who: str, records: dict[bytes, bytes | None]) -> None:
    """Write records to the control topic. Raises ``KafkaUnavailable``."""
    control = build_control(settings, Switches[str](), Switches[EventTypes](), who)
    await control.write_all(records)
