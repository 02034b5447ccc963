"""Step 5, the cursor: how far one endpoint is in one partition, and what may be committed for it.

Takes offsets as they are read and settled, gives the position to commit. Rule floor, pure; the
call to the broker belongs to the source.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Generic, NamedTuple, TypeVar

from bridge.model import Partition

Note = TypeVar("Note")
"""What is remembered of a delivery that failed (``bridge.core.completion_map.Failures``)."""

Spot = tuple[int, int]
"""Offset and part: which event of its record (``Event.index``), 0 for the only one."""

_ROOM = 0.75
"""A full cursor has room again when it is down to this share of its bounds: no flapping."""
_WITH_BLOCKED = 4
"""Windows that all unsettled events of a cursor may fill, those in blocked lanes included."""


class CursorState(StrEnum):
    """How the cursor stands to the main reader of its partition."""

    ATTACHED = "attached"
    """It takes what the main reader reads."""
    FULL = "full"
    """It takes nothing for now; the main reader may go on without it."""
    CATCHING_UP = "catching_up"
    """It has room and is behind: a reader of its own feeds it until it meets the main reader."""


class Progress(NamedTuple, Generic[Note]):
    """What may be committed: the lowest unsettled offset, what is open below ``end``, what failed.

    ``parts`` are the settled events of records that have others open.
    """

    offset: int
    open_offsets: list[int]
    end: int
    failures: dict[Spot, Note]
    parts: dict[int, frozenset[int]]


class Cursor(Generic[Note]):
    """The progress of one endpoint in one partition, for one assignment.

    Lanes run side by side, so events settle out of order, while Kafka keeps a single number per
    partition. Committing past an unsettled event loses it if the process dies, so ``progress``
    stops at the lowest one, and tells what is settled above it for the completion map.

    Only offsets that were opened are tracked: offsets have gaps (compaction, transaction markers)
    and events that nobody wants; both count as settled once the position has passed them. An offset
    of several events settles with the last of those that were opened; which of them settled before
    is remembered, so that a restart repeats none.

    Its window counts the events that can run or do. What waits behind a failed head of its own lane
    can not, and must not keep the others out: it is counted apart, and bounded by four windows of
    everything, ``window_bytes``, and what the completion map can tell.

    Invariant: ``progress().offset`` never passes an offset that was opened and not settled, nor one
    that an earlier process left open and this one has not read yet.
    """

    __slots__ = (
        "_attached", "_before_end", "_before_open", "_blocked", "_bytes", "_events", "_failures", "_full",
        "_map_full", "_open", "_parts", "_pending", "_window", "_window_bytes", "committed", "endpoint",
        "live", "number", "partition", "position", "version",
    )  # fmt: skip

    def __init__(
        self,
        partition: Partition,
        position: int,
        *,
        window: int,
        window_bytes: int,
        endpoint: str = "",
        settled_to: int | None = None,
        left_open: frozenset[int] = frozenset(),
        failures: Mapping[Spot, Note] | None = None,
        parts: Mapping[int, Collection[int]] | None = None,
    ) -> None:
        """Start at ``position``, the next offset to take.

        An earlier process settled [position, settled_to) but for ``left_open``, of these offsets
        some ``parts``, and left ``failures`` of deliveries that it had tried.
        """
        self.endpoint = endpoint
        self.partition = partition
        self.position = position
        self.live = True
        self.committed: object = None
        self.number = -1
        self.version = 0
        """Grows with whatever a commit should tell; what is opened meanwhile will be read again anyway."""
        self._attached = True
        self._full = False
        self._map_full = False
        self._window = window
        self._window_bytes = window_bytes
        self._before_end = position if settled_to is None else max(settled_to, position)
        self._before_open = left_open
        self._failures: dict[Spot, Note] = dict(failures or {})
        self._parts = {offset: set(settled) for offset, settled in (parts or {}).items()}
        self._open: deque[int] = deque()
        self._pending: dict[int, int] = {}
        self._events = 0
        self._blocked = 0
        self._bytes = 0

    @property
    def state(self) -> CursorState:
        """Attached, full, or catching up."""
        if self._full:
            return CursorState.FULL
        return CursorState.ATTACHED if self._attached else CursorState.CATCHING_UP

    @property
    def full(self) -> bool:
        """Whether it takes no more for now."""
        return self._full

    @property
    def attached(self) -> bool:
        """Whether nothing that the main reader passed is missing here."""
        return self._attached

    @property
    def unsettled(self) -> int:
        """How many events are open."""
        return self._events

    def wants(self, offset: int, part: int = 0) -> bool:
        """Whether an event at this offset is still to be delivered; False when it is settled already.

        Part 0 asks for the record as a whole.
        """
        if offset < self.position:
            return False
        if self._parts and part and part in self._parts.get(offset, ()):
            return False
        return offset >= self._before_end or offset in self._before_open

    def open(self, offset: int, size_bytes: int) -> None:
        """One more event at this offset is unsettled. Offsets come in ascending order.

        ``size_bytes`` is the size of the record, which its events share.
        """
        open_here = self._pending.get(offset)
        if open_here is None:
            self._open.append(offset)
            self._pending[offset] = 1
            self._bytes += size_bytes
        else:
            self._pending[offset] = open_here + 1
        self._events += 1
        if self._holds(1.0):
            self._full = True

    def blocked(self, change: int) -> None:
        """So many more events (or fewer) wait behind a failed head of their lane, it included."""
        self._blocked += change

    def _holds(self, share: float) -> bool:
        """Whether it holds this share of one of its bounds, or more."""
        can_run = self._events - max(0, self._blocked)
        return (
            can_run >= self._window * share
            or self._events >= self._window * _WITH_BLOCKED * share
            or self._bytes >= self._window_bytes * share
        )

    def settle(self, offset: int, size_bytes: int, part: int = 0) -> bool:
        """One event at this offset needs nothing more; True when that was the last of its offset."""
        self.version += 1
        open_here = self._pending[offset] - 1
        self._events -= 1
        self._failures.pop((offset, part), None)
        if open_here:
            self._pending[offset] = open_here
            if part:
                self._parts.setdefault(offset, set()).add(part)
            return False
        del self._pending[offset]
        self._parts.pop(offset, None)
        self._bytes -= size_bytes
        line = self._open
        while line and line[0] not in self._pending:
            line.popleft()
        return True

    def found_room(self) -> bool:
        """Whether a full cursor takes more again since the last call."""
        if not self._full or self._map_full or (self._events and self._holds(_ROOM)):
            return False
        self._full = False
        return True

    def failed(self, offset: int, note: Note, part: int = 0) -> None:
        """Remember a failed delivery, for the next process."""
        self.version += 1
        self._failures[offset, part] = note

    def failure(self, offset: int, part: int = 0) -> Note | None:
        """What is remembered of a delivery that failed before, in an earlier process too."""
        return self._failures.get((offset, part))

    def advance(self, position: int) -> None:
        """Everything below ``position`` was handed over, or passed by."""
        if position > self.position:
            self.position = position
            if not self._pending:
                self.version += 1

    def passed_by(self, position: int) -> None:
        """The main reader went on to ``position`` without it: what lies between is missing here."""
        if self.position < position:
            self._attached = False

    def meet(self, position: int) -> bool:
        """Attach again if nothing is missing before ``position``, where the main reader reads next."""
        if not self._attached and self.position >= position:
            self._attached = True
            return True
        return False

    @property
    def lowest(self) -> int:
        """``progress().offset``, without the rest."""
        if self._open:
            return self._open[0]
        if self.position >= self._before_end:
            return self.position
        return min((one for one in self._before_open if one >= self.position), default=self._before_end)

    def progress(self) -> Progress[Note]:
        """What may be committed now."""
        open_offsets = list(self._pending)
        end = self.position
        if end < self._before_end:
            open_offsets += sorted(offset for offset in self._before_open if offset >= end)
            end = self._before_end
        lowest = open_offsets[0] if open_offsets else end
        self._failures = {spot: note for spot, note in self._failures.items() if spot[0] >= lowest}
        if self._parts:
            still = set(open_offsets)
            self._parts = {one: done for one, done in self._parts.items() if one >= end or one in still}
        parts = {one: frozenset(done) for one, done in self._parts.items()}
        return Progress(lowest, open_offsets, end, dict(self._failures), parts)

    def map_fits(self, fits: bool) -> None:
        """Told after each packing of the map: while one does not fit, the cursor is full."""
        self._map_full = not fits
        if self._map_full:
            self._full = True
