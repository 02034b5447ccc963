"""Step 11, the completion map: what is settled beyond the committed offset, as a short text.

Kafka keeps one number per partition and a free metadata string beside it. The number is the
lowest unsettled offset; this module packs what is settled above it into the string and reads it
back. Rule floor, pure.

The text is ``h1`` + base64 of: CRC-32 (4 bytes, over the committed offset and the rest) · kind
(1 byte) · length of the map (varint) · map · parts · failures. Two kinds of map hold the same fact,
and the shorter is taken:

- *runs*: alternating lengths, open first, as LEB128 varints;
- *bits*: one bit per offset from the committed one, set where it is still open.

Either may be deflated. The CRC covers the offset too, so that a map never speaks for another
place in the log. Offsets at and above ``end`` are unread.

The parts (their length before them) are the settled events of records that hold several and are still
open, so that a restart in the middle of one repeats nothing: the distance in offsets, the number
of runs, and the runs of open and settled events from the first on.

The failures are the attempts and the first failure of deliveries that wait for a retry, lowest
offset first, as many as there is room for: four varints each (offset from the one before, part,
attempts, Unix seconds). So "20 attempts" means 20 in all, not 20 after every restart.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

PREFIX = "h1"
LIMIT_BYTES = 4096
"""``offset.metadata.max.bytes`` of a broker with default settings: one byte more is error 12."""

_RUNS, _BITS, _DEFLATED, _PARTS = 0, 1, 2, 4
_MAX_SPAN = 8 * 1024 * 1024
"""Offsets a map may span: bounds what a hostile metadata string can make us allocate."""
_MAX_PARTS = 1 << 16
"""Events that all parts of one text may tell of, for the same reason."""

Spot = tuple[int, int]
"""Offset and part: which event of its record, 0 for the only one."""


class Failures(NamedTuple):
    """How often a delivery has failed, and when first (Unix seconds)."""

    attempts: int
    first_at_s: int


class Completion(NamedTuple):
    """What was settled when a cursor was committed: all of [offset, end) but ``open_offsets``.

    ``parts`` are the settled events of open offsets whose records hold several.
    """

    offset: int
    end: int
    open_offsets: frozenset[int] = frozenset()
    failures: Mapping[Spot, Failures] = {}
    parts: Mapping[int, frozenset[int]] = {}

    def settled(self, offset: int) -> bool:
        """Whether this offset needs no delivery any more."""
        return offset < self.offset or (offset < self.end and offset not in self.open_offsets)

    def with_settled(self, spots: Collection[Spot]) -> Completion:
        """The same with some more settled, as a journal knows it; part 0 is all of its offset."""
        parts = dict(self.parts)
        for offset, part in spots:
            if part:
                parts[offset] = parts.get(offset, frozenset()) | {part}
        more = {offset for offset, part in spots if not part and not self.settled(offset)}
        if not more:
            return self._replace(parts=parts)
        end = max(self.end, max(more) + 1)
        opened = (self.open_offsets | set(range(self.end, end))) - more
        return Completion(self.offset, end, frozenset(opened), self.failures, parts)


class DamagedMapError(ValueError):
    """A metadata string that is not, or no longer, a completion map for its offset."""


def encode(
    offset: int,
    open_offsets: Sequence[int],
    end: int,
    failures: Mapping[Spot, Failures] | None = None,
    parts: Mapping[int, Collection[int]] | None = None,
    limit_bytes: int = LIMIT_BYTES,
) -> tuple[str, bool]:
    """Pack [offset, end) with its ascending open offsets; the text, and whether it all fitted.

    ``offset`` must be the lowest open one (or equal ``end``). What does not fit is cut at its far
    end, which forgets settled work (it would be delivered again after a crash) and never invents
    any; failures are left out before that, and parts before the map. Nothing to tell gives the
    empty string.
    """
    kept = list(open_offsets)
    while kept and kept[-1] == end - 1:
        end = kept.pop()
    room = _raw_bytes(limit_bytes)
    body = _map(offset, kept, max(end, offset))
    fits = len(body) <= room
    while len(body) > room and end > offset:
        end = offset + (end - offset) * 3 // 4
        kept = [one for one in kept if one < end]
        body = _map(offset, kept, end)
    known = _parts(offset, parts, room - len(body)) if parts else b""
    if known:
        body[0] |= _PARTS
        body += known
    more = _failures(offset, failures, room - len(body)) if failures else b""
    if end <= offset and not known and not more:
        return "", fits
    body += more
    return PREFIX + base64.b64encode(_checksum(offset, body) + body).decode("ascii"), fits


def decode(offset: int, text: str) -> Completion:
    """Read back what ``encode`` packed for this offset; raises ``DamagedMapError``."""
    if not text:
        return Completion(offset, offset)
    if not text.startswith(PREFIX):
        raise DamagedMapError(
            f"it does not begin with {PREFIX!r}: written by something else or a newer release"
        )
    try:
        raw = base64.b64decode(text[len(PREFIX) :], validate=True)
    except (binascii.Error, ValueError) as exc:
        raise DamagedMapError("it is not base64") from exc
    if len(raw) < 5 or raw[:4] != _checksum(offset, raw[4:]):
        raise DamagedMapError("its checksum does not match its offset and content")
    kind = raw[4]
    length, at = _read_varint(raw, 5)
    data = raw[at : at + length]
    at += length
    parts: dict[int, frozenset[int]] = {}
    if kind & _PARTS:
        size, at = _read_varint(raw, at)
        parts = _read_parts(offset, raw[at : at + size])
        at += size
    failures = _read_failures(offset, raw[at:])
    if kind & _DEFLATED:
        data = _inflate(data)
    done = _from_bits(offset, data) if kind & _BITS else _from_runs(offset, data)
    return done._replace(failures=failures, parts=parts)


def _raw_bytes(limit_bytes: int) -> int:
    """How many bytes of map and failures fit a text of ``limit_bytes``."""
    return (limit_bytes - len(PREFIX)) // 4 * 3 - 4


def _parts(offset: int, parts: Mapping[int, Collection[int]], room: int) -> bytes:
    """Of each offset, lowest first: distance, number of runs, runs of open and settled parts from 1 on."""
    out, before, told = bytearray(), offset, 0
    for one in sorted(parts):
        runs, at = list[int](), 1
        for part in sorted(parts[one]):
            if part == at and runs:
                runs[-1] += 1
            else:
                runs += (part - at, 1)
            at = part + 1
        entry = _varints((one - before, len(runs), *runs))
        told += at
        if len(out) + len(entry) + 3 > room or told > _MAX_PARTS:
            break
        out += entry
        before = one
    return _varints([len(out)]) + bytes(out) if out else b""


def _read_parts(offset: int, data: bytes) -> dict[int, frozenset[int]]:
    numbers, found, told = iter(_read_varints(data)), dict[int, frozenset[int]](), 0
    for delta in numbers:
        offset += delta
        settled, at = list[int](), 1
        for turn in range(next(numbers, 0)):
            length = next(numbers, 0)
            told += length
            if told > _MAX_PARTS:
                raise DamagedMapError("it tells of more events than a map may")
            if turn % 2:
                settled += range(at, at + length)
            at += length
        found[offset] = frozenset(settled)
    return found


def _failures(offset: int, failures: Mapping[Spot, Failures], room: int) -> bytes:
    out = bytearray()
    before = offset
    for one, part in sorted(failures):
        attempts, first_at_s = failures[one, part]
        entry = _varints((one - before, part, attempts, max(0, first_at_s)))
        if len(out) + len(entry) > room:
            break
        out += entry
        before = one
    return bytes(out)


def _read_failures(offset: int, data: bytes) -> dict[Spot, Failures]:
    numbers = list(_read_varints(data))
    if len(numbers) % 4:
        raise DamagedMapError("its failures are cut short")
    found, at = {}, offset
    for delta, part, attempts, first_at_s in zip(*(numbers[n::4] for n in range(4)), strict=True):
        at += delta
        found[at, part] = Failures(attempts, first_at_s)
    return found


def _map(offset: int, open_offsets: Sequence[int], end: int) -> bytearray:
    runs = _varints(_runs(offset, open_offsets, end))
    kind, data = _RUNS, runs
    if (end - offset) // 8 + 5 < len(runs):
        kind, data = _BITS, _bits(offset, open_offsets, end)
    deflated = zlib.compress(data, 1)
    if len(deflated) < len(data):
        kind, data = kind | _DEFLATED, deflated
    return bytearray((kind, *_varints([len(data)]), *data))


def _checksum(offset: int, body: bytes | bytearray) -> bytes:
    return zlib.crc32(body, zlib.crc32(offset.to_bytes(8, "big", signed=True))).to_bytes(4, "big")


def _inflate(data: bytes) -> bytes:
    unzip = zlib.decompressobj()
    try:
        out = unzip.decompress(data, _MAX_SPAN // 8 + 8)
    except zlib.error as exc:
        raise DamagedMapError("it does not inflate") from exc
    if not unzip.eof:
        raise DamagedMapError("it inflates to more than a map may hold")
    return out


def _runs(offset: int, open_offsets: Sequence[int], end: int) -> Iterable[int]:
    at, open_run = offset, 0
    for one in open_offsets:
        if one != at:
            yield open_run
            yield one - at
            open_run = 0
        open_run += 1
        at = one + 1
    yield open_run
    yield end - at


def _from_runs(offset: int, data: bytes) -> Completion:
    at, is_open, found = offset, True, list[int]()
    for length in _read_varints(data):
        if at + length - offset > _MAX_SPAN:
            raise DamagedMapError("it spans more offsets than a map may")
        if is_open:
            found.extend(range(at, at + length))
        at += length
        is_open = not is_open
    return Completion(offset, at, frozenset(found))


def _bits(offset: int, open_offsets: Sequence[int], end: int) -> bytes:
    out = bytearray(_varints([end - offset]))
    start = len(out)
    out.extend(bytes((end - offset + 7) // 8))
    for one in open_offsets:
        at = one - offset
        out[start + (at >> 3)] |= 1 << (at & 7)
    return bytes(out)


def _from_bits(offset: int, data: bytes) -> Completion:
    span, start = _read_varint(data, 0)
    bits = data[start:]
    if span > _MAX_SPAN or len(bits) != (span + 7) // 8:
        raise DamagedMapError("its length does not match its bits")
    found = [offset + at for at in range(span) if bits[at >> 3] >> (at & 7) & 1]
    return Completion(offset, offset + span, frozenset(found))


def _varints(numbers: Iterable[int]) -> bytes:
    out = bytearray()
    for number in numbers:
        rest = number
        while rest > 0x7F:
            out.append(rest & 0x7F | 0x80)
            rest >>= 7
        out.append(rest)
    return bytes(out)


def _read_varints(data: bytes) -> Iterable[int]:
    at = 0
    while at < len(data):
        number, at = _read_varint(data, at)
        yield number


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while at < len(data) and shift <= 56:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7
    raise DamagedMapError("a number in it is cut short or too long")
