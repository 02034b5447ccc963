"""Find the partition at which a consumer fails again and again, whatever it raises. Pure.

The patches of aiokafka's parser leave nothing to raise; this is for what they do not foresee.
Invariant: a position is given up only after ``TRIES`` failures of a poll that read it alone, and the
next one within the same search only after twice as many. So a client that always fails gives up
a handful of records, not a topic.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Generic, TypeVar

TRIES = 3
_QUIET_POLLS = 100
_Name = TypeVar("_Name")


class PoisonSearch(Generic[_Name]):
    """Decides which partitions to poll: all, or one after the other once polls have failed several times.

    Polls between two failures prove nothing: a new consumer first polls without records. So the
    search ends only after many polls in a row without a failure.
    """

    def __init__(self) -> None:
        self._tries: Counter[tuple[_Name, int]] = Counter()
        self._forget()

    def _forget(self) -> None:
        self._failures = self._quiet = self._given_up = 0
        self._turns: list[_Name] = []
        self._tries.clear()

    def choose(self, readable: Collection[_Name]) -> Collection[_Name]:
        """Return the partitions of the next poll."""
        if self._failures < TRIES or not readable:
            return readable
        known = [name for name in self._turns if name in readable]
        self._turns = [*known, *(name for name in readable if name not in known)]
        return self._turns[:1]

    def succeeded(self, polled: Collection[_Name]) -> None:
        """Note a poll that raised nothing."""
        if not self._failures:
            return
        self._quiet += 1
        if self._quiet >= max(_QUIET_POLLS, 10 * len(self._turns)):
            self._forget()
        elif self._turns and len(polled) == 1:
            self._turns = [*(name for name in self._turns if name not in polled), *polled]

    def failed(self, polled: Collection[_Name], position: int | None) -> bool:
        """Note a poll that failed; return True to give up the record at its only partition's position."""
        self._failures += 1
        self._quiet = 0
        if len(polled) != 1 or position is None:
            return False
        place = (next(iter(polled)), position)
        self._tries[place] += 1
        if self._tries[place] < TRIES << self._given_up:
            return False
        del self._tries[place]
        self._given_up += 1
        return True
