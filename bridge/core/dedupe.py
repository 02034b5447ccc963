"""Step 3, duplicates: the same key earlier in the same partition.

Takes events and the index's answers, gives which of them are duplicates, and which stretch of the
log the index still has to read. Rule floor, pure; the index itself is ``bridge/storage/dedupe_index/``.
"""

from __future__ import annotations

from hashlib import blake2b
from struct import Struct
from typing import NamedTuple

from bridge.model import Event

_TWO_LONGS = Struct(">qq").unpack


class Claim(NamedTuple):
    """An event's claim to be the first of its key: 128 bits of the key, and its offset."""

    key_high: int
    key_low: int
    offset: int


class Stretch(NamedTuple):
    """A piece of a partition's log, [start, end)."""

    start: int
    end: int


def claim(event: Event) -> Claim:
    """The claim of an event, by tenant and idempotency key (Fineract: each tenant has its own).

    Of an event that is sent again, the request to send it counts: two requests are no duplicates.
    """
    id = event.claim_id or event.id
    text = f"{event.tenant}\0{id}" if event.tenant else id
    high, low = _TWO_LONGS(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest())
    return Claim(high, low, event.record.offset)


def is_duplicate(first_offset: int, offset: int) -> bool:
    """Whether a record stands behind the first of its key.

    The rule speaks of positions, not of "ever delivered": a record that is read again (a replay,
    a redelivery after a crash) is the first of its key as it was before, and is delivered.
    """
    return first_offset < offset


def missing(covered: Stretch | None, window_start: int, reader: int, max_keys: int) -> Stretch | None:
    """What the index must read before the reader goes on at ``reader``; None when nothing.

    ``window_start`` is the offset where the dedupe window begins. An index whose cover ends below
    the reader reads on from there; one that begins too late reads it all.
    """
    start = max(window_start, reader - max_keys, 0)
    if start >= reader:
        return None
    if covered is None or covered.start > start or covered.end < start:
        return Stretch(start, reader)
    if covered.end >= reader:
        return None
    return Stretch(covered.end, reader)
