"""Decide whether an offset is settled, by what an earlier process committed and journaled.

Invariant: an offset that is unknown here counts as unsettled. It is then delivered again at worst.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

from bridge.model import Spot


class DamagedMapError(ValueError):
    """A metadata string that is no completion map, or not the one for its offset."""


class Failures(NamedTuple):
    """The number of failed attempts of a delivery, and the instant of the first (Unix seconds).

    ``refused`` is not 0 if the event is not to be sent again, and only its dead letter is missing: the
    status of the last answer, or ``NO_ANSWER``.
    """

    attempts: int
    first_at_s: int
    refused: int = 0


NO_ANSWER = 1
"""``Failures.refused`` of an event whose last attempt had no answer."""


class Completion(NamedTuple):
    """What was settled when a cursor was committed: all of [offset, end) except ``open_offsets``.

    ``parts`` are the settled events of open offsets whose records hold several events.
    """

    offset: int
    end: int
    open_offsets: frozenset[int] = frozenset()
    failures: Mapping[Spot, Failures] = {}
    parts: Mapping[int, frozenset[int]] = {}

    def settled(self, offset: int) -> bool:
        """Return True if this offset needs no delivery any more."""
        return offset < self.offset or (offset < self.end and offset not in self.open_offsets)

    def with_settled(self, spots: Collection[Spot]) -> Completion:
        """Return this completion with more spots settled, as a journal recorded them.

        Part 0 settles the whole offset.
        """
        parts = dict(self.parts)
        for offset, part in spots:
            if part:
                parts[offset] = parts.get(offset, frozenset()) | {part}
        more = {offset for offset, part in spots if not part and not self.settled(offset)}
        if not more:
            return self._replace(parts=parts)
        end = max(self.end, max(more) + 1)
        open_offsets = (self.open_offsets | set(range(self.end, end))) - more
        return Completion(self.offset, end, frozenset(open_offsets), self.failures, parts)
