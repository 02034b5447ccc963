"""Decide whether a record is a duplicate: the same key, earlier in the same partition.

Invariant: the rule compares offsets, not deliveries, and no clock but the bridge's own moves the window
ahead. A record that is read again (a replay, or a
redelivery after a crash) is again the first of its key, and is delivered. The index that finds the
first offset of a key is ``bridge/storage/dedupe_index/``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from operator import attrgetter
from struct import Struct
from typing import NamedTuple

from bridge.model import Event, Record, RedriveMark

_TWO_LONGS = Struct(">qq").unpack
_NOTHING_HASHED = blake2b(digest_size=16)
"""It is copied for each key, which takes a third of making a new one."""
_new = tuple.__new__
"""``Claim(...)`` without the call of its ``__new__``, which is written in Python."""
_timestamp_ms = attrgetter("timestamp_ms")


class Claim(NamedTuple):
    """An event's claim to be the first of its key: 128 bits of the key's hash, and its offset.

    ``digest`` is a checksum of the event's type and data (``Event.digest``); 0 if there is none.
    """

    key_high: int
    key_low: int
    offset: int
    digest: int = 0


class Stretch(NamedTuple):
    """A part of a partition's log: the offsets [start, end)."""

    start: int
    end: int


def claims_of(decoded: Iterable[tuple[Record, Iterable[Event | RedriveMark]]]) -> list[Claim]:
    """Return the claim of each event: by tenant, and by the id with its JSON type.

    In Fineract each tenant has its own ids, and the ids 1 and "1" are two events. An event that is sent
    again is claimed by its request: two requests are no duplicates. Nor are two redrives (``round``) of
    one request: the first may have parked the event again.
    """
    claims: list[Claim] = []
    add = claims.append
    for record, events in decoded:
        for event in events:
            digest = 0
            if isinstance(event, RedriveMark):
                text = f"again:{event.again_id}"
            elif event.resend is not None:
                text = f"again:{event.resend.again_id}{event.resend.round}"
            else:
                tenant, digest = event.tenant, event.digest
                if tenant is None and event.id_kind == "text":
                    text = f":{event.id}"  # the usual case; the others begin with a letter
                else:
                    size = -1 if tenant is None else len(tenant)
                    text = f"{event.id_kind},{size}:{tenant or ''}{event.id}"
            hashed = _NOTHING_HASHED.copy()
            hashed.update(text.encode("utf-8", "surrogatepass"))
            add(_new(Claim, _TWO_LONGS(hashed.digest()) + (record.offset, digest)))  # noqa: RUF005  # as below
    return claims


def duplicates(claims: Sequence[Claim], firsts: Sequence[Claim]) -> list[Claim | None]:
    """Return for each claim the earlier record that has its key; None if it is the first of its key.

    The rule compares positions, not "ever delivered": a record that is read again (a replay, a
    redelivery after a crash) is still the first of its key, and is delivered.
    """
    return [
        first if first.offset < claim.offset else None for claim, first in zip(claims, firsts, strict=True)
    ]


def earliest_ms(records: Iterable[Record]) -> int:
    """Return the earliest timestamp of a batch; -1 if no record has one, as Kafka writes it.

    Producers write the timestamps, and their clocks may be wrong. The earliest of a batch forgets keys
    too late rather than too early, and begins a window too early rather than too late.
    """
    times = [*map(_timestamp_ms, records)]
    earliest = min(times, default=-1)
    return earliest if earliest > 0 else min((time for time in times if time > 0), default=-1)


def log_time_ms(timestamp_ms: int, now_ms: int) -> int:
    """Return the time of the log at a timestamp: never ahead of the bridge's clock, now if there is none."""
    return timestamp_ms if 0 < timestamp_ms < now_ms else now_ms


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
