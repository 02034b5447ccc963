"""Whatever is wrong with one record or one byte of a log: nothing else is lost, changed or repeated."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from tests.support.fetched import read_log
from tests.support.record_batches import BAD_NAME, RawBatch, RawRecord

_numbers = count()
_NUMBER = st.integers(-(2**40), 2**40)
RECORDS = st.builds(
    RawRecord,
    value=st.none() | st.binary(max_size=40),
    key=st.none() | st.binary(max_size=8),
    headers=st.lists(
        st.tuples(st.text(max_size=5).map(str.encode), st.none() | st.binary(max_size=5)), max_size=3
    ),
)
FAULTS = st.one_of(
    st.fixed_dictionaries({"wrong_length": _NUMBER}),
    st.fixed_dictionaries({"wrong_key_length": _NUMBER}),
    st.fixed_dictionaries({"wrong_value_length": _NUMBER}),
    st.fixed_dictionaries({"wrong_header_count": _NUMBER}),
    st.fixed_dictionaries({"wrong_delta": _NUMBER}),
    st.fixed_dictionaries({"tail": st.binary(min_size=1, max_size=9)}),
    st.just({"headers": [(BAD_NAME, b"")]}),
)


@st.composite
def logs(draw: st.DrawFn) -> list[RawBatch]:
    """Draw batches without gaps, of any codec."""
    batches, base = [], 0
    for records in draw(st.lists(st.lists(RECORDS, min_size=1, max_size=5), min_size=1, max_size=4)):
        batches.append(RawBatch(base, records, codec=draw(st.sampled_from([0, 0, 1, 2, 3, 4]))))
        base += len(records)
    return batches


def contents(batches: list[RawBatch]) -> dict[int, tuple[bytes | None, bytes | None]]:
    return {
        batch.base + index: (record.key, record.value)
        for batch in batches
        for index, record in enumerate(batch.records)
    }


@given(logs(), FAULTS, st.data())
def test_one_wrong_record_is_damaged_and_every_other_one_is_read(
    batches: list[RawBatch], fault: dict[str, object], data: st.DataObject
) -> None:
    wrong = data.draw(st.integers(0, len(contents(batches)) - 1))
    expected = contents(batches)
    broken = []
    for batch in batches:
        index = wrong - batch.base
        if 0 <= index < len(batch.records):
            record = replace(batch.records[index], **fault)  # type: ignore[arg-type] # one field of its type
            broken.append(batch.with_record(index, record))
        else:
            broken.append(batch)
    raw = b"".join(batch.pack() for batch in broken)
    if raw == b"".join(batch.pack() for batch in batches):
        return
    got = read_log(raw, len(expected), topic=f"p{next(_numbers)}")
    assert got.position == len(expected)
    offsets = [offset for record in got.records for offset in range(record.offset, record.end)]
    assert offsets == sorted(expected), "each offset is handed over once"
    readable = {record.offset: (record.key, record.value) for record in got.records if record.damage is None}
    assert readable.keys() >= expected.keys() - {wrong}
    del expected[wrong]
    assert {offset: readable[offset] for offset in expected} == expected


@given(logs(), st.data())
def test_one_flipped_byte_never_changes_what_is_delivered_from_another_batch(
    batches: list[RawBatch], data: st.DataObject
) -> None:
    """A byte that no checksum covers may move a batch to other offsets; the others stay as they were."""
    packed = [batch.pack() for batch in batches]
    wrong = data.draw(st.integers(0, len(packed) - 1))
    at = data.draw(st.integers(8, len(packed[wrong]) - 1).filter(lambda at: not 12 <= at < 16))
    broken = bytearray(packed[wrong])
    broken[at] ^= data.draw(st.integers(1, 255))
    end = len(contents(batches))
    packed[wrong] = bytes(broken)

    def respond(position: int) -> bytes:
        """Answer as a broker does: from the batch that contains the position."""
        parts = zip(batches, packed, strict=True)
        return b"".join(part for batch, part in parts if batch.base + len(batch.records) > position)

    got = read_log(respond, end, topic=f"p{next(_numbers)}")
    offsets = [offset for record in got.records for offset in range(record.offset, record.end)]
    assert offsets == list(range(end))
    others = contents([batch for number, batch in enumerate(batches) if number != wrong])
    readable = {record.offset: (record.key, record.value) for record in got.records if record.damage is None}
    assert readable == others
