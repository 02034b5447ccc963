"""Find the batches in the bytes of a fetch response, whatever is wrong with them.

Invariant: nothing here trusts a length, a number of records or an offset that no checksum covers,
without comparing it with another.
"""

from __future__ import annotations

import struct
from binascii import crc32
from typing import NamedTuple

from aiokafka.codec import gzip_decode, lz4_decode, snappy_decode, zstd_decode
from aiokafka.record.util import calc_crc32c

OVERHEAD = 12
"""The bytes of a batch that its length field does not count: its first offset, and the length."""
_LEAST = 14
_SCAN_BYTES = 1024 * 1024
_START = struct.Struct(">qi")
_MAGIC_AT = 16
_CHECKED_AT = 21
"""Where the bytes begin that the checksum of a batch of magic 2 covers."""
HEADER = struct.Struct(">qiibIhiqqqhii")
"""First offset, length, leader epoch, magic, checksum, attributes, last offset delta, first and last time,
producer id, epoch and sequence, number of records."""
_DECODERS = {1: gzip_decode, 2: snappy_decode, 3: lz4_decode, 4: zstd_decode}
_CODEC, _LOG_APPEND_TIME, _CONTROL = 0x07, 0x08, 0x20


class Frame(NamedTuple):
    """One batch as bytes, with the first offset that it names; magic 0 and 1 are messages of old brokers."""

    base: int
    raw: bytes

    @property
    def magic(self) -> int:
        """The version of the layout."""
        return self.raw[_MAGIC_AT]

    @property
    def intact(self) -> bool:
        """True if the checksum of the batch is that of its bytes."""
        if self.magic < 2:
            return crc32(self.raw[_MAGIC_AT:]) == int.from_bytes(self.raw[OVERHEAD:_MAGIC_AT], "big")
        if len(self.raw) < HEADER.size:
            return False
        checksum: int = calc_crc32c(self.raw[_CHECKED_AT:])
        return checksum == int.from_bytes(self.raw[17:_CHECKED_AT], "big")

    @property
    def header(self) -> BatchHeader | None:
        """The header fields of a batch of magic 2 or above; None for an older layout."""
        if self.magic < 2 or len(self.raw) < HEADER.size:
            return None
        *_, attributes, last, first_ms, max_ms, producer, _, _, count = HEADER.unpack_from(self.raw)
        return BatchHeader(attributes, last, first_ms, max_ms, producer, count)

    def payload(self) -> bytes:
        """Return the records of a batch of magic 2, uncompressed. Raises what the codec raises."""
        header = self.header
        assert header is not None, "an older layout has no header"
        compressed = self.raw[HEADER.size :]
        if not header.codec:
            return compressed
        if header.codec not in _DECODERS:
            raise ValueError(f"unknown compression codec {header.codec}")
        return bytes(_DECODERS[header.codec](compressed))


class BatchHeader(NamedTuple):
    """What the header of a batch of magic 2 contains about its records."""

    attributes: int
    last_delta: int
    first_timestamp_ms: int
    max_timestamp_ms: int
    producer_id: int
    records: int

    @property
    def codec(self) -> int:
        """The number of the compression codec; 0 for none."""
        return self.attributes & _CODEC

    @property
    def is_control(self) -> bool:
        """True if the batch is a transaction marker, which contains no event."""
        return bool(self.attributes & _CONTROL)

    def timestamp_ms(self, delta: int) -> int:
        """Return the time of a record from its difference to the first one's."""
        if self.attributes & _LOG_APPEND_TIME:
            return self.max_timestamp_ms
        return self.first_timestamp_ms + delta


def frame_at(data: bytes, at: int) -> Frame | None:
    """Return the batch that begins here; None if its length is impossible or reaches past the data."""
    if len(data) - at < OVERHEAD:
        return None
    base, length = _START.unpack_from(data, at)
    if length < _LEAST or at + OVERHEAD + length > len(data):
        return None
    return Frame(base, data[at : at + OVERHEAD + length])


def is_cut(data: bytes, at: int) -> bool:
    """Return True if a batch may begin here whose end is not in the data: a response ends at its limit."""
    return len(data) - at < OVERHEAD or _START.unpack_from(data, at)[1] >= _LEAST


def next_intact(data: bytes, at: int, after: int) -> tuple[int, Frame] | None:
    """Return where the next intact batch begins, at or after ``at``, with offsets above ``after``."""
    for start in range(at, min(len(data) - OVERHEAD, at + _SCAN_BYTES)):
        if len(data) - start > _MAGIC_AT and data[start + _MAGIC_AT] > 2:
            continue
        frame = frame_at(data, start)
        if frame is not None and frame.base > after and frame.intact:
            return start, frame
    return None


def batch_behind(frame: Frame, data: bytes, at: int, position: int) -> tuple[int, Frame] | None:
    """Return where the next intact batch begins behind the one at ``at``, with offsets above ``position``.

    If the batch is not intact, its length may be wrong as well, and may reach into the next ones. It is
    trusted only where the next batch agrees with it; else the next one is searched for from the header on.
    """
    end = at + len(frame.raw)
    found, header = next_intact(data, end, position), frame.header
    if frame.intact:
        return found
    if found is not None and header is not None:
        start, following = found
        if start == end and following.base == frame.base + header.last_delta + 1:
            return found
    return next_intact(data, at + OVERHEAD, position) or found


def end_of(frame: Frame, position: int, following: Frame | None) -> int:
    """Return the offset after a batch whose records cannot be separated, above ``position``.

    An intact batch names it. The header of another may be damaged: the next intact batch bounds it,
    else the smaller of its two counts.
    """
    header = frame.header
    if frame.intact and header is not None:
        end = frame.base + header.last_delta + 1
    elif following is not None:
        end = following.base
    elif header is not None:
        end = frame.base + min(header.last_delta + 1, header.records)
    else:
        end = frame.base + 1
    return max(end, position + 1)
