"""Decide how many records a reader asks for, so that a batch has about as many bytes as it may have.

Invariant: the number at most doubles from one batch to the next, and is never below one.
"""

from __future__ import annotations

_FIRST = 64


class BatchSize:
    """The number of records to ask for next, from the size of those of the last batch.

    Kafka's clients limit a batch by its number of records, or by its bytes as compressed.
    """

    def __init__(self, most_records: int, most_bytes: int) -> None:
        self._most_records = most_records
        self._most_bytes = most_bytes
        self.records = min(_FIRST, most_records)

    def note(self, sizes: list[int]) -> None:
        """Adapt to a batch whose records have these sizes in bytes."""
        if not sizes:
            return
        fitting = self._most_bytes * len(sizes) // max(1, sum(sizes))
        self.records = max(1, min(self._most_records, fitting, self.records * 2))
