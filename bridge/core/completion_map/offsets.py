"""Encode which offsets of [offset, end) are open, in the smaller of two forms.

- *runs*: alternating lengths of open and settled offsets, open first, as varints;
- *bits*: the span as a varint, then one bit per offset from the committed one on, set while it is open.

The result is deflated if that makes it smaller.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence

from bridge.core.completion_map.completion import Completion, DamagedMapError
from bridge.core.completion_map.varint import decode_varint, decode_varints, encode_varints

RUNS, BITS, DEFLATED = 0, 1, 2
MAX_SPAN = 8 * 1024 * 1024
"""Offsets that a map may span: bounds the memory that a hostile metadata string can make us allocate."""


def encode_offsets(offset: int, open_offsets: Sequence[int], end: int) -> tuple[int, bytes]:
    """Return the form (flags) and the bytes for ascending ``open_offsets``."""
    form, data = RUNS, encode_varints(_runs(offset, open_offsets, end))
    if (end - offset) // 8 + 5 < len(data):
        form, data = BITS, _bits(offset, open_offsets, end)
    deflated = zlib.compress(data, 1)
    return (form | DEFLATED, deflated) if len(deflated) < len(data) else (form, data)


def decode_offsets(offset: int, form: int, data: bytes) -> Completion:
    """Return what ``encode_offsets`` encoded. Raises ``DamagedMapError``."""
    if form & DEFLATED:
        data = _inflate(data)
    return _from_bits(offset, data) if form & BITS else _from_runs(offset, data)


def _inflate(data: bytes) -> bytes:
    decompressor = zlib.decompressobj()
    try:
        out = decompressor.decompress(data, MAX_SPAN // 8 + 8)
    except zlib.error as exc:
        raise DamagedMapError("it does not inflate") from exc
    if not decompressor.eof:
        raise DamagedMapError("it inflates to more than a map may hold")
    return out


def _runs(offset: int, open_offsets: Sequence[int], end: int) -> Iterable[int]:
    at, open_run = offset, 0
    for open_offset in open_offsets:
        if open_offset != at:
            yield open_run
            yield open_offset - at
            open_run = 0
        open_run += 1
        at = open_offset + 1
    yield open_run
    yield end - at


def _from_runs(offset: int, data: bytes) -> Completion:
    at, is_open, open_offsets = offset, True, list[int]()
    for length in decode_varints(data):
        if at + length - offset > MAX_SPAN:
            raise DamagedMapError("it spans more offsets than a map may")
        if is_open:
            open_offsets.extend(range(at, at + length))
        at += length
        is_open = not is_open
    return Completion(offset, at, frozenset(open_offsets))


def _bits(offset: int, open_offsets: Sequence[int], end: int) -> bytes:
    out = bytearray(encode_varints([end - offset]))
    start = len(out)
    out.extend(bytes((end - offset + 7) // 8))
    for open_offset in open_offsets:
        at = open_offset - offset
        out[start + (at >> 3)] |= 1 << (at & 7)
    return bytes(out)


def _from_bits(offset: int, data: bytes) -> Completion:
    span, start = decode_varint(data, 0)
    bits = data[start:]
    if span > MAX_SPAN or len(bits) != (span + 7) // 8:
        raise DamagedMapError("its length does not match its bits")
    open_offsets = frozenset(offset + at for at in range(span) if bits[at >> 3] >> (at & 7) & 1)
    return Completion(offset, offset + span, open_offsets)
