"""What names a replay: attempts in the history, dead letters, and new webhook-ids.

Invariant: an entry that was made for a live delivery never contains the mark of a replay.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from bridge.core.replay import as_new
from bridge.dead_letters.park import DeadLetterWriter
from bridge.dead_letters.topic import Reason
from bridge.history.row import Row, marked
from bridge.model import Event, Record, RedriveMark
from bridge.pipeline.ports import RecordDecoder
from bridge.pipeline.target import KeepsAttempts


class MarkedHistory:
    """Keeps the attempts of a replay with its mark as their ``again_id``."""

    def __init__(self, history: KeepsAttempts, mark: str) -> None:
        self._history = history
        self._mark = mark

    def add(self, attempt: Row) -> None:
        """Keep an attempt."""
        self._history.add(marked(attempt, self._mark))

    def add_all(self, attempts: Sequence[Row]) -> None:
        """Keep attempts, in their order."""
        self._history.add_all([marked(attempt, self._mark) for attempt in attempts])


class MarkedDeadLetters:
    """Parks the events of a replay, with a header that names it."""

    def __init__(self, dead_letters: DeadLetterWriter, mark: str) -> None:
        self._dead_letters = dead_letters
        self._mark = mark

    async def park(self, record: Record, reason: Reason) -> None:
        """Return once the record is acknowledged. Raises ``ParkError``."""
        details = {**reason.details, "replay": self._mark}
        await self._dead_letters.park(record, reason._replace(details=details))


class RenamedEvents:
    """Decodes as another decoder does, and gives each event the webhook-id of the replay."""

    def __init__(self, decoder: RecordDecoder, job_id: str) -> None:
        self._decoder = decoder
        self._job_id = job_id

    def decode(self, record: Record) -> Sequence[Event | RedriveMark]:
        """Return the events of one record. Raises what the other decoder raises."""
        decoded = self._decoder.decode(record)
        as_new((item for item in decoded if isinstance(item, Event)), self._job_id)
        return decoded


def renamed(
    decoders: Mapping[str, RecordDecoder], topics: Collection[str], job_id: str
) -> dict[str, RecordDecoder]:
    """Return decoders for these topics that give each event a new webhook-id."""
    return {topic: RenamedEvents(decoders[topic], job_id) for topic in topics}
