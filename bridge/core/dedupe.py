"""Decide whether a record is a duplicate: the same key, earlier in the same partition.

Invariant: the rule compares offsets, not deliveries. A record that is read again (a replay, or a
redelivery after a crash) is again the first of its key, and is delivered. The index that finds the
first offset of a key is ``bridge/storage/dedupe_index/``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from struct import Struct
from typing import NamedTuple

from bridge.model import Event, Record, RedriveMark

_TWO_LONGS = Struct(">qq").unpack


class Claim(NamedTuple):
    """An event's claim to be the first of its key: 128 bits of the key's hash, and its offset."""

    key_high: int
    key_low: int
    offset: int


class Stretch(NamedTuple):
    """A part of a partition's log: the offsets [start, end)."""

    start: int
    end: int


def claims_of(decoded: Iterable[tuple[Record, Iterable[Event | RedriveMark]]]) -> list[Claim]:
    """Return the claim of each event, by tenant and idempotency key (in Fineract each tenant has its own).

    An event that is sent again is claimed by its request: two requests are no duplicates. Nor are two
    redrives (``round``) of one request: the first may have parked the event again.
    """
    claims = []
    for record, events in decoded:
        for event in events:
            if isinstance(event, RedriveMark):
                text = event.again_id
            else:
                again = "" if event.resend is None else event.resend.again_id + event.resend.round
                id = again or event.id
                text = f"{event.tenant}\0{id}" if event.tenant else id
            high, low = _TWO_LONGS(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest())
            claims.append(Claim(high, low, record.offset))
    return claims


def duplicates(claims: Sequence[Claim], first_offsets: Sequence[int]) -> list[bool]:
    """Return for each claim whether an earlier record has its key; ``first_offsets`` are the keys' first.

    The rule compares positions, not "ever delivered": a record that is read again (a replay, a
    redelivery after a crash) is still the first of its key, and is delivered.
    """
    return [first < claim.offset for claim, first in zip(claims, first_offsets, strict=True)]


def stretch_to_read(covered: Stretch | None, window_start: int, reader: int, max_keys: int) -> Stretch | None:
    """Return what the index must read before the reader continues at offset ``reader``; None for nothing.

    ``covered`` is what the index has read, and ``window_start`` the offset where the dedupe window
    begins. An index that ends below the reader continues from there. One that begins too late reads
    the whole window, but at most ``max_keys`` records.
    """
    start = max(window_start, reader - max_keys, 0)
    if start >= reader:
        return None
    if covered is None or covered.start > start or covered.end < start:
        return Stretch(start, reader)
    if covered.end >= reader:
        return None
    return Stretch(covered.end, reader)
