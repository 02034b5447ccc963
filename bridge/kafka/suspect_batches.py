"""Count how often a batch was found damaged: bytes can be damaged on their way, too.

Invariant: a batch is given up only after it was damaged in ``TRIES`` fetches from the same place.
"""

from __future__ import annotations

from bridge.telemetry import events
from bridge.telemetry.sparse_log import SparseLog

TRIES = 3
_MOST_PLACES = 1000

Place = tuple[str, int, int]
"""Topic, partition and the position that the batch was fetched from."""


class SuspectBatches:
    """The places of batches that were damaged at least once. Bounded: the oldest place is forgotten.

    All readers of the process share one, so that each new reader need not begin to count again.
    """

    def __init__(self) -> None:
        self._tries: dict[Place, int] = {}
        self._sparse_log = SparseLog()

    def given_up(self, place: Place, cause: str) -> bool:
        """Count one more failure; return True if it was the last try, which also forgets the place."""
        tries = self._tries.pop(place, 0) + 1
        if tries >= TRIES:
            return True
        self._tries[place] = tries
        if len(self._tries) > _MOST_PLACES:
            del self._tries[next(iter(self._tries))]
        topic, number, offset = place
        self._sparse_log.warning(
            events.BATCH_SUSPECTED,
            place=f"{topic}-{number}@{offset}",
            cause=cause,
            remedy=f"none needed: it is fetched again, and parked after {TRIES} tries",
        )
        return False
