"""Limits on hostile input, and the varint that every Avro length and number is encoded as."""

from __future__ import annotations

MAX_NESTING = 200  # levels of nested values; orjson writes at most 254
MAX_DECIMAL_BYTES = 1024  # 2,466 digits, 0.1 ms; the time grows with the square of the length
_LAST_BITS = (b"\0", b"\1")
"""What the tenth byte of a number may be: nine bytes have 63 of the 64 bits."""


class MalformedBytes(Exception):
    """Bytes that do not follow the schema, or that exceed a limit."""


def read_long(data: bytes, at: int) -> tuple[int, int]:
    """Read a zig-zag varint (Avro 1.11, "Binary Encoding"); return it and its end.

    Raises ``MalformedBytes``.
    """
    number = shift = 0
    begin = at
    for byte in data[at : at + 9]:
        at += 1
        if byte < 0x80:
            number |= byte << shift
            return (number >> 1) ^ -(number & 1), at
        number |= (byte & 0x7F) << shift
        shift += 7
    if data[at : at + 1] in _LAST_BITS:
        number |= data[at] << 63
        return (number >> 1) ^ -(number & 1), at + 1
    is_cut = begin + 10 > len(data)
    raise MalformedBytes("a number is cut short" if is_cut else "a number has more than 64 bits")


def read_length(data: bytes, at: int) -> tuple[int, int]:
    """Read a length in bytes and check that so many bytes are left; return it and its end.

    Raises ``MalformedBytes``.
    """
    length, at = read_long(data, at)
    if not 0 <= length <= len(data) - at:
        raise MalformedBytes(f"a length of {length} bytes, but only {len(data) - at} are left")
    return length, at
