"""Before step 2: a batch is accepted once the dedupe index covers its partition, and while it is ours."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from bridge.core.dedupe import earliest_ms
from bridge.errors import KafkaUnavailable
from bridge.model import Partition, Record
from bridge.pipeline.assignment import Assignment
from bridge.pipeline.checkpoints import Checkpoints
from bridge.pipeline.cursor_start import EndpointCursor
from bridge.pipeline.intake import Feed, Intake
from bridge.pipeline.outage import OutageBackoff
from bridge.storage.dedupe_index import IndexLostError


class Acceptance:
    """Hands the batches of all readers to the intake.

    Invariant: a batch that is not accepted has changed nothing, and the next owner of its partition reads it
    again from its cursors.
    """

    def __init__(
        self, intake: Intake, assignment: Assignment, checkpoints: Checkpoints, outage: OutageBackoff
    ) -> None:
        self._intake = intake
        self._assignment = assignment
        self._checkpoints = checkpoints
        self._outage = outage

    async def accept(
        self,
        tasks: asyncio.TaskGroup,
        feed: Feed,
        partition: Partition,
        records: Sequence[Record],
        cursors: Callable[[], Sequence[EndpointCursor]],
    ) -> bool:
        """Run steps 2 to 6 for a batch of one partition, for the ``cursors`` that take it then.

        Return False if the assignment ends: the batch is not accepted. Raises ``SchemaNeeded``; the batch is
        not accepted then either.
        """
        while True:
            if partition not in feed.covered:
                await self._cover(feed, partition, records)
            taking = cursors()
            is_live = partition in feed.covered and all(cursor.live for cursor in taking)
            if self._assignment.ending or not is_live:
                return False
            try:
                self._intake.accept(tasks, feed.window, partition, records, taking)
            except IndexLostError:
                feed.covered.clear()
            else:
                return True

    async def _cover(self, feed: Feed, partition: Partition, records: Sequence[Record]) -> None:
        """Make the index cover the dedupe window before a batch, while the partition is ours."""
        while partition in self._checkpoints.cursors:
            try:
                await feed.window.cover(partition, records[0].offset, earliest_ms(records))
            except KafkaUnavailable as exc:
                await self._outage.wait(exc)
            except IndexLostError:
                feed.covered.clear()
            else:
                feed.covered.add(partition)
                return
