"""Apply the moves of cursors that an operator requested, while deliveries go on.

Invariant: a move is read from the control topic right before it is applied, and its record is deleted only
after the broker has the moved cursor. The next owner of the partition therefore applies it, or finds it done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

import structlog

from bridge.core.moves import Move, Moves, latest
from bridge.errors import CommitError, KafkaUnavailable
from bridge.model import Record
from bridge.pipeline.assignment import Assignment
from bridge.pipeline.checkpoints import Checkpoints
from bridge.pipeline.commits import Commits
from bridge.pipeline.cursor_start import EndpointCursor
from bridge.pipeline.outage import OutageBackoff
from bridge.telemetry import events

_log = structlog.get_logger()
_BEAT_S = 0.5
"""How soon a partition that comes here is noticed, while there are moves."""


class CursorMover:
    """Moves the cursors of the partitions that are assigned here.

    ``note`` is called with the records of moves in the control topic. ``read`` reads all of them again, up to
    the end of the topic; ``write`` writes values by key. Both raise ``KafkaUnavailable``.
    """

    def __init__(
        self,
        read: Callable[[], Awaitable[Moves]],
        write: Callable[[Mapping[bytes, bytes | None]], Awaitable[None]],
    ) -> None:
        self._read = read
        self._write = write
        self._known = Moves()
        self._changed = asyncio.Event()
        self._outage = OutageBackoff()
        self._applied: dict[bytes, EndpointCursor] = {}
        """By key: the cursor that a move made, until its record is deleted."""

    def note(self, record: Record) -> None:
        """Note that there is a move, or that one was applied."""
        self._known.apply(record)
        self._changed.set()

    async def run(self, assignment: Assignment, checkpoints: Checkpoints, commits: Commits) -> None:
        """Apply the moves of our partitions until cancelled."""
        while True:
            if self._mine(self._known, checkpoints):
                try:
                    await self._apply_all(assignment, checkpoints, commits)
                except (KafkaUnavailable, CommitError) as exc:
                    await self._outage.wait(exc)
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(_BEAT_S if self._known.all() else None):
                    await self._changed.wait()

    async def _apply_all(self, assignment: Assignment, checkpoints: Checkpoints, commits: Commits) -> None:
        """Apply what waits, commit it, and then delete the records."""
        waiting = self._mine(await self._read(), checkpoints)
        if assignment.ending:
            return
        satisfied = {key: self._apply(move, assignment, checkpoints) for key, move in latest(waiting).items()}
        await commits.commit_new()
        done = {
            move.key: None
            for move in waiting
            if self._current(move, checkpoints) is satisfied[move.endpoint, move.partition]
        }
        await self._write(done)
        for key in done:
            self._applied.pop(key, None)

    def _apply(self, move: Move, assignment: Assignment, checkpoints: Checkpoints) -> EndpointCursor:
        """Put the moved cursor in place, and return the one that is there now.

        Nothing is awaited since the moves were looked up, so no batch is accepted in between.
        """
        before = checkpoints.cursors[move.partition][move.endpoint]
        target = move.target(before.progress())
        if target is None or self._applied.get(move.key) is before:
            return before
        cursor = assignment.move(move.endpoint, move.partition, target)
        self._applied[move.key] = cursor
        _log.warning(
            events.CURSOR_MOVED,
            endpoint=move.endpoint,
            partition=str(move.partition),
            next_offset=cursor.position,
            before=before.lowest_unsettled,
            by=move.by,
        )
        return cursor

    def _mine(self, moves: Moves, checkpoints: Checkpoints) -> list[Move]:
        return [move for move in moves.all() if self._current(move, checkpoints) is not None]

    def _current(self, move: Move, checkpoints: Checkpoints) -> EndpointCursor | None:
        """Return the cursor that a move is about; None if it is not ours."""
        return checkpoints.cursors.get(move.partition, {}).get(move.endpoint)
