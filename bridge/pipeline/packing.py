"""Encode a cursor for the broker, and keep what the broker and the journal have of it.

Invariant: while it is unknown whether the broker accepted a commit, the journal names that commit and the one
before it for what settles.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from bridge.core import completion_map
from bridge.model import Committed, Partition
from bridge.pipeline.cursor_start import EndpointCursor
from bridge.storage.journal import Journal
from bridge.storage.journal_segment import JournaledCursor

_MOST_UNSURE = 8
"""Commits without an answer that the journal names for a cursor."""


@dataclass(slots=True)
class Checkpoint:
    """What the broker and the journal have of a cursor.

    ``committed`` is what the broker has. ``base`` is what it has, or was sent last; ``unsure`` are other
    commits that it may have accepted without an answer. ``number`` is the cursor's place in the journal's
    ``segment``. ``topic_id``: of the topic that the cursor reads. ``is_new`` until the journal
    names a cursor that continues no commit.
    """

    committed: Committed | None
    topic_id: str | None
    base: Committed | None
    unsure: tuple[Committed | None, ...] = ()
    segment: int = -1
    number: int = -1
    is_new: bool = field(init=False)

    def __post_init__(self) -> None:
        self.is_new = self.committed is None

    def send(self, committed: Committed) -> None:
        """Note that this is about to be sent to the broker. What settles from now on may follow it."""
        if self.base is not self.committed:
            self.unsure = (*self.unsure[1 - _MOST_UNSURE :], self.base)
        self.base, self.segment = committed, -1

    def withdraw(self, committed: Committed) -> None:
        """Note that this was not sent."""
        if self.base is committed:
            self.base = self.unsure[-1] if self.unsure else self.committed
            self.unsure, self.segment = self.unsure[:-1], -1

    def accept(self, committed: Committed) -> None:
        """Note that the broker has this."""
        self.committed, self.unsure = committed, ()

    def declare(self, journal: Journal, cursor: EndpointCursor) -> None:
        """Name the cursor in the journal's current segment, with each commit that the broker may have."""
        for base in dict.fromkeys((*self.unsure, self.committed, self.base)):
            declared = JournaledCursor(cursor.endpoint, cursor.partition, base, self.is_new)
            self.number, self.is_new = journal.declare(declared), False
        self.segment = journal.segment


class Packer:
    """Encodes cursors. Those at rest at one position of a partition, mostly all of it, share the result."""

    def __init__(self) -> None:
        self._at_rest: dict[Partition, Committed] = {}

    def pack(self, cursor: EndpointCursor, topic_id: str | None) -> Committed:
        """Return what to commit for a cursor; it takes nothing more while its completion map is too large."""
        if cursor.is_at_rest and not cursor.full:
            return self._pack_at_rest(cursor.partition, cursor.position, topic_id)
        progress = cursor.progress()
        text, fits = completion_map.encode(
            progress.offset,
            progress.open_offsets,
            progress.end,
            progress.failures,
            progress.parts,
            topic_id=topic_id,
        )
        cursor.set_map_fits(fits)
        return Committed(progress.offset, text)

    def _pack_at_rest(self, partition: Partition, position: int, topic_id: str | None) -> Committed:
        shared = self._at_rest.get(partition)
        if shared is None or shared.offset != position:
            text, _ = completion_map.encode(position, (), position, {}, {}, topic_id=topic_id)
            shared = self._at_rest[partition] = Committed(position, text)
        return shared

    def clear(self) -> None:
        """Forget everything: the assignment has ended, and topics may have another id in the next."""
        self._at_rest.clear()
