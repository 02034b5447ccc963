"""What there is to commit of a cursor. Pure.

Invariant: everything below ``offset`` is settled, and nothing of ``open_offsets`` is.
"""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

from bridge.model import Spot

Note = TypeVar("Note")
"""What is stored about a delivery that failed (``bridge.core.completion_map.Failures``)."""


class Progress(NamedTuple, Generic[Note]):
    """What to commit: the lowest unsettled ``offset``, and all unsettled offsets below ``end``.

    ``failures`` belong to deliveries that wait for a retry. ``parts`` are the settled events of
    records that have other events unsettled.
    """

    offset: int
    open_offsets: list[int]
    end: int
    failures: dict[Spot, Note]
    parts: dict[int, frozenset[int]]
