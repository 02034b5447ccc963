"""The tables of the store. They are the same in SQLite and PostgreSQL, but for the names of three types.

``series`` are the combinations of endpoint, type, tenant, status and verdict that occur. Attempts refer to
them, so one index by series and time serves every filter by these. ``id`` counts attempts in the order in
which they were stored. Ids of events are indexed within stretches of ``id`` (``STRETCH``): an insertion then
touches a few pages, however large the table is, and a search looks into every stretch.
"""

from __future__ import annotations

VERSION = "2"
"""Of the tables: a store with another version is rebuilt from the topics."""
STRETCH = 18
"""Bits of ``id`` within a stretch: 262,144 attempts."""

TABLES = (
    "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS positions"
    " (topic TEXT PRIMARY KEY, version {int} NOT NULL, state TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS series (id {key}, endpoint TEXT NOT NULL, type TEXT NOT NULL,"
    " tenant TEXT NOT NULL, status {int} NOT NULL, verdict TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS batches (id {key}, part {int} NOT NULL, place {int} NOT NULL,"
    " endpoint TEXT NOT NULL, first_ms {int} NOT NULL, last_ms {int} NOT NULL,"
    " first_id {int} NOT NULL, value {bytes} NOT NULL)",
    "CREATE UNIQUE INDEX IF NOT EXISTS batches_place ON batches (part, place)",
    "CREATE INDEX IF NOT EXISTS batches_endpoint ON batches (endpoint, part, place)",
    "CREATE INDEX IF NOT EXISTS batches_last ON batches (last_ms)",
    "CREATE TABLE IF NOT EXISTS attempts (id {key}, sent_ms {int} NOT NULL, series {int} NOT NULL,"
    " batch {int} NOT NULL, entry {int} NOT NULL, took_ms {int} NOT NULL, event_id TEXT NOT NULL,"
    " webhook_id TEXT NOT NULL, entity TEXT, attempt {int} NOT NULL, reason TEXT NOT NULL, next_ms {int},"
    " place TEXT NOT NULL, appended_ms {int} NOT NULL, body_bytes {int} NOT NULL, again_id TEXT)",
    "CREATE INDEX IF NOT EXISTS attempts_sent ON attempts (sent_ms, id)",
    "CREATE INDEX IF NOT EXISTS attempts_series ON attempts (series, sent_ms, id)",
    "CREATE INDEX IF NOT EXISTS attempts_event ON attempts ((id >> 18), event_id)",
    "CREATE INDEX IF NOT EXISTS attempts_webhook ON attempts ((id >> 18), webhook_id)",
    "CREATE INDEX IF NOT EXISTS attempts_entity ON attempts ((id >> 18), entity)",
    "CREATE TABLE IF NOT EXISTS minutes (endpoint TEXT NOT NULL, minute {int} NOT NULL,"
    " attempts {int} NOT NULL, delivered {int} NOT NULL, PRIMARY KEY (endpoint, minute))",
    "CREATE TABLE IF NOT EXISTS latencies (endpoint TEXT NOT NULL, minute {int} NOT NULL,"
    " bucket {int} NOT NULL, number {int} NOT NULL, PRIMARY KEY (endpoint, minute, bucket))",
    "CREATE TABLE IF NOT EXISTS parked (part {int} NOT NULL, place {int} NOT NULL, parked_ms {int} NOT NULL,"
    " state TEXT NOT NULL, endpoint TEXT, event_id TEXT, webhook_id TEXT, type TEXT, entity TEXT,"
    " tenant TEXT, lane TEXT, cause TEXT NOT NULL, facts TEXT NOT NULL, origin TEXT NOT NULL,"
    " settled TEXT NOT NULL, PRIMARY KEY (part, place))",
    "CREATE INDEX IF NOT EXISTS parked_state ON parked (state, parked_ms, part, place)",
    "CREATE INDEX IF NOT EXISTS parked_time ON parked (parked_ms, part, place)",
    "CREATE INDEX IF NOT EXISTS parked_event ON parked (event_id)",
    "CREATE INDEX IF NOT EXISTS parked_webhook ON parked (webhook_id)",
    "CREATE TABLE IF NOT EXISTS control"
    " (name TEXT {order} PRIMARY KEY, kind TEXT NOT NULL, value {bytes} NOT NULL, token TEXT)",
    "CREATE INDEX IF NOT EXISTS control_kind ON control (kind, name)",
    "CREATE INDEX IF NOT EXISTS control_token ON control (token)",
)
NAMES = (
    "meta", "positions", "series", "batches", "attempts", "minutes", "latencies", "parked", "control",
)  # fmt: skip
