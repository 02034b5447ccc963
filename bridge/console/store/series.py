"""The combinations of endpoint, type, tenant, status and verdict that occur among the attempts. Pure.

Invariant: a combination has one id, which never changes while the store exists.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from bridge.console.query import AttemptQuery
from bridge.console.store.database import Row

NO_ANSWER = 0
"""The status in the store of an attempt that had no answer."""
DELIVERED = "delivered"


class Series(NamedTuple):
    """One combination. ``tenant`` is empty if the events have none."""

    endpoint: str
    type: str
    tenant: str
    status: int
    verdict: str

    def matches(self, query: AttemptQuery) -> bool:
        """Return True if its attempts are selected, as far as these five values decide it."""
        return (
            query.endpoint in (None, self.endpoint)
            and query.verdict in (None, self.verdict)
            and (query.tenant is None or query.tenant == self.tenant)
            and (query.type is None or fnmatchcase(self.type, query.type))
            and (query.status is None or _has_status(self.status, query.status.lower()))
        )


def _has_status(status: int, wanted: str) -> bool:
    if status == NO_ANSWER or wanted == "none":
        return status == NO_ANSWER and wanted == "none"
    return all(want in ("x", digit) for want, digit in zip(wanted, str(status), strict=False))


def is_narrow(query: AttemptQuery) -> bool:
    """Return True if a query selects series at all."""
    return any((query.endpoint, query.verdict, query.tenant, query.type, query.status))


SELECT_SERIES = "SELECT id, endpoint, type, tenant, status, verdict FROM series"
Facts = tuple[str, str, str, int, str]


class KnownSeries:
    """All combinations by id, and the ids of new ones."""

    def __init__(self) -> None:
        self._ids: dict[Facts, int] = {}
        self._by_id: dict[int, Series] = {}
        self.last = 0
        """The largest id; 0 without any."""
        self.added: list[tuple[int, str, str, str, int, str]] = []
        """The rows of those that the store does not have."""

    def grow(self, rows: Sequence[Row]) -> bool:
        """Add the rows of the store from ``last`` on, by id; return False if they are of another store."""
        if self.last and (not rows or self._by_id[self.last] != rows[0][1:]):
            return False
        for row in rows:
            self._put(row[0], row[1:])
        return True

    def _put(self, number: int, facts: Any) -> None:
        self._ids[facts] = number
        self._by_id[number] = Series(*facts)
        self.last = max(self.last, number)

    def id_of(self, facts: Facts) -> int:
        """Return the id of a combination; a new one is added."""
        known = self._ids.get(facts)
        if known is None:
            known = self.last + 1
            self._put(known, facts)
            self.added.append((known, *facts))
        return known

    def matching(self, query: AttemptQuery) -> list[int]:
        """Return the ids of all that a query selects."""
        return [number for number, series in self._by_id.items() if series.matches(query)]

    def by_id(self) -> Mapping[int, Series]:
        """Return all by their id."""
        return self._by_id
