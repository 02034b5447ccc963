"""Store the first event of each idempotency key, its offset and digest, in a SQLite file.

The index is a cache of the log: a lost or damaged file is replaced, and filled again from Kafka. It is
called from the event loop, takes microseconds per key, and mostly a thread waits for the disk in its place.
``shelf.py`` contains the keys of one partition, ``file.py`` opens the file and copies its log of changes.
Invariant: within the covered stretch of the log, every key is in the index.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog

from bridge.core.dedupe import Claim, Stretch, log_time_ms
from bridge.model import Partition
from bridge.storage.dedupe_index.file import MEMORY_REMEDY, connect, copy_changes, delete, file_of, open_index
from bridge.storage.dedupe_index.shelf import Shelf
from bridge.telemetry import events

_log = structlog.get_logger()
_DAMAGE = (sqlite3.Error, UnicodeDecodeError, TypeError, ValueError, OverflowError)
"""What reading a damaged file raises: its columns may contain anything."""
_PIECE = 512
"""Claims after which a transaction is committed. Each key is in a page of its own, so a commit of all claims
between two flushes would hold the event loop for 10 ms and more."""
_COPIED_AFTER = 4_000
"""Claims after which the changes are copied into the file. Each copy is two waits for the disk, of which
others on it see something, and a page that changed often is copied once."""
_MOST_CHANGES = 16_000
"""Pages of changes, 64 MB, after which the event loop waits until the file contains all of them."""


class IndexLostError(Exception):
    """The index was replaced by an empty one in memory: its stretch must be read from the log again."""


class KeyIndex:
    """The dedupe index of all partitions of this process.

    If the disk fails or is full, no event is lost: the index begins again in memory, logs that, and the
    next ``claim`` raises ``IndexLostError`` once.

    Keys are 128 bits of a hash and are compared in full. After a crash, keys and covered stretch are both as
    of the same claim, at the latest the last one before ``flush``.
    """

    def __init__(
        self, path: Path | None, *, window_s: float, max_keys: int, now: Callable[[], float] = time.time
    ) -> None:
        """Open the file, or without a path a temporary one that SQLite deletes with the process.

        ``window_s``: seconds for which a key is remembered at least. ``max_keys``: per partition.
        ``now``: seconds since 1970, which bound the timestamps of records.
        """
        self._now = now
        self._window_ms = int(window_s * 1000)
        self._max_keys = max_keys
        self._path = path
        self._db = open_index(path) if path is not None else connect("")
        self._shelves: dict[Partition, Shelf] = {}
        self._unsaved: set[Shelf] = set()
        """Shelves whose covered stretch has moved since the last commit, which writes it once."""
        self._uncommitted = self._uncopied = 0
        """Claims since the last commit, and since changes were last copied into the file."""
        self._lost = False

    @property
    def keys(self) -> int:
        """The keys of the current tables of the partitions in use; an older table may have as many."""
        return sum(shelf.keys for shelf in self._shelves.values())

    @property
    def size_bytes(self) -> int:
        """The size of the database; 0 if it cannot be read."""
        with suppress(*_DAMAGE):
            pages = self._db.execute("PRAGMA page_count").fetchone()[0]
            return int(pages * self._db.execute("PRAGMA page_size").fetchone()[0])
        return 0

    def covered(self, partition: Partition) -> Stretch | None:
        """Return the stretch of the log in the index, or None. Raises ``IndexLostError``."""
        with self._or_in_memory():
            shelf = self._shelf(partition)
        return Stretch(shelf.start, shelf.end) if shelf.end > shelf.start else None

    def claim(self, partition: Partition, claims: Sequence[Claim], end: int, at_ms: int) -> list[Claim]:
        """Add the claims, and return the first event of each one's key. Raises ``IndexLostError``.

        ``claims`` are those of the records up to ``end`` (the next offset to read), ascending.
        ``at_ms`` is the earliest timestamp of these records: keys are forgotten when they are one window
        older than that and than the seven batches before. A timestamp that is ahead of the bridge's
        clock, or not positive, counts as now.
        """
        if self._lost:
            self._lost = False
            raise IndexLostError
        with self._or_in_memory():
            firsts = self._claim(partition, claims, end, at_ms)
            if self._uncommitted >= _PIECE:
                self._commit()
            return firsts

    def _claim(self, partition: Partition, claims: Sequence[Claim], end: int, at_ms: int) -> list[Claim]:
        shelf = self._shelf(partition)
        now_ms = int(self._now() * 1000)
        at_ms = shelf.log_time(log_time_ms(at_ms, now_ms))
        if not 0 < shelf.began_ms <= now_ms:  # new, or this machine's clock was ahead
            shelf.began_ms = at_ms
        if at_ms - shelf.began_ms > self._window_ms or shelf.keys + len(claims) > self._max_keys:
            shelf.turn(at_ms, claims[0].offset if claims else end)
        firsts = shelf.firsts(claims)
        self._uncommitted += len(claims)
        shelf.end = max(shelf.end, end)
        self._unsaved.add(shelf)
        return firsts

    def lend(
        self, partition: Partition, claims: Sequence[Claim], since: int, stretch: Stretch, at_ms: int
    ) -> list[Claim] | None:
        """Claim for a side reader, which follows the main reader: look up what the index covers.

        Return None if the index does not cover the log from ``since`` to the ``stretch`` of the claims;
        the side reader then needs an index of its own. Claims beyond the covered stretch are added.
        """
        if self._lost:
            return None
        try:
            shelf = self._shelf(partition)
            if not shelf.start <= since <= stretch.start <= shelf.end:
                return None
            passed = bisect_left(claims, shelf.end, key=lambda claim: claim.offset)
            known = shelf.known(claims[:passed])
            firsts = [known.get((claim.key_high, claim.key_low), claim) for claim in claims[:passed]]
            if stretch.end > shelf.end:
                firsts += self._claim(partition, claims[passed:], stretch.end, at_ms)
            return firsts
        except _DAMAGE as exc:
            self._begin_in_memory(exc)
            self._lost = True  # the next claim of the main reader raises
            return None

    def reset(self, partition: Partition, offset: int) -> None:
        """Forget a partition, and begin its covered stretch at ``offset``. Raises ``IndexLostError``."""
        with self._or_in_memory():
            shelf = self._shelf(partition)
            shelf.clear(offset, 0)
            shelf.save()

    def identify(self, partition: Partition, topic_id: str) -> None:
        """Forget the partition if what is stored is of a topic with another id. Raises ``IndexLostError``."""
        row = (partition.topic, partition.number)
        with self._or_in_memory():
            known = self._db.execute("SELECT topic_id FROM logs WHERE topic=? AND number=?", row).fetchone()
            if known is not None and known[0] != topic_id:
                shelf = self._shelf(partition)
                shelf.clear(0, 0)
                shelf.save()
            self._db.execute("INSERT OR REPLACE INTO logs VALUES (?, ?, ?)", (*row, topic_id))

    def forget(self) -> None:
        """Forget all partitions: the index belongs to another log."""
        try:
            Shelf.forget_all(self._db)
        except _DAMAGE as exc:
            self._begin_in_memory(exc)
        self._shelves = {}
        self._unsaved.clear()
        self.flush()

    def flush(self) -> None:
        """Commit the transaction, so that the claims outlive this process."""
        try:
            self._commit()
        except _DAMAGE as exc:
            self._begin_in_memory(exc)
            self._lost = True

    async def write(self) -> None:
        """Do that, and let a thread copy the changes into the file if there are many."""
        self.flush()
        if self._uncopied < _COPIED_AFTER:
            return
        self._uncopied, db = 0, self._db
        if (file := file_of(db)) is None:
            return
        try:
            changes = await asyncio.to_thread(copy_changes, file)
            if changes >= _MOST_CHANGES and db is self._db:  # all but the last ones are copied
                self._commit()
                db.execute("PRAGMA wal_checkpoint(PASSIVE)")
        except _DAMAGE as exc:
            if db is self._db:
                self._begin_in_memory(exc)
                self._lost = True

    def _commit(self) -> None:
        for shelf in self._unsaved:
            shelf.save()
        self._unsaved.clear()
        if self._db.in_transaction:
            self._db.commit()
        self._uncopied += self._uncommitted
        self._uncommitted = 0

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
        self._unsaved.clear()

    def _shelf(self, partition: Partition) -> Shelf:
        shelf = self._shelves.get(partition)
        if shelf is None:
            shelf = self._shelves[partition] = Shelf.of(self._db, partition)
        return shelf
