"""What the store needs of a database: rows of a query, and changes in one transaction with a position.

SQL is written once: parameters are ``?``, and both databases understand the rest. How a query is run for each
of many numbers differs, so ``fetch_each`` does that.

Invariant: changes of a topic are applied only if its position is still the one that they follow. So a process
that was killed, and two consoles with the same database, lose and repeat nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

Row = tuple[Any, ...]


class Insert(NamedTuple):
    """Rows for a table, each with a value per column."""

    table: str
    columns: tuple[str, ...]
    rows: Sequence[Row]


class Run(NamedTuple):
    """A statement, and its parameters for each time that it is run."""

    sql: str
    rows: Sequence[Row]


Change = Insert | Run


class Position(NamedTuple):
    """How far a topic is in the store: ``state`` is JSON, ``version`` counts its changes."""

    version: int
    state: str


class Database(Protocol):
    """SQLite or PostgreSQL. Methods raise ``StoreUnavailable``, also ``RowsRefused``."""

    async def fetch(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Return the rows of a query."""
        ...

    async def fetch_each(
        self, sql: str, numbers: Sequence[int], parameters: Sequence[object] = ()
    ) -> list[Row]:
        """Return the rows of a query for each number, which is its first parameter."""
        ...

    async def position(self, topic: str) -> Position | None:
        """Return how far a topic is; None if nothing of it is in the store."""
        ...

    async def apply(self, topic: str, version: int, state: str, changes: Sequence[Change]) -> bool:
        """Apply changes and set the position of a topic, in one transaction.

        ``version`` is the one that ``position`` returned, 0 without one. Return False, and change nothing,
        if another console has changed it meanwhile.
        """
        ...

    async def change(self, changes: Sequence[Change]) -> None:
        """Apply changes that belong to no position, such as the end of retention, in one transaction."""
        ...

    async def reset(self) -> None:
        """Delete everything, and create empty tables."""
        ...

    async def size_bytes(self) -> int:
        """Return how large the data is."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


def places(number: int) -> str:
    """Return so many parameters, for ``IN (…)``."""
    return ", ".join("?" * number)
