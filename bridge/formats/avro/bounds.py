"""What hostile bytes may not do: how deep, how long. And the one number that all of Avro is made of.

Below ``avro_plan`` and ``fineract`` in step 2. Rule floor, pure.
"""

from __future__ import annotations

MAX_NESTING = 200  # values inside values; orjson writes at most 254 levels
MAX_DECIMAL_BYTES = 1024  # 2,466 digits, 0.1 ms; the time grows with the square of the length


class HostileBytes(Exception):
    """Bytes that do not follow the schema, or follow it out of all proportion."""


def read_long(data: bytes, at: int) -> tuple[int, int]:
    """Read a zig-zag varint (Avro 1.11, "Binary Encoding") and say where it ends. Raises ``HostileBytes``."""
    number = shift = 0
    for end in range(at, min(at + 10, len(data))):
        byte = data[end]
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (number >> 1) ^ -(number & 1), end + 1
        shift += 7
    raise HostileBytes("a number is cut short" if at + 10 > len(data) else "a number has more than 64 bits")


def read_length(data: bytes, at: int) -> tuple[int, int]:
    """Read how many bytes follow, which must be there. Raises ``HostileBytes``."""
    length, at = read_long(data, at)
    if not 0 <= length <= len(data) - at:
        raise HostileBytes(f"a length of {length} bytes where {len(data) - at} are left")
    return length, at
