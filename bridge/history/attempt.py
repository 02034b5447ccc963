"""What is kept of one attempt, and its id. Pure.

Invariant: an attempt contains no secret. ``pipeline/attempt_log.py`` masks all that it puts in here.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import NamedTuple

from bridge.core.batches import ID_PATTERN
from bridge.model import Partition

MASK = b"***"
"""What an attempt has in place of a secret."""
_ID = re.compile(r"([0-9]{1,9}):([0-9]{1,18}):([0-9]{1,6})")
_BATCH_ID = re.compile(rf"^webhook-id: ({ID_PATTERN})$".encode(), re.MULTILINE)


def header_pairs(lines: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """Return the headers of an attempt, as name and value."""
    pairs = (line.partition(b": ") for line in lines.split(b"\n") if line)
    return tuple((name, value) for name, _, value in pairs)


class Later:
    """When the attempt after a failed one is due (Unix seconds), which is known after the failed one is kept.

    ``at_s`` is None if there is no further attempt.
    """

    __slots__ = ("at_s",)

    def __init__(self, at_s: float | None = None) -> None:
        self.at_s = at_s

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Later) and other.at_s == self.at_s

    __hash__ = None  # type: ignore[assignment]  # it changes; mypy has no other form for "not hashable"


class Source(NamedTuple):
    """The place of a record in its source topic, and its timestamp in Unix milliseconds."""

    partition: Partition
    offset: int
    timestamp_ms: int


class Attempt(NamedTuple):
    """One request for one event to one endpoint, and its answer or the lack of one.

    Times are in Unix seconds, ``appended_ms`` is the timestamp of the record in Unix milliseconds. The place
    is that of the record that was read: in ``<group>.again`` for an event that was sent again, which
    has an ``again_id``. ``event_index`` numbers the events of one record from 1; 0 is the only one.

    ``body`` is what was sent; None if it is not kept. ``body_bytes`` is its size in any case, and
    ``body_sha256`` its hash if it was too large. Without an answer, ``status`` and the parts of the answer
    are None. ``answer_body`` is the beginning of the answer. Headers are lines ``name: value``. ``later`` is
    None for a delivery. ``trace_id`` has 32 hexadecimal digits; None without traces (setting ``tracing``).

    What a re-send needs: the first ``own_headers`` lines are those that were rendered, before the signature
    and the endpoint's own. ``body_masked`` is True if ``body`` is not exactly what was sent. ``lane`` is the
    ordering key. Of an event that was sent again, ``origin`` and ``origin_ms`` are place and timestamp of its
    record in the source topic, and ``repeats`` is the id of the attempt that this one repeats. Attempts of
    earlier releases have none of these.
    """

    sent_s: float
    answered_s: float
    event_id: str
    webhook_id: str
    type: str
    entity: str | None
    tenant: str | None
    topic: str
    partition: int
    offset: int
    event_index: int
    event_time: str
    appended_ms: int
    again_id: str | None
    attempt: int
    method: str
    url: str
    status: int | None
    verdict: str
    reason: str
    body_bytes: int
    body_sha256: str | None
    body_masked: bool | None
    own_headers: int | None
    repeats: str | None
    origin: str | None
    origin_ms: int | None
    later: Later | None
    lane: Hashable | None
    headers: bytes
    body: bytes | None
    answer_headers: bytes | None
    answer_body: bytes | None
    trace_id: str | None = None

    @property
    def place(self) -> str:
        """Return ``topic-partition@offset`` of the record that the event was read from."""
        return f"{self.topic}-{self.partition}@{self.offset}"

    @property
    def batch_id(self) -> str | None:
        """Return the id of the batch that the event was sent in; None if it was sent alone.

        It is the ``webhook-id`` of the request.
        """
        match = _BATCH_ID.search(self.headers)
        return None if match is None or match[1] == self.webhook_id.encode() else match[1].decode()

    @property
    def source(self) -> Source:
        """Return where the record of the event is in its source topic, and its timestamp."""
        if self.origin is None:
            return Source(Partition(self.topic, self.partition), self.offset, self.appended_ms)
        place, _, offset = self.origin.rpartition("@")
        topic, _, number = place.rpartition("-")
        return Source(Partition(topic, int(number)), int(offset), self.origin_ms or 0)

    @property
    def next_s(self) -> float | None:
        """Return when the next attempt was due; None if there was to be none."""
        return None if self.later is None else self.later.at_s


class AttemptId(NamedTuple):
    """The id of an attempt: where it is in ``<group>.attempts``, and its number in that record, from 0.

    It is typed by operators as ``partition:offset:entry``. It never changes, because records do not.
    """

    number: int
    offset: int
    entry: int

    def __str__(self) -> str:
        return f"{self.number}:{self.offset}:{self.entry}"

    @classmethod
    def parse(cls, text: str) -> AttemptId:
        """Read an id. Raises ``ValueError``."""
        match = _ID.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not the id of an attempt, such as 3:1042:17")
        return cls(int(match[1]), int(match[2]), int(match[3]))


class Kept(NamedTuple):
    """An attempt as it is in the topic: its id and its endpoint."""

    id: AttemptId
    endpoint: str
    attempt: Attempt
