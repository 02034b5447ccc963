"""An attempt on its way to the topic: what is its own, and what it has in common with most others. Pure.

Most attempts of an endpoint are answered alike. What follows from that is computed once, and kept once for
all of them. Invariant: a row contains no secret, and nothing of it changes but the time of ``Common.later``.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, NamedTuple, TypeAlias

from bridge.history.attempt import Later

Row: TypeAlias = tuple[Any, ...]
"""The values of an ``Entry`` or a ``Common``, in its order: a plain tuple is made faster."""


class Common(NamedTuple):
    """What an attempt usually has in common with the one before. Its fields are those of ``Attempt``."""

    method: str
    url: str
    status: int | None
    verdict: str
    reason: str
    body_sha256: str | None
    body_masked: bool | None
    own_headers: int | None
    again_id: str | None
    repeats: str | None
    origin: str | None
    origin_ms: int | None
    answer_headers: bytes | None
    answer_body: bytes | None
    later: Later | None


class Entry(NamedTuple):
    """One attempt: fields of ``Attempt``, the values of a ``Common``, and what all of it uses in memory.

    ``size_bytes`` is that of ``bridge.history.pool.size_of``.
    """

    sent_s: float
    answered_s: float
    event_id: str
    webhook_id: str
    type: str
    entity: str | None
    tenant: str | None
    topic: str
    partition: int
    offset: int
    event_index: int
    event_time: str
    appended_ms: int
    attempt: int
    body_bytes: int
    trace_id: str | None
    lane: Hashable | None
    headers: bytes
    body: bytes | None
    common: Row
    size_bytes: int


OWN = Entry._fields[:-2]
"""The fields that an attempt does not have in common with others."""


def marked(row: Row, again_id: str) -> Row:
    """Return a row with another ``again_id``."""
    entry = Entry(*row)
    return entry._replace(common=Common(*entry.common)._replace(again_id=again_id))


def without_bodies(row: Row) -> Row | None:
    """Return a row without the bodies of request and answer; None if it has neither."""
    entry = Entry(*row)
    common = Common(*entry.common)
    if entry.body is None and common.answer_body is None:
        return None
    return entry._replace(body=None, common=common._replace(answer_body=None))
