"""Edge of step 3: the dedupe index, key -> first offset, in a SQLite file.

A cache of the log and nothing more: a file that is lost or damaged is replaced and read again from
Kafka. Edge floor; called from the event loop, microseconds per key, no fsync on the way. ``shelf`` is
what is known of one partition, ``file`` where it is kept.
"""

from __future__ import annotations

import sqlite3
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog

from bridge.core.dedupe import Claim, Stretch
from bridge.model import Partition
from bridge.storage.dedupe_index.file import MEMORY_REMEDY, connect, delete, open_index
from bridge.storage.dedupe_index.shelf import Shelf
from bridge.telemetry import events

_log = structlog.get_logger()
_DAMAGE = (sqlite3.Error, UnicodeDecodeError, TypeError, ValueError, OverflowError)
"""What reading a damaged file raises: its columns may hold anything."""


class IndexLostError(Exception):
    """The index had to begin anew in memory: what it covered must be read from the log again."""


class KeyIndex:
    """The dedupe index of all partitions of this process.

    A disk that fails or is full costs the file and no event: the index begins anew in memory, says
    so, and the next ``claim`` raises ``IndexLostError`` once.

    Keys are 128 bits of a hash, matched whole, so two keys do not pass for one. Writes gather in
    one transaction until ``flush``: after a crash, keys and cover are both as of the last flush.
    """

    def __init__(self, path: Path | None, *, window_s: float, max_keys: int) -> None:
        """Open the file; without a path, a temporary one of SQLite's own that goes with the process."""
        self._window_ms = int(window_s * 1000)
        self._max_keys = max_keys
        self._path = path
        self._db = open_index(path) if path is not None else connect("")
        self._shelves: dict[Partition, Shelf] = {}
        self._lost = False

    def covered(self, partition: Partition) -> Stretch | None:
        """Which stretch of the log it knows, or None. Raises ``IndexLostError``."""
        with self._or_in_memory():
            shelf = self._shelf(partition)
        return Stretch(shelf.start, shelf.end) if shelf.end > shelf.start else None

    def claim(self, partition: Partition, claims: Sequence[Claim], end: int, at_ms: int) -> list[int]:
        """The first offset of each claim's key, and remember them.

        The claims are those of the records up to ``end`` (the next offset to read), ascending;
        ``at_ms`` is the timestamp of the first of them: what is forgotten now must be a window older than
        each. Raises ``IndexLostError``.
        """
        if self._lost:
            self._lost = False
            raise IndexLostError
        with self._or_in_memory():
            return self._claim(partition, claims, end, at_ms)

    def _claim(self, partition: Partition, claims: Sequence[Claim], end: int, at_ms: int) -> list[int]:
        shelf = self._shelf(partition)
        if not shelf.began_ms:
            shelf.began_ms = at_ms
        if at_ms - shelf.began_ms > self._window_ms or shelf.keys + len(claims) > self._max_keys:
            shelf.turn(at_ms, claims[0].offset if claims else end)
        firsts = shelf.firsts(claims)
        shelf.end = max(shelf.end, end)
        shelf.save()
        return firsts

    def lend(
        self, partition: Partition, claims: Sequence[Claim], since: int, stretch: Stretch, at_ms: int
    ) -> list[int] | None:
        """``claim`` for a reader that is behind the one whose index this is: what is known is looked up.

        None where the index does not know the log from ``since`` up to the ``stretch`` of the claims: the
        asker needs one of its own. What lies beyond its cover, it learns by this.
        """
        if self._lost:
            return None
        try:
            shelf = self._shelf(partition)
            if not shelf.start <= since <= stretch.start <= shelf.end:
                return None
            passed = bisect_left(claims, shelf.end, key=lambda claim: claim.offset)
            known = shelf.known(claims[:passed])
            firsts = [known.get((high, low), offset) for high, low, offset in claims[:passed]]
            if stretch.end > shelf.end:
                firsts += self._claim(partition, claims[passed:], stretch.end, at_ms)
            return firsts
        except _DAMAGE as exc:
            self._begin_in_memory(exc)
            self._lost = True  # its own reader has yet to hear of it
            return None

    def reset(self, partition: Partition, offset: int) -> None:
        """Forget a partition and begin its cover at ``offset``: what it knew does not reach there.

        Raises ``IndexLostError``.
        """
        with self._or_in_memory():
            shelf = self._shelf(partition)
            shelf.clear(offset, 0)
            shelf.save()

    def forget(self) -> None:
        """Forget all partitions: what is known is of another log."""
        try:
            Shelf.forget_all(self._db)
        except _DAMAGE as exc:
            self._begin_in_memory(exc)
        self._shelves = {}
        self.flush()

    def flush(self) -> None:
        """Make what was claimed so far outlive this process."""
        try:
            if self._db.in_transaction:
                self._db.commit()
        except _DAMAGE as exc:
            self._begin_in_memory(exc)
            self._lost = True

    def close(self) -> None:
        """Flush and close the file."""
        self.flush()
        self._db.close()

    @contextmanager
    def _or_in_memory(self) -> Iterator[None]:
        try:
            yield
        except _DAMAGE as exc:
            self._begin_in_memory(exc)
            raise IndexLostError from exc

    def _begin_in_memory(self, exc: Exception) -> None:
        damaged = self._path is not None and not isinstance(exc, sqlite3.OperationalError)
        remedy = "none needed: it is read again from Kafka" if damaged else MEMORY_REMEDY
        _log.error(events.INDEX_FAILED, cause=str(exc), remedy=remedy)
        with suppress(sqlite3.Error):
            self._db.close()
        if damaged and self._path is not None:
            with suppress(OSError):
                delete(self._path)
        self._db = connect(":memory:")
        self._shelves = {}

    def _shelf(self, partition: Partition) -> Shelf:
        shelf = self._shelves.get(partition)
        if shelf is None:
            shelf = self._shelves[partition] = Shelf.of(self._db, partition)
        return shelf
