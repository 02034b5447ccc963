"""Commit the offsets of the member group: the fence that every commit of cursors passes first.

Invariant: the member group's offset of a partition is never above the lowest of its cursors.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from itertools import islice
from typing import Protocol

from bridge.errors import CommitError
from bridge.model import Partition
from bridge.pipeline.cursor_loader import CursorsByPartition

_LOOKS = 2_000
"""Cursors that one commit looks at. The other partitions follow with the next ones."""


class Fence(Protocol):
    """The member (``bridge.kafka.group_member``), whose commit the broker accepts only while it is one."""

    async def fence(self, lowest: Mapping[Partition, int]) -> None:
        """Commit. Raises ``CommitError``, and ``PlaceLostError`` if this process is no longer a member."""
        ...

    def holds_lease(self) -> bool:
        """Return True while the group cannot have assigned our partitions to another member."""
        ...


class GroupOffsets:
    """The lowest offset of each partition, as the member group has it and as the cursors have it now."""

    def __init__(self, fence: Fence, flush: Callable[[], Awaitable[None]]) -> None:
        """``flush`` writes the history and the dedupe index to disk."""
        self._fence = fence
        self._flush = flush
        self._fenced: dict[Partition, int] = {}
        self._moved: dict[Partition, None] = {}
        """Partitions whose cursors have moved since their lowest offset was computed."""

    def note_moved(self, partition: Partition) -> None:
        """Note that a cursor of this partition has moved."""
        self._moved[partition] = None

    async def commit(self, cursors: CursorsByPartition) -> None:
        """Write the history, then commit the group's offsets. Raises ``CommitError``.

        A commit that moves none is sent as well: it shows whether this process is still a member.
        """
        lowest = self._lowest(cursors)
        await self._flush()
        changed = {
            partition: offset for partition, offset in lowest.items() if self._fenced.get(partition) != offset
        }
        await self._fence.fence(changed or lowest or dict(islice(self._fenced.items(), 1)))
        if not self._fence.holds_lease():
            raise CommitError("this process was stopped for longer than the session timeout")
        self._fenced.update(changed)
        for partition in lowest:
            self._moved.pop(partition, None)

    async def commit_rest(self, cursors: CursorsByPartition) -> None:
        """Commit what earlier commits left for the next one. Raises ``CommitError``."""
        if self._moved:
            await self.commit(cursors)
        else:
            await self._flush()  # failed attempts change no cursor, but their history must be written

    def _lowest(self, cursors: CursorsByPartition) -> dict[Partition, int]:
        """Return the lowest offsets of partitions whose cursors have moved, of as many as time allows."""
        lowest: dict[Partition, int] = {}
        looks = 0
        for partition in list(self._moved):
            if looks >= _LOOKS:
                break
            if by_endpoint := cursors.get(partition):
                lowest[partition] = min(cursor.lowest_unsettled for cursor in by_endpoint.values())
                looks += len(by_endpoint)
            else:
                del self._moved[partition]
        return lowest

    def drop(self, partition: Partition) -> None:
        """Forget a partition: its topic was deleted or recreated."""
        self._fenced.pop(partition, None)
        self._moved.pop(partition, None)

    def clear(self) -> None:
        """Forget everything: the assignment has ended."""
        self._fenced.clear()
        self._moved.clear()
