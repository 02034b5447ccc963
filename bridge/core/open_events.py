"""The events of one endpoint in one partition that are opened and not settled. Pure.

``cursor.py`` decides from them what may be committed, and learns from them that something changed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Generic, Self

from bridge.core.memory_budget import DELIVERY_BYTES, RECORD_BYTES, MemoryBudget, Share
from bridge.core.progress import Note
from bridge.model import Spot

_NO_OFFSETS: deque[int] = deque()
_NO_EVENTS: dict[int, int] = {}
_NO_NOTES: dict[Spot, Any] = {}
_NO_PARTS: dict[int, set[int]] = {}
"""What a cursor without events in work shares with all others, and never changes: a thousand endpoints in a
hundred partitions are a hundred thousand cursors, and most are at rest."""
_EVENT_BYTES = RECORD_BYTES + DELIVERY_BYTES


class OpenEvents(Generic[Note]):
    """The unsettled events of a cursor, in the order of the log.

    Only opened offsets are tracked. The offset of a record with several events settles with the last of them;
    those settled before are kept as ``parts``, so a restart repeats none. Events in a blocked lane (its head
    failed) are counted apart.
    """

    __slots__ = (
        "_blocked",
        "_bytes",
        "_is_in_commit",
        "_more",
        "_on_change",
        "_open",
        "_parts",
        "_pending",
        "failures",
        "is_changed",
        "opened",
        "share",
    )

    def __init__(
        self,
        share: Share | None,
        failures: Mapping[Spot, Note] | None,
        parts: Mapping[int, Collection[int]] | None,
    ) -> None:
        self.share = share or Share(MemoryBudget())
        self.failures: dict[Spot, Note] = dict(failures) if failures else _NO_NOTES
        """What this or an earlier process stored about deliveries that failed, by offset and part."""
        self._parts = {offset: set(settled) for offset, settled in parts.items()} if parts else _NO_PARTS
        self.opened = 0
        """The events that were opened since the cursor began."""
        self._open = _NO_OFFSETS
        self._pending = _NO_EVENTS
        """Unsettled events by opened offset, ascending."""
        self._more = 0
        """Unsettled events besides the first of each record."""
        self._blocked = 0
        self._bytes = 0
        self.is_changed = False
        """True from the first change until a commit begins. Opening is none: a restart reads it again."""
        self._is_in_commit = False
        self._on_change: Callable[[Any], None] | None = None

    @property
    def unsettled(self) -> int:
        """Return the number of opened events that are not settled."""
        return len(self._pending) + self._more

    def open(self, offset: int, size_bytes: int) -> None:
        """Track one more unsettled event; see ``open_all``."""
        self.open_all(((offset, size_bytes),))

    def open_all(self, events: Sequence[tuple[int, int]]) -> None:
        """Track more unsettled events, by offset and size. Offsets are ascending, and ``advance`` follows.

        The size is that of the record with key and headers in bytes, counted once for all its events.
        """
        pending = self._pending
        if pending is _NO_EVENTS:
            pending = self._pending = {}
            self._open = deque()
        opened, opened_bytes = self._open, 0
        before = len(opened)
        for offset, size_bytes in events:
            if offset in pending:
                pending[offset] += 1
            else:
                pending[offset] = 1
                opened.append(offset)
                opened_bytes += size_bytes
        records = len(opened) - before
        self._more += len(events) - records
        self.opened += len(events)
        self._bytes += opened_bytes
        self.share.opened_bytes += opened_bytes + records * RECORD_BYTES + len(events) * DELIVERY_BYTES

    def settle(self, offset: int, size_bytes: int, part: int = 0) -> int | None:
        """Settle one event at this offset.

        Return the part of the record that is settled now; 0 is all of it, after the last of its events.
        None if there is no more to tell: the event has no number among those of its record.
        """
        if not self.is_changed:
            self._report_change()
        pending = self._pending
        if self.failures:
            self.failures.pop((offset, part), None)
        if pending[offset] > 1:
            self._settle_part(offset, part)
            return part or None
        del pending[offset]
        if self._parts:
            self._parts.pop(offset, None)
        self._bytes -= size_bytes
        self.share.settled_bytes += size_bytes + _EVENT_BYTES
        if not pending:
            self._pending, self._open = _NO_EVENTS, _NO_OFFSETS
            return 0
        opened = self._open
        while opened[0] not in pending:
            opened.popleft()
        return 0

    def _settle_part(self, offset: int, part: int) -> None:
        """Settle one of several open events of a record."""
        self._pending[offset] -= 1
        self._more -= 1
        self.share.settled_bytes += DELIVERY_BYTES
        if part:
            if self._parts is _NO_PARTS:
                self._parts = {}
            self._parts.setdefault(offset, set()).add(part)

    def count_blocked(self, change: int) -> None:
        """Add ``change`` to the number of events in blocked lanes; negative when a lane is unblocked."""
        self._blocked += change

    def record_failure(self, offset: int, note: Note, part: int = 0) -> None:
        """Store the failed attempts of a delivery, for the next process."""
        self.mark_changed()
        if self.failures is _NO_NOTES:
            self.failures = {}
        self.failures[offset, part] = note

    def _forget_settled(self, lowest: int, unsettled: Collection[int], end: int) -> None:
        """Forget failures below ``lowest``, and the parts of records below ``end`` that have settled."""
        if self.failures:
            kept = {spot: note for spot, note in self.failures.items() if spot[0] >= lowest}
            self.failures = kept or _NO_NOTES
        if self._parts:
            among = set(unsettled)
            left = {
                offset: settled for offset, settled in self._parts.items() if offset >= end or offset in among
            }
            self._parts = left or _NO_PARTS

    def _give_back(self) -> None:
        """Return the memory of what is open to the endpoint's share."""
        records, deliveries = len(self._pending) * RECORD_BYTES, self.unsettled * DELIVERY_BYTES
        self.share.opened_bytes -= self._bytes + records + deliveries

    def report_changes(self, on_change: Callable[[Self], None]) -> None:
        """Call ``on_change`` now, and with each first change after a commit."""
        self._on_change = on_change
        self.is_changed = False
        self.mark_changed()

    def mark_changed(self) -> None:
        """Have the next commit include this cursor."""
        if not self.is_changed:
            self._report_change()

    def _report_change(self) -> None:
        self.is_changed = True
        if self._on_change is not None and not self._is_in_commit:
            self._on_change(self)

    def begin_commit(self) -> None:
        """Note that a commit begins with all changes until now."""
        self.is_changed, self._is_in_commit = False, True

    def end_commit(self, *, accepted: bool) -> None:
        """Note that the commit has ended: report the changes since it began, or all if it failed."""
        self._is_in_commit = False
        if self.is_changed or not accepted:
            self._report_change()
