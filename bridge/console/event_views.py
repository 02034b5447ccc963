"""What the console shows of events: attempts, parked events, and what a receiver was sent. Pure.

Invariant: a view contains no secret, because it is made of records in which secrets are masked already.
Instants are Unix seconds (``_s``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bridge.core.batches import ID_PATTERN

_BATCH = re.compile(ID_PATTERN)


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """One attempt in a list. ``id`` is ``partition:offset:entry``; ``place`` is that of the record."""

    id: str
    endpoint: str
    sent_s: float
    answered_s: float
    event_id: str
    webhook_id: str
    type: str
    entity: str | None
    tenant: str | None
    attempt: int
    status: int | None
    verdict: str
    reason: str
    next_s: float | None
    place: str
    appended_s: float
    body_bytes: int
    again_id: str | None = None

    @property
    def took_s(self) -> float:
        """Return the time from the request to the answer, or to its failure."""
        return max(0.0, self.answered_s - self.sent_s)


@dataclass(frozen=True, slots=True)
class AttemptDetail:
    """One attempt with its request and its answer as they were, secrets masked.

    ``body`` is what was sent; None if it was not kept (``body_sha256`` is its hash, if it was too large).
    ``answer_body`` is the beginning of the answer. Headers are pairs in the order of the request. ``copied``
    is True if a body is not valid UTF-8 and is shown with replacement characters.
    """

    row: AttemptRow
    method: str
    url: str
    headers: Sequence[tuple[str, str]]
    body: str | None
    body_sha256: str | None
    answer_headers: Sequence[tuple[str, str]]
    answer_body: str | None
    event_time: str
    copied: bool = False

    @property
    def batch_id(self) -> str | None:
        """Return the id of the batch that the event was sent in; None if it was sent alone."""
        id_ = next((value for name, value in self.headers if name.lower() == "webhook-id"), None)
        return None if id_ is None or id_ == self.row.webhook_id or not _BATCH.fullmatch(id_) else id_


@dataclass(frozen=True, slots=True)
class EventTimeline:
    """Everything known of one event: its attempts at all endpoints, oldest first, and where it is parked."""

    event_id: str
    type: str
    entity: str | None
    tenant: str | None
    event_time: str
    place: str
    attempts: Sequence[AttemptRow]
    parked: Sequence[ParkedRow] = ()


@dataclass(frozen=True, slots=True)
class ParkedRow:
    """One parked event.

    ``address`` is ``partition:offset``, as commands take it. ``state`` is ``parked``, ``redriven``,
    ``discarded`` or ``queued`` (it waits in ``<group>.again``). ``held`` is True if its lane waits for it.
    """

    address: str
    endpoint: str | None
    event_id: str | None
    webhook_id: str | None
    type: str | None
    entity: str | None
    tenant: str | None
    reason: str
    detail: str
    status: int | None
    attempts: int | None
    parked_s: float
    place: str
    state: str = "parked"
    held: bool = False


@dataclass(frozen=True, slots=True)
class ParkedDetail:
    """One parked event with the value of its record, as text."""

    row: ParkedRow
    facts: Mapping[str, str]
    value: str | None
    history: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class FeedEntry:
    """One event that was sent to an endpoint, with its body as sent, for the receiver.

    ``cursor`` is passed as ``after`` to read on from here. ``status`` is that of the last answer.
    """

    cursor: str
    webhook_id: str
    type: str
    sent_s: float
    attempt: int
    status: int | None
    delivered: bool
    headers: Mapping[str, str]
    body: str | None
    body_sha256: str | None


@dataclass(frozen=True, slots=True)
class DigestHour:
    """The ``webhook-id`` of all events that were delivered in one hour: their count and their hash.

    ``sha256`` is that of the ids, sorted, each followed by a line feed.
    """

    hour_s: float
    count: int
    sha256: str
