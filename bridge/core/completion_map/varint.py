"""Encode whole numbers of 0 and more as LEB128 varints: seven bits per byte, the lowest first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bridge.core.completion_map.completion import DamagedMapError

_MAX_SHIFT = 56
"""Bits before the last byte: nine bytes hold 63 bits, and a Kafka offset has no more."""


def encode_varints(numbers: Iterable[int]) -> bytes:
    """Return the numbers as varints, one after the other."""
    out = bytearray()
    for number in numbers:
        rest = number
        while rest > 0x7F:
            out.append(rest & 0x7F | 0x80)
            rest >>= 7
        out.append(rest)
    return bytes(out)


def decode_varints(data: bytes) -> Iterator[int]:
    """Yield every number in ``data``. Raises ``DamagedMapError``."""
    at = 0
    while at < len(data):
        number, at = decode_varint(data, at)
        yield number


def decode_varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the number that begins at ``at``, and the index after it. Raises ``DamagedMapError``."""
    number = shift = 0
    while at < len(data) and shift <= _MAX_SHIFT:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7
    raise DamagedMapError("a number in it is truncated or too long")
