"""Decide what may be committed: the lowest unsettled offset of one endpoint in one partition.

Invariant: the committed offset never passes an event that was read and not settled, so a crash
repeats deliveries and never loses one. The broker call belongs to ``pipeline/commits.py``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum

from bridge.core.memory_budget import Share
from bridge.core.open_events import OpenEvents
from bridge.core.progress import Note, Progress
from bridge.model import Partition, Spot

_REOPEN_AT = 0.75
"""A full cursor reopens when it is filled to this share of its bounds, so that it does not flap."""
_WINDOWS_WITH_BLOCKED = 4
"""All unsettled events of a cursor, those in blocked lanes included, fill at most this many windows."""


class CursorState(StrEnum):
    """Which reader feeds the cursor."""

    ATTACHED = "attached"
    """It takes the batches of the main reader."""
    FULL = "full"
    """It takes nothing for now; the main reader may pass it."""
    CATCHING_UP = "catching_up"
    """It has room, and the main reader has passed it: a side reader feeds it until the two meet."""


class Cursor(OpenEvents[Note]):
    """The progress of one endpoint in one partition, for one assignment.

    Lanes run in parallel, so events settle out of order, while Kafka stores a single offset per
    partition. Committing past an unsettled event loses it if the process dies. ``progress``
    therefore stops at the lowest unsettled offset, and lists what is settled above it for the
    completion map.

    Gaps (compaction, transaction markers, aborted records) and events that the endpoint does not
    receive count as settled once ``position`` has passed them.

    The window bounds the events that can run. Events in a blocked lane (its head failed) cannot
    run and must not use up the window, so they are counted apart. All events together are bounded
    by four windows, by ``window_bytes``, by the endpoint's share of the memory budget, and by the size of
    the completion map.

    Invariant: ``progress().offset`` passes neither an offset that was opened and not settled, nor
    one that an earlier process left open and this process has not reached yet.
    """

    __slots__ = (
        "_began",
        "_earlier_end",
        "_earlier_open",
        "_map_too_large",
        "_window",
        "_window_bytes",
        "attached",
        "endpoint",
        "full",
        "live",
        "partition",
        "position",
    )

    def __init__(
        self,
        partition: Partition,
        position: int,
        *,
        window: int,
        window_bytes: int,
        share: Share | None = None,
        endpoint: str = "",
        settled_to: int | None = None,
        left_open: frozenset[int] = frozenset(),
        failures: Mapping[Spot, Note] | None = None,
        parts: Mapping[int, Collection[int]] | None = None,
    ) -> None:
        """Start at ``position``, the next offset to take.

        An earlier process settled [position, settled_to) except ``left_open``, and of those offsets
        the ``parts``. ``failures`` are the deliveries that it tried without success. ``share`` is the
        endpoint's part of the memory budget, which all its cursors use; None is without a limit.
        """
        super().__init__(share, failures, parts)
        self.endpoint = endpoint
        self.partition = partition
        self.position = self._began = position
        self.live = True
        """False once the assignment has ended: nothing is committed for this cursor any more."""
        self.attached = True
        """True if it has taken everything that the main reader has passed. Only its methods change it."""
        self.full = False
        self._map_too_large = False
        self._window = window
        self._window_bytes = window_bytes
        self._earlier_end = position if settled_to is None else max(settled_to, position)
        self._earlier_open = left_open

    @property
    def state(self) -> CursorState:
        """Return attached, full, or catching up."""
        if self.full:
            return CursorState.FULL
        return CursorState.ATTACHED if self.attached else CursorState.CATCHING_UP

    def end(self) -> None:
        """End the cursor with its assignment: what is open here is read again, and no longer kept."""
        if self.live:
            self._give_back()
        self.live = False

    def needs(self, offset: int, part: int = 0) -> bool:
        """Return True if the event at this offset is still to be delivered.

        Part 0 is the record as a whole.
        """
        if offset < self.position:
            return False
        if self._parts and part and part in self._parts.get(offset, ()):
            return False
        return offset >= self._earlier_end or offset in self._earlier_open

    def needs_all_from(self, offset: int) -> bool:
        """Return True if ``needs`` is True for every event from this offset on."""
        return offset >= self.position and offset >= self._earlier_end and not self._parts

    @property
    def is_filled(self) -> bool:
        """Return True if what is open fills its bounds: the next ``advance`` makes the cursor full."""
        return self._filled_to(1.0) or self.share.is_used_up

    def _filled_to(self, share: float) -> bool:
        """Return True if one of the bounds is filled to at least this share."""
        unsettled = self.unsettled
        can_run = unsettled - max(0, self._blocked)
        return (
            can_run >= self._window * share
            or unsettled >= self._window * _WINDOWS_WITH_BLOCKED * share
            or self._bytes >= self._window_bytes * share
        )

    def reopen(self) -> bool:
        """Return True if the cursor was full and takes events again from now on."""
        if not self.full or self._map_too_large or (self._pending and self._filled_to(_REOPEN_AT)):
            return False
        if not self.share.has_room:
            self.share.is_pressed = True
            return False
        self.full = False
        return True

    def advance(self, position: int) -> None:
        """Move to ``position``: everything below it was opened, or needs no delivery.

        The cursor is full from now on if what it opened fills its bounds, or the endpoint's share of memory.
        """
        if self._pending:
            if self._filled_to(1.0):
                self.full = True
            elif self.share.is_used_up:
                self.full = self.share.is_pressed = True
        if position > self.position:
            self.position = position
            if not self._pending:
                self.mark_changed()

    def not_settled_below(self, position: int) -> int:
        """Return how many offsets from the cursor's position to ``position`` are not known to be settled.

        An offset without a readable record counts too, unless the cursor has passed it.
        """
        earlier = sum(self.position <= offset < position for offset in self._earlier_open)
        return earlier + max(0, position - max(self.position, self._earlier_end))

    @property
    def passed(self) -> int:
        """Return the number of offsets that the cursor has taken or passed since it began."""
        return self.position - self._began

    def detach_if_passed(self, position: int) -> None:
        """Detach if the main reader, now at ``position``, has read records that this cursor did not take."""
        if self.position < position:
            self.attached = False

    def attach_if_at(self, position: int) -> bool:
        """Attach again if nothing is missing below ``position``, where the main reader reads next.

        Return True if this attached it.
        """
        if not self.attached and self.position >= position:
            self.attached = True
            return True
        return False

    @property
    def lowest_unsettled(self) -> int:
        """Return ``progress().offset`` without computing the rest."""
        if self._open:
            return self._open[0]
        if self.position >= self._earlier_end:
            return self.position
        return min(
            (offset for offset in self._earlier_open if offset >= self.position), default=self._earlier_end
        )

    @property
    def is_at_rest(self) -> bool:
        """Return True if ``position`` is all that there is to commit: everything below it is settled."""
        return not (self._pending or self.failures or self._parts or self.position < self._earlier_end)

    def progress(self) -> Progress[Note]:
        """Return what may be committed now."""
        open_offsets = list(self._pending)
        end = self.position
        if end < self._earlier_end:
            open_offsets += sorted(offset for offset in self._earlier_open if offset >= end)
            end = self._earlier_end
        lowest = open_offsets[0] if open_offsets else end
        self._forget_settled(lowest, open_offsets, end)
        parts = {offset: frozenset(settled) for offset, settled in self._parts.items()}
        return Progress(lowest, open_offsets, end, dict(self.failures), parts)

    def set_bounds(self, window: int, window_bytes: int) -> None:
        """Use these bounds from now on; what is open stays, and larger bounds count when it reopens."""
        self._window, self._window_bytes = window, window_bytes
        if self._pending and self._filled_to(1.0):
            self.full = True

    def detach(self) -> None:
        """Take nothing from the main reader any more: it leaves, or a side reader begins."""
        self.attached = False

    def set_map_fits(self, fits: bool) -> None:
        """Stop taking events while the completion map does not fit. Call it after each encoding."""
        self._map_too_large = not fits
        if self._map_too_large:
            self.full = True
