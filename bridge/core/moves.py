"""Moves of cursors by an operator, as records of ``<group>.control``: one per partition. Pure.

The process that is assigned the partition applies a move once, commits the cursor, and then deletes its
record. Invariant: a move back never goes forward, and a move forward never goes back, so that applying one
twice repeats events and loses none.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import orjson

from bridge.core import completion_map
from bridge.core.completion_map import Failures
from bridge.core.progress import Progress
from bridge.model import Committed, Partition, Record

PREFIX = b"move/"
"""Keys are ``move/<id>/<endpoint>/<topic>/<partition>``."""
_TEXT_CHARS = 500


class Move(NamedTuple):
    """Where the cursor of an endpoint in a partition is to go on: at ``offset``.

    ``is_back``: everything from there on is sent again. Otherwise nothing below it is sent any more. ``at``
    is an RFC 3339 instant; ``by`` is who did it.
    """

    id: str
    endpoint: str
    partition: Partition
    is_back: bool
    offset: int
    at: str
    by: str

    @property
    def key(self) -> bytes:
        """Return the key of its record."""
        topic, number = self.partition
        return PREFIX + f"{self.id}/{self.endpoint}/{topic}/{number}".encode()

    def to_bytes(self) -> bytes:
        """Return the value of its record."""
        return orjson.dumps(
            {"back": self.is_back, "offset": self.offset, "at": self.at, "by": self.by[:_TEXT_CHARS]}
        )

    def target(self, progress: Progress[Failures]) -> Committed | None:
        """Return what to commit for a cursor with this progress; None if it needs not move."""
        if self.is_back:
            return Committed(self.offset, "") if self.offset < progress.offset else None
        if self.offset <= progress.offset:
            return None
        still_open = [offset for offset in progress.open_offsets if offset >= self.offset]
        end = max(progress.end, self.offset)
        lowest = still_open[0] if still_open else end
        text, _ = completion_map.encode(
            lowest,
            still_open,
            end,
            {spot: note for spot, note in progress.failures.items() if spot[0] >= lowest},
            {offset: parts for offset, parts in progress.parts.items() if offset >= lowest},
        )
        return Committed(lowest, text)


def read_move(record: Record) -> Move | None:
    """Return the move in a record; None if it is none of this release."""
    try:
        _, id, endpoint, topic, number = (record.key or b"").decode().split("/")
        document = orjson.loads(record.value or b"")
        if int(document["offset"]) < 0 or int(number) < 0:
            return None
        return Move(
            id,
            endpoint,
            Partition(topic, int(number)),
            bool(document["back"]),
            int(document["offset"]),
            str(document["at"]),
            str(document["by"]),
        )
    except (ValueError, TypeError, KeyError):
        return None


class Moves:
    """The moves that wait, as far as the topic was read, in the order of their records."""

    def __init__(self) -> None:
        self._waiting: dict[bytes, Move] = {}

    def apply(self, record: Record) -> None:
        """Take over a record whose key is that of a move."""
        key = record.key or b""
        self._waiting.pop(key, None)
        if record.value is not None and (move := read_move(record)) is not None:
            self._waiting[key] = move

    def all(self) -> list[Move]:
        """Return the moves that wait, oldest first."""
        return list(self._waiting.values())


def latest(moves: Iterable[Move]) -> dict[tuple[str, Partition], Move]:
    """Return the last move of each cursor: the earlier ones are void."""
    return {(move.endpoint, move.partition): move for move in moves}
