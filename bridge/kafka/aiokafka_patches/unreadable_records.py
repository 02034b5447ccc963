"""Step over records that aiokafka cannot read: the only place where its parser's exceptions are caught.

The records are of the product's own type: aiokafka's, which has eleven fields, would be made first and
converted for each record.

Upstream: no issue found. aiokafka 0.14 lets the exceptions of its parser, of the codecs and of
``bytes.decode`` out of ``getmany``, and reads the same batch again at the next call. It also skips a record
whose offset field is wrong, and an offset if the length of a batch is larger than the response.
Remove this when a consumer reports the records that it cannot read one by one.
``bridge/kafka/client.py`` imports this module, so every consumer of the product has the patch.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from typing import Any, Literal

import aiokafka.consumer.fetcher
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import PartitionRecords
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.legacy_records import LegacyRecordBatch

from bridge.kafka.batch_frames import (
    HEADER,
    OVERHEAD,
    BatchHeader,
    Frame,
    batch_behind,
    end_of,
    frame_at,
    is_cut,
    next_intact,
)
from bridge.kafka.batch_records import Content, Piece, UnreadableError, separate
from bridge.kafka.suspect_batches import SuspectBatches
from bridge.model import Damage, Header, Partition, Record

RAW_LIMIT = 15 * 1024 * 1024
"""Most bytes of a batch that are kept: a dead letter has to fit into 16 MiB."""
_LEAST_LENGTH = HEADER.size - OVERHEAD
_WRONG_CRC = "its checksum (CRC) is not that of its bytes"
_WRITE_AGAIN = (
    "have the producer write these events again, then discard this dead letter: it contains the bytes of the"
    " log, which cannot be sent"
)


_new = tuple.__new__
"""``Record(...)`` without the call of its ``__new__``, which is written in Python."""


class FetchedBytes:
    """The record batches of one partition in a fetch response, not parsed yet.

    aiokafka's own class parses in its constructor, in the background task that fetches: an exception
    there would end the task.
    """

    def __init__(self, data: bytes | None) -> None:
        self.data = data or b""

    def has_next(self) -> bool:
        """Return True if there are records, or bytes that should be some."""
        return bool(self.data)

    def size_in_bytes(self) -> int:
        """Return 0: aiokafka skips an offset if there are bytes without a record."""
        return 0


_suspects = SuspectBatches()


class ReadableRecords(PartitionRecords):  # type: ignore[misc] # aiokafka has no type information
    """Yields every record that can be read, and one with ``damage`` for each range that cannot.

    Never raises. Readable batches are parsed by aiokafka. A batch that its parser refuses is parsed by
    ``batch_records`` if its checksum is right, because then the producer wrote it so. If the checksum is
    wrong, the batch is fetched again first, and nothing of it is delivered.
    """

    next_fetch_offset: int
    _records_iterator: Generator[Record, None, None] | None
    in_batch = 1
    """How many records the batch has that is read now."""
    _batch_at: int | None = 0
    """Where that batch begins; None while a damaged one is read, which must not be read twice."""

    def __init__(self, tp: TopicPartition, *options: Any, **more: Any) -> None:
        super().__init__(tp, *options, **more)
        self._partition = Partition(*tp)

    def __iter__(self) -> Any:
        return self._records_iterator or iter(())  # not self, whose ``__next__`` costs a call per record

    def pack_again(self) -> None:
        """See ``PartlyRead``."""
        if self._records_iterator is not None and self._batch_at is not None:
            self._records_iterator.close()
            self._records_iterator = self._unpack_records()

    def _unpack_records(self) -> Generator[Any, None, None]:
        data, at = self._records.data, self._batch_at or 0
        size = len(data)
        while at < size:
            self._batch_at = start = at
            try:
                if size - at >= HEADER.size:
                    base, length, _, magic, _, _, last, *_, count = HEADER.unpack_from(data, at)
                    at += OVERHEAD + length
                    if magic == 2 and length >= _LEAST_LENGTH and at <= size:
                        self.in_batch = count
                        yield from self._read(DefaultRecordBatch(data[start:at]), base, last, count)
                        continue
                frame = frame_at(data, start)
                if frame is not None:
                    at = start + len(frame.raw)
                    yield from self._read_other(frame)
                    continue
            except Exception as exc:
                frame = frame_at(data, start)
                assert frame is not None, "a batch that was read has a length"
                self._batch_at = None
                at = yield from self._salvage(frame, at, exc)
                continue
            if start and is_cut(data, start):
                return
            self._batch_at = None
            at = yield from self._without_length(start)

    def _read(self, batch: Any, base: int, last_delta: int, count: int) -> Iterator[Record]:
        """Yield the records of a batch at aiokafka's speed. Raises what its parser raises, midway."""
        if not batch.validate_crc() and not _is_bare_marker(batch):
            raise UnreadableError(_WRONG_CRC)
        end = base + last_delta + 1
        if not self._is_aborted(batch):
            no_gaps = count == last_delta + 1
            if not no_gaps and count > last_delta:
                raise UnreadableError(f"its header counts {count} records at {last_delta + 1} offsets")
            expected = base
            partition = self._partition
            for raw in batch:
                offset = raw.offset
                if offset != expected and (no_gaps or not expected <= offset < end):
                    raise UnreadableError(f"the record at offset {expected} has the offset {offset}")
                expected = offset + 1
                if offset >= self.next_fetch_offset:
                    fields = (partition, offset, raw.timestamp, raw.key, raw.value, tuple(raw.headers), None)
                    self.next_fetch_offset = expected
                    yield _new(Record, fields)
        self.next_fetch_offset = max(end, self.next_fetch_offset)

    def _read_other(self, frame: Frame) -> Iterator[Record]:
        """Yield the records of a message of an old broker. Raises what aiokafka's parser raises."""
        if frame.magic >= 2:
            raise UnreadableError(f"a batch with magic {frame.magic} and {len(frame.raw)} bytes is unknown")
        batch = LegacyRecordBatch(frame.raw, frame.magic)
        if not batch.validate_crc():
            raise UnreadableError(_WRONG_CRC)
        for raw in batch:
            if raw.offset >= self.next_fetch_offset:
                at_ms = -1 if raw.timestamp is None else raw.timestamp  # the oldest format has none
                record = Record(self._partition, raw.offset, at_ms, raw.key, raw.value)
                self.next_fetch_offset = raw.offset + 1
                yield record
        self.next_fetch_offset = max(batch.next_offset, self.next_fetch_offset)

    def _is_aborted(self, batch: Any) -> bool:
        """Return True if the batch is a transaction marker, or belongs to an aborted transaction."""
        if self._isolation_level:
            self._consume_aborted_up_to(batch.base_offset)
            if batch.is_control_batch:  # every marker ends its transaction, even one that cannot be read
                self._aborted_producers.discard(batch.producer_id)
            elif batch.is_transactional and batch.producer_id in self._aborted_producers:
                return True
        return bool(batch.is_control_batch)

    def _salvage(self, frame: Frame, following_at: int, exc: Exception) -> Generator[Record, None, int]:
        """Yield what aiokafka's parser did not, from the current position on; return where to go on."""
        position, header = self.next_fetch_offset, frame.header
        cause = _text(exc)
        if (not frame.intact or isinstance(exc, MemoryError)) and not self._given_up(cause):
            return len(self._records.data)  # fetch it again
        data, start, raw = self._records.data, following_at - len(frame.raw), frame.raw
        found = batch_behind(frame, data, start, position)
        if found is not None and not frame.intact:
            following_at = found[0]
            raw = data[start:following_at]
        following = found[1] if found is not None else None
        end = end_of(frame, position, following)
        if header is not None and header.is_control:
            self._aborted_producers.discard(header.producer_id)
        if frame.intact and header is not None and frame.magic == 2:
            if frame.base + header.last_delta < position:
                return following_at  # aiokafka has read them all; what follows them has no offset
            last = header.last_delta if following is None else following.base - frame.base - 1
            try:
                pieces = list(separate(frame.payload(), header.records, header.last_delta, last))
            except Exception as failure:
                cause = _text(failure)
            else:
                yield from self._pieces(frame, header, pieces)
                self.next_fetch_offset = max(end, self.next_fetch_offset)
                return following_at
        first = max(position, min(frame.base, end - 1))
        at_ms = header.first_timestamp_ms if header is not None and frame.intact else None
        yield self._unreadable(first, end, cause, raw, "batch", at_ms)
        return following_at

    def _pieces(self, frame: Frame, header: BatchHeader, pieces: list[Piece]) -> Iterator[Record]:
        for piece in pieces:
            first, end = max(frame.base + piece.first, self.next_fetch_offset), frame.base + piece.end
            if end <= first:
                continue
            if piece.content is None:
                cause = f"the record cannot be read from its batch: {piece.cause}"
                yield self._unreadable(first, end, cause, piece.raw, "record", header.first_timestamp_ms)
            else:
                self.next_fetch_offset = end
                yield self._separated(first, piece, header.timestamp_ms(piece.content.timestamp_delta))

    def _separated(self, offset: int, piece: Piece, timestamp_ms: int) -> Record:
        """Return a record that was read by us: without fault, or with all its contents and a fault."""
        assert piece.content is not None, "a piece without contents is no record"
        headers, cause = _headers(piece.content)
        cause = piece.cause or cause
        record = Record(
            self._partition, offset, timestamp_ms, piece.content.key, piece.content.value, headers
        )
        if cause is None:
            return record
        remedy = (
            "correct the producer; `hookferry parked redrive` sends the event, with other bytes in header"
            r" names read as text like \xe9"
        )
        return record._replace(damage=Damage(cause, remedy, offset + 1))

    def _without_length(self, at: int) -> Generator[Record, None, int]:
        """Yield a damaged record for bytes without a usable length; return where to go on."""
        data, position = self._records.data, self.next_fetch_offset
        cause = "the length of the batch is wrong"
        if not self._given_up(cause):
            return len(data)
        found = next_intact(data, at + 1, position)
        start, end = (len(data), position + 1) if found is None else (found[0], found[1].base)
        yield self._unreadable(position, end, cause, data[at:start])
        return start

    def _given_up(self, cause: str) -> bool:
        return _suspects.given_up((*self._tp, self.next_fetch_offset), cause)

    def _unreadable(
        self,
        first: int,
        end: int,
        cause: str,
        raw: bytes,
        raw_of: Literal["record", "batch"] = "batch",
        timestamp_ms: int | None = None,
    ) -> Record:
        """Return what takes the place of the offsets [first, end), and move the position to its end."""
        self.next_fetch_offset = end
        kept = raw[:RAW_LIMIT]
        if len(kept) < len(raw):
            cause += f" (the first {len(kept)} of {len(raw)} bytes are kept)"
        if raw_of == "batch":
            cause = f"the batch with the offsets {first} to {end - 1} cannot be read: {cause}"
        at_ms = int(time.time() * 1000) if timestamp_ms is None else timestamp_ms
        damage = Damage(cause, _WRITE_AGAIN, end, raw_of)
        return Record(self._partition, first, at_ms, None, kept, (), damage)


def _headers(content: Content) -> tuple[tuple[Header, ...], str | None]:
    r"""Return headers with their names as text, other bytes as ``\xe9``; and what is wrong with the names."""
    wrong: list[bytes] = []
    headers = []
    for name, value in content.headers:
        try:
            text = name.decode()
        except UnicodeDecodeError:
            wrong.append(name)
            text = name.decode("utf-8", "backslashreplace")
        headers.append((text, value))
    if not wrong:
        return tuple(headers), None
    named = ", ".join(f"{name[:64].hex(' ')}" for name in wrong[:3])
    return tuple(headers), f"the name of a header is not UTF-8 (bytes {named})"


def _text(exc: Exception) -> str:
    name = type(exc).__name__
    return str(exc) if isinstance(exc, UnreadableError) or name in str(exc) else f"{name}: {exc}"


aiokafka.consumer.fetcher.MemoryRecords = FetchedBytes
aiokafka.consumer.fetcher.PartitionRecords = ReadableRecords


def _is_bare_marker(batch: Any) -> bool:
    """Return True for a transaction marker whose checksum was never written.

    librdkafka's mock cluster, on which the demo runs, leaves the field 0 (seen with confluent-kafka 2.16). A
    marker contains no event. Damage that clears this field clears the bits of a marker next to it, too.
    """
    return bool(batch.crc == 0 and batch.is_control_batch and batch.is_transactional)
