"""Encode what a map stores after its offsets: settled parts of open records, and failed attempts.

Both are written lowest offset first and stop when ``room`` (bytes) is used up: the rest is
forgotten, which repeats deliveries or attempts after a restart and loses none.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from bridge.core.completion_map.completion import DamagedMapError, Failures
from bridge.core.completion_map.varint import decode_varints, encode_varints
from bridge.model import Spot

_MAX_PARTS = 1 << 16
"""Events in all parts of one map: bounds the memory that a hostile metadata string can make us allocate."""
_MAX_ATTEMPTS = 4095
"""More are not counted. An older release reads a refused event as one with more attempts than allowed: it
sends the event once more, and parks it."""
_LENGTH_BYTES = 3
"""The varint before the parts, at most: a map has fewer than 2^21 bytes."""


def encode_parts(offset: int, parts: Mapping[int, Collection[int]], room: int) -> bytes:
    """Return the length in bytes, then per offset: distance, number of runs, and the runs.

    Runs are lengths of open and settled events in turn, from event 1 on.
    """
    out, previous, events = bytearray(), offset, 0
    for open_offset in sorted(parts):
        runs, at = list[int](), 1
        for part in sorted(parts[open_offset]):
            if part == at and runs:
                runs[-1] += 1
            else:
                runs += (part - at, 1)
            at = part + 1
        entry = encode_varints((open_offset - previous, len(runs), *runs))
        events += at
        if len(out) + len(entry) + _LENGTH_BYTES > room or events > _MAX_PARTS:
            break
        out += entry
        previous = open_offset
    return encode_varints([len(out)]) + bytes(out) if out else b""


def decode_parts(offset: int, data: bytes) -> dict[int, frozenset[int]]:
    """Return what ``encode_parts`` encoded after its length. Raises ``DamagedMapError``."""
    numbers, parts, events = iter(decode_varints(data)), dict[int, frozenset[int]](), 0
    for distance in numbers:
        offset += distance
        settled, at = list[int](), 1
        for run in range(next(numbers, 0)):
            length = next(numbers, 0)
            events += length
            if events > _MAX_PARTS:
                raise DamagedMapError("it lists more events than a map may")
            if run % 2:
                settled += range(at, at + length)
            at += length
        parts[offset] = frozenset(settled)
    return parts


def encode_failures(offset: int, failures: Mapping[Spot, Failures], room: int) -> bytes:
    """Return four varints per failure: distance in offsets, part, attempts and ``refused``, Unix seconds."""
    out = bytearray()
    previous = offset
    for failed_offset, part in sorted(failures):
        attempts, first_at_s, refused = failures[failed_offset, part]
        tries = min(attempts, _MAX_ATTEMPTS) + refused * (_MAX_ATTEMPTS + 1)
        entry = encode_varints((failed_offset - previous, part, tries, max(0, first_at_s)))
        if len(out) + len(entry) > room:
            break
        out += entry
        previous = failed_offset
    return bytes(out)


def decode_failures(offset: int, data: bytes) -> dict[Spot, Failures]:
    """Return what ``encode_failures`` encoded. Raises ``DamagedMapError``."""
    numbers = list(decode_varints(data))
    if len(numbers) % 4:
        raise DamagedMapError("its failures are truncated")
    failures, at = dict[Spot, Failures](), offset
    for distance, part, tries, first_at_s in zip(*(numbers[n::4] for n in range(4)), strict=True):
        at += distance
        refused, attempts = divmod(tries, _MAX_ATTEMPTS + 1)
        failures[at, part] = Failures(attempts, first_at_s, refused)
    return failures
