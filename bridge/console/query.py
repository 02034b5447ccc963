"""What the API and the pages ask the store for: which rows, and a page of them. Pure.

Invariant: a field of a query that is None selects all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows, and the cursor with which the next rows are read; None if there are none.

    A cursor is an opaque text. It stays valid while rows are added and deleted.
    """

    items: Sequence[T]
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class AttemptQuery:
    """Which attempts are searched; a field that is None selects all.

    ``type`` is a pattern such as ``Loan*``. ``status`` is a number, a class such as ``5xx``, or ``none`` for
    no answer. ``event`` is the id of an event or its ``webhook-id``. ``since_s`` and ``until_s`` bound
    [since, until) when the request was sent. ``text`` is searched in the reason, the URL, ids and bodies.
    """

    endpoint: str | None = None
    event: str | None = None
    type: str | None = None
    entity: str | None = None
    tenant: str | None = None
    since_s: float | None = None
    until_s: float | None = None
    status: str | None = None
    verdict: str | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class ParkedQuery:
    """Which parked events are listed. ``state`` is that of ``ParkedRow``, or ``all``."""

    endpoint: str | None = None
    type: str | None = None
    entity: str | None = None
    reason: str | None = None
    text: str | None = None
    since_s: float | None = None
    until_s: float | None = None
    state: str = "parked"
