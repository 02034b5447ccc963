"""Limit the memory of batches that are unpacked and read in part.

A compressed batch of 200 KB may be 8 MB when it is unpacked, and is kept until its last record was read.
Invariant: all consumers of the process together keep at most ``most_bytes``, or one batch if that is more.
"""

from __future__ import annotations

from typing import Protocol
from weakref import WeakKeyDictionary


class PartlyRead(Protocol):
    """The records of one partition, in the middle of a batch."""

    def pack_again(self) -> None:
        """Drop the unpacked batch; unpack it again, up to the same place, when reading goes on."""


class UnpackedBatches:
    """The batches that are kept, the one that was read last at the end."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._sizes: WeakKeyDictionary[PartlyRead, int] = WeakKeyDictionary()

    def keep(self, records: PartlyRead, size_bytes: int) -> None:
        """Keep the batch of these records, and drop those that were read longest ago for it."""
        self._sizes.pop(records, None)
        excess = self.used_bytes + size_bytes - self._most_bytes
        for oldest in list(self._sizes):
            if excess <= 0:
                break
            excess -= self._sizes.pop(oldest)
            oldest.pack_again()
        self._sizes[records] = size_bytes

    def forget(self, records: PartlyRead) -> None:
        """Records that were read to their end keep nothing."""
        self._sizes.pop(records, None)

    @property
    def used_bytes(self) -> int:
        """Return an estimate of what the batches use."""
        return sum(self._sizes.values())
