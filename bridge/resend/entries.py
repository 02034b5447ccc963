"""Decide whether an attempt can be sent again; make the record of ``<group>.again`` that requests it. Pure.

Invariant: what is sent as it was has the method, the body and the rendered headers of the attempt, byte for
byte. An attempt of which the history does not have all that is refused, with cause and remedy.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from enum import Enum
from hashlib import blake2b
from typing import NamedTuple

from bridge.formats.resent import packed
from bridge.history.attempt import MASK, Kept, header_pairs
from bridge.kafka.producer import NewRecord
from bridge.model import LaneKey, Record, Resend, StoredRequest

_RENDER = "render the event again: --render"
_HISTORY = "history.max_body_bytes and history.bodies decide what is kept of later ones"


class Refusal(Enum):
    """Why an attempt cannot be sent again: the cause, and the remedy."""

    NO_ENDPOINT = ("its endpoint is not configured any more", "configure the endpoint again")
    NO_PARTITION = (
        "its partition is newer than the topic for events that are sent again",
        "restart the bridge, which adds partitions to that topic",
    )
    EARLIER_RELEASE = ("it was recorded by a release that did not keep all of a request", _RENDER)
    BODY_NOT_KEPT = ("its body was not kept", f"{_RENDER}; {_HISTORY}")
    BODY_TOO_LARGE = ("its body was too large to be kept, only its hash was", f"{_RENDER}; {_HISTORY}")
    BODY_MASKED = ("a secret in its body is masked in the history", _RENDER)
    HEADER_MASKED = ("a secret in a header that was rendered is masked in the history", _RENDER)
    NO_SOURCE = (
        "no source reads the topic of its record any more",
        "name the topic in a source, or send it as it was, without --render",
    )
    RECORD_GONE = (
        "its record is not in the source topic any more",
        "send it as it was, without --render, or have the producer write the event again",
    )
    ATTEMPT_GONE = (
        "the retention of the history deleted it meanwhile",
        "have the producer write the event again",
    )

    @property
    def cause(self) -> str:
        """Return the cause."""
        return str(self.value[0])

    @property
    def remedy(self) -> str:
        """Return the remedy."""
        return str(self.value[1])


class Targets(NamedTuple):
    """What can be sent to: the topic of requests, its partitions, the endpoints, the sources' topics."""

    again: str
    partitions: int
    endpoints: Container[str]
    is_source: Callable[[str], bool]


def refusal(kept: Kept, targets: Targets, *, render: bool) -> Refusal | None:
    """Return why an attempt cannot be sent again; None if it can, as far as the attempt shows."""
    attempt = kept.attempt
    topic, number = attempt.source.partition
    if kept.endpoint not in targets.endpoints:
        return Refusal.NO_ENDPOINT
    if number >= targets.partitions:
        return Refusal.NO_PARTITION
    if render:
        return None if targets.is_source(topic) else Refusal.NO_SOURCE
    return _lacking(kept)


def _lacking(kept: Kept) -> Refusal | None:
    """Return what the history does not have of a request; None if it has all of it."""
    attempt = kept.attempt
    reasons = {
        Refusal.EARLIER_RELEASE: attempt.own_headers is None,
        Refusal.BODY_TOO_LARGE: attempt.body_sha256 is not None,
        Refusal.BODY_NOT_KEPT: attempt.body is None,
        Refusal.BODY_MASKED: bool(attempt.body_masked),
        Refusal.HEADER_MASKED: any(value == MASK for _, value in _own_headers(kept)),
    }
    return next((reason for reason, applies in reasons.items() if applies), None)


def request_id(job: str, kept: Kept) -> str:
    """Return the id of the request to send an attempt again; the same one if a job is carried out twice."""
    return blake2b(f"{job} {kept.id} {kept.endpoint}".encode(), digest_size=16).hexdigest()


def webhook_id(kept: Kept, again_id: str, *, new_id: bool) -> str:
    """Return the ``webhook-id`` to send: that of the attempt, or another one for each request."""
    return f"again_{again_id}" if new_id else kept.attempt.webhook_id


def stored_entry(kept: Kept, targets: Targets, again_id: str, *, new_id: bool = False) -> NewRecord:
    """Return the record that has an attempt sent again as it was; ``refusal`` returned None for it."""
    attempt = kept.attempt
    lane = None if attempt.lane is None else LaneKey(*attempt.lane)  # type: ignore[misc] # Hashable: opaque to lanes
    stored = StoredRequest(
        attempt.method,
        attempt.url,
        _own_headers(kept),
        attempt.event_id,
        attempt.type,
        attempt.event_time,
        attempt.entity,
        attempt.tenant,
        lane,
    )
    partition, offset, timestamp_ms = attempt.source
    key = lane.key if lane is not None else attempt.entity
    raw = key.encode("utf-8", "surrogatepass") if isinstance(key, str) else key
    origin = Record(
        partition, offset, timestamp_ms, raw if isinstance(raw, bytes) else None, attempt.body or b""
    )
    return _entry(kept, targets, origin, again_id, new_id, stored)


def rendered_entry(
    kept: Kept, record: Record, targets: Targets, again_id: str, *, new_id: bool = False
) -> NewRecord:
    """Return the record that has the event of an attempt rendered again, from its ``record``."""
    return _entry(kept, targets, record, again_id, new_id, None)


def _entry(
    kept: Kept, targets: Targets, origin: Record, again_id: str, new_id: bool, stored: StoredRequest | None
) -> NewRecord:
    resend = Resend(
        origin,
        kept.endpoint,
        again_id,
        kept.attempt.event_index,
        webhook_id=webhook_id(kept, again_id, new_id=new_id),
        stored=stored,
        repeats=str(kept.id),
    )
    value = b"" if origin.value is None and origin.key is None else origin.value
    return NewRecord(targets.again, value, origin.key, origin.partition.number, packed(resend))


def _own_headers(kept: Kept) -> tuple[tuple[bytes, bytes], ...]:
    """Return the headers that were rendered: neither the signature nor those of the configuration."""
    return header_pairs(kept.attempt.headers)[: kept.attempt.own_headers or 0]
