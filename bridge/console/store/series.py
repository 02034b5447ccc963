"""The combinations of endpoint, type, tenant, status and verdict that occur among the attempts. Pure.

Invariant: a combination has one id, which never changes while the store exists.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import NamedTuple

from bridge.console.views import AttemptQuery

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


class KnownSeries:
    """All combinations by id, and the ids of new ones."""

    def __init__(self, rows: Iterable[tuple[int, str, str, str, int, str]] = ()) -> None:
        self._ids = {Series(*row[1:]): row[0] for row in rows}
        self._next = max(self._ids.values(), default=0) + 1
        self.added: list[tuple[int, str, str, str, int, str]] = []
        """The rows of those that the store does not have."""

    def id_of(self, series: tuple[str, str, str, int, str]) -> int:
        """Return the id of a combination; a new one is added."""
        known = self._ids.get(series)  # type: ignore[call-overload]  # a NamedTuple equals its tuple
        if known is not None:
            return int(known)
        number, self._next = self._next, self._next + 1
        self._ids[Series(*series)] = number
        self.added.append((number, *series))
        return number

    def matching(self, query: AttemptQuery) -> list[int]:
        """Return the ids of all that a query selects."""
        return [number for series, number in self._ids.items() if series.matches(query)]

    def __getitem__(self, number: int) -> Series:
        return next(series for series, known in self._ids.items() if known == number)

    def by_id(self) -> dict[int, Series]:
        """Return all by their id."""
        return {number: series for series, number in self._ids.items()}
