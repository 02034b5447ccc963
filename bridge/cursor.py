"""Step 5, the cursor: how far one endpoint is in one partition, and what may be committed for it.

Takes offsets as they are read and settled, gives the position to commit. Rule floor, pure; the
call to the broker belongs to the source.
"""

from __future__ import annotations

from collections import deque
from enum import StrEnum
from typing import NamedTuple

from bridge.model import Partition

_ROOM = 0.75
"""A full cursor has room again when it is down to this share of its window: no flapping."""


class CursorState(StrEnum):
    """Whether the cursor goes along with the reader of its partition."""

    ATTACHED = "attached"
    FULL = "full"


class Progress(NamedTuple):
    """What may be committed: the lowest unsettled offset, and what is open below ``end``."""

    offset: int
    open_offsets: list[int]
    end: int


class Cursor:
    """The progress of one endpoint in one partition, for one assignment.

    Lanes run side by side, so events settle out of order, while Kafka keeps a single number per
    partition. Committing past an unsettled event loses it if the process dies, so ``progress``
    stops at the lowest one, and tells what is settled above it for the completion map.

    Only offsets that were opened are tracked: offsets have gaps (compaction, transaction markers)
    and events that nobody wants; both count as settled once the position has passed them.

    Invariant: ``progress().offset`` never passes an offset that was opened and not settled, nor one
    that an earlier process left open and this one has not read yet.
    """

    __slots__ = (
        "_before_end", "_before_open", "_bytes", "_map_full", "_open", "_pending", "_window",
        "_window_bytes", "committed", "live", "partition", "position", "state",
    )  # fmt: skip

    def __init__(
        self,
        partition: Partition,
        position: int,
        *,
        window: int,
        window_bytes: int,
        settled_to: int | None = None,
        left_open: frozenset[int] = frozenset(),
    ) -> None:
        """Start at ``position``, the next offset to take.

        An earlier process settled [position, settled_to) but for ``left_open``.
        """
        self.partition = partition
        self.position = position
        self.state = CursorState.ATTACHED
        self.live = True
        self.committed: Progress | None = None
        self._window = window
        self._window_bytes = window_bytes
        self._before_end = position if settled_to is None else max(settled_to, position)
        self._before_open = left_open
        self._open: deque[int] = deque()
        self._pending: dict[int, int] = {}
        self._bytes = 0
        self._map_full = False

    def wants(self, offset: int) -> bool:
        """Whether an event at this offset is still to be delivered; False when it is settled already."""
        if offset < self.position:
            return False
        return offset >= self._before_end or offset in self._before_open

    def open(self, offset: int, size_bytes: int) -> None:
        """One more event at this offset is unsettled. Offsets come in ascending order."""
        parts = self._pending.get(offset)
        if parts is None:
            self._open.append(offset)
            self._pending[offset] = 1
        else:
            self._pending[offset] = parts + 1
        self._bytes += size_bytes
        if len(self._pending) >= self._window or self._bytes >= self._window_bytes:
            self.state = CursorState.FULL

    def settle(self, offset: int, size_bytes: int) -> bool:
        """One event at this offset needs nothing more; True when the cursor has room again by it."""
        parts = self._pending[offset] - 1
        self._bytes -= size_bytes
        if parts:
            self._pending[offset] = parts
            return False
        del self._pending[offset]
        line = self._open
        while line and line[0] not in self._pending:
            line.popleft()
        if self.state is CursorState.FULL:
            return self._unless_full()
        return False

    def advance(self, position: int) -> None:
        """The reader has handed over, or passed by, everything below ``position``."""
        self.position = max(self.position, position)

    def progress(self) -> Progress:
        """What may be committed now."""
        open_offsets = [offset for offset in self._open if offset in self._pending]
        end = self.position
        if end < self._before_end:
            open_offsets += sorted(offset for offset in self._before_open if offset >= end)
            end = self._before_end
        return Progress(open_offsets[0] if open_offsets else end, open_offsets, end)

    def map_fits(self, fits: bool) -> bool:
        """Told after each packing of the map: one that does not fit makes the cursor full.

        True when the cursor has room again by it.
        """
        self._map_full = not fits
        if self._map_full:
            self.state = CursorState.FULL
        elif self.state is CursorState.FULL:
            return self._unless_full()
        return False

    @property
    def full(self) -> bool:
        """Whether it takes no more for now."""
        return self.state is CursorState.FULL

    @property
    def unsettled(self) -> int:
        """How many offsets are open."""
        return len(self._pending)

    def _unless_full(self) -> bool:
        if (
            self._map_full
            or len(self._pending) > self._window * _ROOM
            or self._bytes > self._window_bytes * _ROOM
        ):
            return False
        self.state = CursorState.ATTACHED
        return True
