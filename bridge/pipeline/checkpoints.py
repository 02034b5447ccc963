"""Keep the cursors of an assignment, and settle events at them; ``commits.py`` commits them.

Invariant: what settles at a cursor of the assignment is in the journal, next to a commit that the broker may
have of this cursor. At a cursor of an earlier assignment, nothing settles.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Iterator

from bridge.core.memory_budget import MemoryBudget, Share
from bridge.model import Partition
from bridge.pipeline.changed_cursors import ChangedCursors
from bridge.pipeline.cursor_loader import CursorsByPartition, Loaded, TopicIdByName
from bridge.pipeline.cursor_start import EndpointCursor
from bridge.pipeline.packing import Checkpoint
from bridge.storage.journal import Journal


class Checkpoints:
    """All cursors of the current assignment, by partition and endpoint.

    A cursor is committed as an offset and a completion map, and ``cursor_loader.py`` loads it from
    both. A restart or a rebalance therefore repeats nothing that settled before the last commit. The
    journal adds what settled after it, for the next process on the same disk.
    """

    def __init__(
        self, endpoints: Collection[str], journal: Journal, budget: MemoryBudget | None = None
    ) -> None:
        self._journal = journal
        self._budget = budget or MemoryBudget()
        self._shares: dict[str, Share] = {}
        self.known: dict[EndpointCursor, Checkpoint] = {}
        """What the broker and the journal have of each cursor of the assignment."""
        self.changed = ChangedCursors()
        """The cursors that the broker has yet to get."""
        self.room = asyncio.Event()
        """Set when a full cursor reopens. The main reader clears it before it waits."""
        self.room_behind: dict[str, asyncio.Event] = {}
        """By endpoint: set when a full, detached cursor reopens. ``CatchUp`` clears it."""
        self.cursors: CursorsByPartition = {}
        self.revision = 0
        """Increases when cursors come, or leave the main reader. Otherwise each moves forward with it."""
        for endpoint in endpoints:
            self.admit(endpoint)

    def admit(self, endpoint: str) -> None:
        """Expect cursors of an endpoint from now on."""
        self._shares[endpoint] = self._budget.share(endpoint)
        self.room_behind[endpoint] = asyncio.Event()

    def add(self, loaded: Loaded) -> None:
        """Commit cursors of admitted endpoints, too; they are detached, so that a side reader begins.

        Their partitions must be the ones that have cursors now.
        """
        for partition, by_endpoint in loaded.cursors.items():
            for cursor in by_endpoint.values():
                cursor.detach()
            self.cursors[partition].update(by_endpoint)
        self._register(loaded)

    def dismiss(self, endpoint: str) -> None:
        """End an endpoint's cursors: what settles for it from now on is not committed."""
        for by_endpoint in self.cursors.values():
            cursor = by_endpoint.pop(endpoint, None)
            if cursor is not None:
                cursor.end()
                del self.known[cursor]
        self._shares.pop(endpoint, None)
        self.room_behind.pop(endpoint, None)

    def install(self, loaded: Loaded) -> None:
        """Commit these cursors from now on, in place of the earlier ones of their partitions."""
        for partition in loaded.cursors:
            for replaced in self.cursors.get(partition, {}).values():
                replaced.end()
                del self.known[replaced]
        self.cursors.update(loaded.cursors)
        self._register(loaded)

    def _register(self, loaded: Loaded) -> None:
        self.revision += 1
        self._journal.begin_segment()
        for cursor, committed in loaded.committed.items():
            topic_id = loaded.topic_ids.get(cursor.partition.topic)
            self.known[cursor] = Checkpoint(committed, topic_id, committed)
            cursor.report_changes(self.changed.add)  # the commit of one at rest expires: it is renewed now

    def replace(self, cursor: EndpointCursor) -> EndpointCursor:
        """Commit this cursor from now on, in place of the one of its endpoint in its partition.

        Return that one, which has ended.
        """
        self.revision += 1
        by_endpoint = self.cursors[cursor.partition]
        replaced = by_endpoint[cursor.endpoint]
        replaced.end()
        topic_id = self.known.pop(replaced).topic_id
        by_endpoint[cursor.endpoint] = cursor
        self.known[cursor] = Checkpoint(None, topic_id, None)
        cursor.report_changes(self.changed.add)
        return replaced

    def detach(self, cursor: EndpointCursor) -> None:
        """Let the main reader pass a cursor from now on."""
        cursor.detach()
        self.revision += 1

    def clear(self) -> None:
        """End all cursors: nothing settles at them from now on."""
        for cursor in self.all():
            cursor.end()
        self.cursors, self.known = {}, {}
        self.changed.clear()

    def drop_others(self, topic_ids: TopicIdByName) -> list[Partition]:
        """Drop the cursors whose topic was deleted or recreated, and return their partitions.

        ``topic_ids``: of all topics of the assignment that exist.
        """
        dropped = []
        for partition, by_endpoint in list(self.cursors.items()):
            current = topic_ids.get(partition.topic)
            known = {self.known[cursor].topic_id for cursor in by_endpoint.values()}
            if partition.topic in topic_ids and (current is None or known <= {current, None}):
                continue
            for cursor in self.cursors.pop(partition).values():
                cursor.end()
                del self.known[cursor]
            dropped.append(partition)
        return dropped

    def all(self) -> Iterator[EndpointCursor]:
        """Return every cursor of the assignment."""
        return (cursor for cursors in self.cursors.values() for cursor in cursors.values())

    def of(self, endpoint: str) -> list[EndpointCursor]:
        """Return the cursors of an endpoint, one per partition."""
        return [cursors[endpoint] for cursors in self.cursors.values() if endpoint in cursors]

    def uncommitted(self) -> list[EndpointCursor]:
        """Return the cursors of which the broker has nothing."""
        return [cursor for cursor, known in self.known.items() if known.committed is None]

    def unsettled(self, endpoint: str) -> int:
        """Return how many events are read and not settled for an endpoint."""
        return sum(cursor.unsettled for cursor in self.of(endpoint))

    def waiting_bytes(self, endpoint: str) -> int:
        """Return the memory of the events that wait for an endpoint, shared ones included."""
        return self._budget.share(endpoint).bytes

    def settle(self, cursor: EndpointCursor, offset: int, size_bytes: int, part: int = 0) -> None:
        """Settle one event at this offset. Does nothing once the assignment has ended."""
        if not cursor.live:
            return
        settled = cursor.settle(offset, size_bytes, part)
        if settled is not None:
            checkpoint, journal = self.known[cursor], self._journal
            if checkpoint.segment != journal.segment:
                checkpoint.declare(journal, cursor)
            if not journal.record_settled(checkpoint.number, offset, settled):
                checkpoint.declare(journal, cursor)
                journal.record_settled(checkpoint.number, offset, settled)
        if cursor.full or cursor.share.is_pressed:
            self._make_room(cursor)

    def settle_all(self, cursor: EndpointCursor, events: Iterable[tuple[int, int, int]]) -> None:
        """Settle several events of a cursor, each as its offset, size and part; see ``settle``."""
        if not cursor.live:
            return
        spots = [
            (offset, settled)
            for offset, size_bytes, part in events
            if (settled := cursor.settle(offset, size_bytes, part)) is not None
        ]
        checkpoint, journal = self.known[cursor], self._journal
        while spots:
            if checkpoint.segment != journal.segment:
                checkpoint.declare(journal, cursor)
            del spots[: journal.record_all(checkpoint.number, spots)]
            if spots:
                checkpoint.declare(journal, cursor)
        if cursor.full or cursor.share.is_pressed:
            self._make_room(cursor)

    def _make_room(self, cursor: EndpointCursor) -> None:
        """Let a cursor take events again after something settled at it, and its endpoint's other cursors."""
        if cursor.full:
            self.reopen(cursor)
        share = cursor.share
        if share.is_pressed and share.has_room:
            self.reopen_pressed(cursor.endpoint)

    def fill_used_up(self) -> None:
        """Make all cursors full whose endpoint has used up its share. Call it before each read."""
        for endpoint, share in self._shares.items():
            if share.is_used_up:
                share.is_pressed = True
                for cursor in self.of(endpoint):
                    cursor.full = True

    def reopen_pressed(self, endpoint: str) -> None:
        """Let cursors that lacked memory take events again, if the endpoint has room now."""
        share = self._shares[endpoint]
        if share.is_pressed and share.has_room:
            share.is_pressed = False
            for cursor in self.of(endpoint):
                if cursor.full:
                    self.reopen(cursor)

    def reopen(self, cursor: EndpointCursor) -> None:
        """Wake the reader of a cursor that was full and has room again."""
        if cursor.reopen():
            self.room.set()
            if not cursor.attached:
                self.room_behind[cursor.endpoint].set()
