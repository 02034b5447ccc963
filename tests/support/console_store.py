"""Stores of the console for tests, filled through the same intake as from Kafka."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bridge.console.intakes import AttemptsIntake, ControlIntake, ParkedIntake
from bridge.console.store.database import Database
from bridge.model import Record

TOPIC = "g.attempts"


async def store_records(database: Database, intake: Any, topic: str, records: Sequence[Record]) -> bool:
    """Store records from where the store is; return False if another console was faster."""
    position = await database.position(topic)
    await intake.load(None if position is None else position.state)
    taken = intake.take(records)
    version = 0 if position is None else position.version
    return await database.apply(topic, version, taken.state, taken.changes)


async def store_attempts(database: Database, *records: Record) -> bool:
    """Store records of the history."""
    return await store_records(database, AttemptsIntake(database), TOPIC, records)


async def store_parked(database: Database, *records: Record) -> bool:
    """Store records of the dead-letter topic."""
    return await store_records(database, ParkedIntake(), "g.parked", records)


async def store_control(database: Database, *records: Record) -> bool:
    """Store records of the control topic."""
    return await store_records(database, ControlIntake(database), "g.control", records)
