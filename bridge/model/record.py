"""A record of Kafka and its place: partition, record, offsets.

They are named tuples: one of each is created per event, and a tuple costs a third of a frozen dataclass.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Header = tuple[str, bytes | None]
"""A Kafka record header: name and raw value, which may be null. A record may have a name several times."""
_HEADER_BYTES = 170
"""What a header uses besides its bytes: two objects and a tuple."""


class Partition(NamedTuple):
    """One partition of one source topic."""

    topic: str
    number: int

    def __str__(self) -> str:
        return f"{self.topic}-{self.number}"


class Damage(NamedTuple):
    """Why a record cannot be read from the log, and the offset after the last one that it covers.

    ``raw_of`` is what the record's value contains: "" for its own value, "record" for the bytes of
    the record, "batch" for those of the whole batch.
    """

    cause: str
    remedy: str
    end: int
    raw_of: Literal["", "record", "batch"] = ""


class Record(NamedTuple):
    """A record as read from Kafka, not decoded. With ``damage`` it must not be decoded."""

    partition: Partition
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...] = ()
    damage: Damage | None = None

    @property
    def end(self) -> int:
        """Return the offset after it: plus one, except for damaged records."""
        return self.offset + 1 if self.damage is None else self.damage.end

    @property
    def place(self) -> str:
        """Return ``topic-partition@offset``, the name of a record in logs and reasons."""
        return f"{self.partition}@{self.offset}"

    @property
    def size_bytes(self) -> int:
        """Return what key, value and headers use in memory."""
        size = len(self.value or b"") + len(self.key or b"")
        for name, value in self.headers:
            size += _HEADER_BYTES + len(name) + len(value or b"")
        return size

    def last_header(self, name: str) -> bytes | None:
        """Return the last header of this name, as ``lastHeader`` of Kafka's clients does.

        None if there is none, or if the last one is null.
        """
        for key, value in reversed(self.headers):
            if key == name:
                return value
        return None

    def header_texts(self) -> dict[str, str | None]:
        """Return the last header of each name as text; null is None."""
        return {name: _header_text(value) for name, value in self.headers}

    def all_header_texts(self) -> dict[str, list[str | None]]:
        """Return all headers of each name as text, in the order of the record."""
        texts: dict[str, list[str | None]] = {}
        for name, value in self.headers:
            texts.setdefault(name, []).append(_header_text(value))
        return texts


def _header_text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "replace")


Batch = tuple[Partition, list[Record]]
"""Records of one partition, in log order."""


Spot = tuple[int, int]
"""An offset and a part: which event of its record (``Event.index``), 0 for the only one or for all."""


class Committed(NamedTuple):
    """A committed offset (the next one to read) and its metadata string."""

    offset: int
    metadata: str
