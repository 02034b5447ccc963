"""Open the store that the settings name, and give it to one group."""

from __future__ import annotations

import structlog

from bridge.console.store.database import Database, Run
from bridge.console.store.schema import VERSION
from bridge.console.store.sqlite import SqliteDatabase
from bridge.settings.models.console import ConsoleSettings
from bridge.telemetry import events

_log = structlog.get_logger()
_FILE = "console.sqlite"
_SET = "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"


async def open_database(settings: ConsoleSettings) -> Database:
    """Open the store. Raises ``ConfigError``, ``StoreUnavailable``."""
    if settings.store is None:
        return SqliteDatabase(settings.folder / _FILE)
    from bridge.console.store.postgres import PostgresDatabase  # noqa: PLC0415 - asyncpg is an extra

    return await PostgresDatabase.open(settings.store.get_secret_value())


async def claim(database: Database, owner: str) -> None:
    """Empty the store if it has other tables, or the topics of another group or cluster."""
    known = {str(row[0]): row[1] for row in await database.fetch("SELECT name, value FROM meta")}
    wanted = {"owner": owner, "version": VERSION}
    if known and known != wanted:
        _log.warning(
            events.CONSOLE_REBUILT,
            cause=f"it belongs to {known.get('owner')}, version {known.get('version')}",
            remedy="none needed: it is rebuilt from the topics; name another folder to keep the old one",
        )
        await database.reset()
    if known != wanted:
        await database.change([Run(_SET, sorted(wanted.items()))])
