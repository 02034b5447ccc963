"""Limits on hostile input, and the varint that every Avro length and number is encoded as."""

from __future__ import annotations

MAX_NESTING = 200  # levels of nested values; orjson writes at most 254
MAX_DECIMAL_BYTES = 1024  # 2,466 digits, 0.1 ms; the time grows with the square of the length


class MalformedBytes(Exception):
    """Bytes that do not follow the schema, or that exceed a limit."""


def read_long(data: bytes, at: int) -> tuple[int, int]:
    """Read a zig-zag varint (Avro 1.11, "Binary Encoding"); return it and its end.

    Raises ``MalformedBytes``.
    """
    number = shift = 0
    for end in range(at, min(at + 10, len(data))):
        byte = data[end]
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (number >> 1) ^ -(number & 1), end + 1
        shift += 7
    raise MalformedBytes("a number is cut short" if at + 10 > len(data) else "a number has more than 64 bits")


def read_length(data: bytes, at: int) -> tuple[int, int]:
    """Read a length in bytes and check that so many bytes are left; return it and its end.

    Raises ``MalformedBytes``.
    """
    length, at = read_long(data, at)
    if not 0 <= length <= len(data) - at:
        raise MalformedBytes(f"a length of {length} bytes, but only {len(data) - at} are left")
    return length, at
