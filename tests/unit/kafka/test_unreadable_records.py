"""Every way a batch can be wrong: what is readable is delivered, and exactly the rest is damaged."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import pytest

from bridge.kafka.suspect_batches import TRIES
from tests.support.fetched import Fetched, read_log
from tests.support.record_batches import BAD_NAME, CODECS, RawBatch, RawRecord, legacy, plain

VALUES = [b"v0", b"v1", b"v2", b"v3", b"v4"]
GOOD = RawBatch(0, plain(*VALUES))
AFTER = RawBatch(5, plain(b"after")).pack()
_topics = (f"t{number}" for number in count())


def read(*batches: bytes, end: int = 6, position: int = 0) -> Fetched:
    """Read batches from a topic of their own: damage is counted by place."""
    return read_log(b"".join(batches), end, topic=next(_topics), position=position)


def all_but(*lost: int) -> list[bytes]:
    return [value for index, value in enumerate(VALUES) if index not in lost] + [b"after"]


def test_sound_batches_of_every_codec_are_read_and_fetched_once() -> None:
    for codec in (0, *CODECS):
        got = read(replace(GOOD, codec=codec).pack(), AFTER)
        assert (got.values, got.damaged, got.fetches) == (all_but(), [], 1)


@pytest.mark.parametrize("codec", [0, *CODECS])
@pytest.mark.parametrize("index", [0, 2, 4])
def test_a_header_name_that_is_not_utf_8_keeps_key_value_and_headers(index: int, codec: int) -> None:
    record = RawRecord(b"x", b"key", [(b"a", b"1"), (BAD_NAME, b"2"), (b"n", None)])
    got = read(replace(GOOD.with_record(index, record), codec=codec).pack(), AFTER)
    assert got.values == all_but(index)
    (damaged,) = (record for record in got.records if record.damage is not None)
    assert (damaged.offset, damaged.end, damaged.key, damaged.value) == (index, index + 1, b"key", b"x")
    assert damaged.headers == (("a", b"1"), (r"caf\xe9", b"2"), ("n", None))
    assert damaged.damage is not None
    assert damaged.damage.raw_of == ""
    assert "63 61 66 e9" in damaged.damage.cause


WRONG_RECORDS = {
    "a length that is too large": RawRecord(wrong_length=2**50),
    "a length that is too small": RawRecord(wrong_length=1),
    "a negative length": RawRecord(wrong_length=-4),
    "a length of two bytes": RawRecord(wrong_length=70),
    "a key longer than the batch": RawRecord(wrong_key_length=2**31 - 1),
    "a key of negative length": RawRecord(wrong_key_length=-5),
    "a value that ends too soon": RawRecord(wrong_value_length=1),
    "a negative number of headers": RawRecord(wrong_header_count=-1),
    "too many headers": RawRecord(wrong_header_count=2**31 - 1),
    "too few headers": RawRecord(headers=[(b"a", b"b")], wrong_header_count=0),
    "bytes after its end": RawRecord(tail=b"zz"),
    "the offset of another record": RawRecord(wrong_delta=1),
    "an offset behind the batch": RawRecord(wrong_delta=900),
    "a negative offset": RawRecord(wrong_delta=-3),
}


@pytest.mark.parametrize("index", [0, 2, 4])
@pytest.mark.parametrize("name", WRONG_RECORDS)
def test_one_wrong_record_is_the_only_one_that_is_lost(name: str, index: int) -> None:
    record = WRONG_RECORDS[name]
    if record.wrong_delta == index:
        pytest.skip("that is its offset")
    got = read(GOOD.with_record(index, record).pack(), AFTER)
    assert (got.values, got.damaged) == (all_but(index), [(index, index + 1)])
    (damaged,) = (record for record in got.records if record.damage is not None)
    assert damaged.value is not None
    assert b"{}" in damaged.value or damaged.value == b"{}", "its bytes are kept"


def test_two_wrong_records_with_a_good_one_between_them() -> None:
    batch = GOOD.with_record(1, RawRecord(wrong_key_length=99)).with_record(3, RawRecord(wrong_length=0))
    got = read(batch.pack(), AFTER)
    assert (got.values, got.damaged) == (all_but(1, 3), [(1, 2), (3, 4)])


WRONG_BATCHES = {
    "an unknown codec": replace(GOOD, codec=5),
    "no gzip": replace(GOOD, codec=1, payload=b"not gzip"),
    "no snappy": replace(GOOD, codec=2, payload=b"not snappy"),
    "no lz4": replace(GOOD, codec=3, payload=b"not lz4"),
    "no zstd": replace(GOOD, codec=4, payload=b"not zstd"),
    "an unknown magic": replace(GOOD, magic=3),
    "a negative magic": replace(GOOD, magic=-1),
}
REFETCHED = {
    "a wrong checksum": replace(GOOD, wrong_crc=True),
    "the magic of an old broker": replace(GOOD, magic=1),
    "the magic of a very old broker": replace(GOOD, magic=0),
    "a length that is too small": replace(GOOD, wrong_length=3),
    "a negative length": replace(GOOD, wrong_length=-30),
    "a length of no bytes at all": replace(GOOD, wrong_length=-12),
    "a length that is too large": replace(GOOD, wrong_length=3000),
    "a length that ends within the batch": replace(GOOD, wrong_length=80),
}


@pytest.mark.parametrize("name", [*WRONG_BATCHES, *REFETCHED])
def test_a_batch_that_cannot_be_separated_is_handed_over_with_its_bytes_and_offsets(name: str) -> None:
    batch = (WRONG_BATCHES | REFETCHED)[name]
    got = read(batch.pack(), AFTER)
    assert (got.values, got.damaged) == ([b"after"], [(0, 5)])
    damaged = got.records[0]
    assert damaged.value is not None
    assert batch.pack().startswith(damaged.value)
    assert damaged.damage is not None
    assert damaged.damage.raw_of == "batch"
    assert "the offsets 0 to 4 cannot be read" in damaged.damage.cause


_CRC = slice(17, 21)
_MARKER, _OF_A_TRANSACTION = 0x20, 0x10


def marker(attributes: int, crc: bytes) -> bytes:
    """Return what ends a transaction, as librdkafka's mock cluster writes it if the checksum is 0."""
    raw = bytearray(RawBatch(0, [RawRecord(b"\0" * 6, b"\0\0\0\1")], attributes=attributes).pack())
    raw[_CRC] = crc
    return bytes(raw)


def test_a_transaction_marker_whose_checksum_was_never_written_is_no_damaged_record() -> None:
    got = read(marker(_MARKER | _OF_A_TRANSACTION, bytes(4)), RawBatch(1, plain(b"after")).pack(), end=2)
    assert (got.values, got.damaged) == ([b"after"], [])


@pytest.mark.parametrize(
    ("attributes", "crc"),
    [
        (_MARKER | _OF_A_TRANSACTION, b"\0\0\0\1"),
        (_OF_A_TRANSACTION, bytes(4)),
        (_MARKER, bytes(4)),
        (0, bytes(4)),
    ],
)
def test_anything_else_with_a_wrong_checksum_is_damaged(attributes: int, crc: bytes) -> None:
    got = read(marker(attributes, crc), RawBatch(1, plain(b"after")).pack(), end=2)
    assert (got.values, got.damaged) == ([b"after"], [(0, 1)])


@pytest.mark.parametrize("excess", [-9, -1, 1, 20, len(AFTER) - 1, len(AFTER), len(AFTER) + 5])
def test_a_length_that_ends_elsewhere_costs_only_its_own_batch(excess: int) -> None:
    """The length is not covered by the checksum, and may reach into the next batches or over them."""
    length = len(GOOD.pack()) - 12 + excess
    third = RawBatch(6, plain(b"third")).pack()
    last = RawBatch(7, plain(b"last")).pack()
    got = read(replace(GOOD, wrong_length=length).pack(), AFTER, third, last, end=8)
    assert (got.values, got.damaged) == ([b"after", b"third", b"last"], [(0, 5)])
    assert got.records[0].value == replace(GOOD, wrong_length=length).pack()


def test_a_value_that_contains_a_batch_is_not_taken_for_the_next_batch() -> None:
    inner = RawBatch(900, plain(b"inner")).pack()
    batch = RawBatch(0, plain(b"v0", inner), wrong_crc=True)
    got = read(batch.pack(), RawBatch(2, plain(b"after")).pack(), end=3)
    assert (got.values, got.damaged) == ([b"after"], [(0, 2)])


@pytest.mark.parametrize("name", [*WRONG_BATCHES, *REFETCHED])
def test_only_damage_that_may_have_happened_on_the_way_is_fetched_again(name: str) -> None:
    got = read((WRONG_BATCHES | REFETCHED)[name].pack(), AFTER)
    assert got.fetches == (TRIES if name in REFETCHED else 1)


def test_damage_on_the_way_loses_nothing_when_the_next_fetch_is_sound() -> None:
    responses = iter([replace(GOOD, wrong_crc=True).pack() + AFTER, GOOD.pack() + AFTER])
    got = read_log(lambda position: next(responses), 6, topic=next(_topics))
    assert (got.values, got.damaged) == (all_but(), [])


def test_batches_before_a_damaged_one_are_delivered_once() -> None:
    first = RawBatch(0, plain(b"a", b"b")).pack()
    got = read(first, replace(GOOD, base=2, wrong_crc=True).pack(), RawBatch(7, plain(b"z")).pack(), end=8)
    assert (got.values, got.damaged) == ([b"a", b"b", b"z"], [(2, 7)])


@pytest.mark.parametrize(
    "header", [{"count": 0}, {"count": 1}, {"count": 9}, {"count": -3}, {"last_delta": 2}]
)
def test_a_header_that_lies_about_its_records_loses_none_of_them(header: dict[str, int]) -> None:
    got = read(replace(GOOD, **header).pack(), AFTER)  # type: ignore[arg-type] # all are int fields
    assert (got.values, got.damaged) == (all_but(), [])


def test_a_batch_with_fewer_records_than_offsets_names_the_missing_ones() -> None:
    got = read(replace(GOOD, count=7, last_delta=6).pack(), RawBatch(7, plain(b"after")).pack(), end=8)
    assert (got.values, got.damaged) == (all_but(), [(5, 7)])


def test_a_compacted_batch_has_gaps_and_no_damage() -> None:
    batch = RawBatch(0, plain(b"a", b"b"), deltas=[1, 3], last_delta=4)
    got = read(batch.pack(), AFTER)
    assert ([record.offset for record in got.records], got.damaged) == ([1, 3, 5], [])


def test_a_batch_from_which_compaction_removed_everything_is_passed() -> None:
    empty = RawBatch(0, [], last_delta=4).pack()
    for raw, end in ((empty, 5), (empty + AFTER, 6)):
        got = read(raw, end=end)
        assert (got.damaged, got.position, got.fetches) == ([], end, 1)


def test_a_reader_in_the_middle_of_a_damaged_batch_gets_only_the_offsets_from_there() -> None:
    got = read(replace(GOOD, codec=5).pack(), AFTER, position=3)
    assert got.damaged == [(3, 5)]
    got = read(GOOD.with_record(1, RawRecord(wrong_length=0)).pack(), AFTER, position=3)
    assert (got.values, got.damaged) == ([b"v3", b"v4", b"after"], [])


def test_messages_of_old_brokers_are_read_and_a_damaged_one_is_one_record() -> None:
    broken = bytearray(legacy(1, b"b"))
    broken[-1] ^= 1
    got = read(legacy(0, b"a", magic=0), bytes(broken), legacy(2, b"c", codec=1), legacy(3, b"d"), end=4)
    assert (got.values, got.damaged) == ([b"a", b"d"], [(1, 2), (2, 3)])
    assert got.records[0].timestamp_ms == -1, "the oldest messages have none"


def test_a_transaction_marker_that_cannot_be_read_ends_its_transaction() -> None:
    aborted = RawBatch(0, plain(b"no"), attributes=0x10, producer_id=4).pack()
    marker = RawBatch(1, [RawRecord(key=None)], attributes=0x30, producer_id=4).pack()
    later = RawBatch(2, plain(b"yes"), attributes=0x10, producer_id=4).pack()
    got = read_log(aborted + marker + later, 3, topic=next(_topics), aborted=[(4, 0)])
    assert (got.values, got.damaged) == ([b"yes"], [])


def test_the_response_may_end_anywhere() -> None:
    whole = GOOD.pack()
    for cut in range(1, len(AFTER)):
        got = read(whole, AFTER[:cut], end=5)
        assert (got.values, got.damaged, got.position) == (VALUES, [], 5)
