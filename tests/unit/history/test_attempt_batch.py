"""A record of the history: what is written is read back, and one strange attempt costs no other one."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.history.attempt import Attempt, AttemptId, Later
from bridge.history.batch import BYTES, UnreadableBatch, Writer, covers, decode
from bridge.history.encoding import COLUMNS, batch_headers
from bridge.model import Damage, Partition, Record
from tests.support.attempts import BEGAN_S, attempt_at, batch_record, encoded, entry_of

WRITER = Writer("p", "crm", 1)
BINARY = st.none() | st.binary(max_size=30)
KEYS = st.binary(max_size=5) | st.sampled_from(["e1", 7])
LANES = st.just(("orders", 3, b"e1", "t")) | st.none() | st.builds(lambda key: ("orders", 3, key, ""), KEYS)


def read_back(*attempts: Attempt) -> list[Attempt]:
    record = Record(Partition("g.attempts", 2), 7, 0, b"crm", encoded(WRITER, attempts))
    writer, kept = decode(record)
    assert writer == WRITER
    assert [each.id for each in kept] == [AttemptId(2, 7, index) for index in range(len(attempts))]
    assert {each.endpoint for each in kept} == {"crm"}
    return [each.attempt for each in kept]


@given(
    st.lists(
        st.builds(
            lambda headers, body, answer_headers, answer, entity, next_s, lane: attempt_at(
                1, verdict="again", later=Later(next_s), headers=headers, body=body, entity=entity,
                answer_headers=answer_headers, answer_body=answer, lane=lane,
            ),
            st.binary(max_size=30), BINARY, BINARY, BINARY,
            st.none() | st.text(st.characters(codec="utf-8")), st.none() | st.floats(0, 4e9), LANES,
        ),
        min_size=1,
        max_size=5,
    )
)  # fmt: skip
def test_what_is_written_is_read_back(attempts: list[Attempt]) -> None:
    assert read_back(*attempts) == attempts


def test_a_delivery_is_read_back_without_a_next_attempt() -> None:
    assert read_back(attempt_at(1)) == [attempt_at(1)]


def test_a_text_with_half_of_a_surrogate_pair_and_a_huge_number_cost_no_other_attempt() -> None:
    strange = attempt_at(1, entity="a\ud800b", appended_ms=1 << 70)
    read, other = read_back(strange, attempt_at(2))
    assert (read.entity, other) == ("a?b", attempt_at(2))
    assert read.body == strange.body


def test_columns_of_a_later_release_are_ignored_and_missing_ones_are_none() -> None:
    line, _, content = encoded(WRITER, [attempt_at(1), attempt_at(2)]).partition(b"\n")
    document = orjson.loads(line)
    del document["same"]["tenant"]
    document["same"]["color"] = "blue"
    document["columns"] = {"weight": [1, 2], **document["columns"]}
    record = Record(Partition("g.attempts", 0), 0, 0, b"crm", orjson.dumps(document) + b"\n" + content)
    assert [kept.attempt for kept in decode(record)[1]] == [attempt_at(1), attempt_at(2)]


def value_with(**changes: object) -> bytes:
    line, _, content = encoded(WRITER, [attempt_at(1)]).partition(b"\n")
    return orjson.dumps({**orjson.loads(line), **changes}) + b"\n" + content


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"{}",
        b"no batch",
        b"[1]\n",
        value_with(format=3),
        value_with(format=1),
        value_with(same=[1]),
        value_with(same=None),
        value_with(columns=[]),
        value_with(columns={}),
        value_with(columns={"sent_s": [1, 2], "offset": [1]}),
        value_with(columns={"sent_s": 5}),
        value_with(columns={"sent_s": "ab"}),
        encoded(WRITER, [attempt_at(1)])[:-1],
        encoded(WRITER, [attempt_at(1)]) + b"x",
        encoded(WRITER, [attempt_at(1)]).replace(b'"origin":null', b'"origin":5'),
        encoded(WRITER, [attempt_at(1)]).replace(b'["6531",""]', b'[[],""]'),
    ],
)
def test_a_record_that_is_no_batch_is_refused(value: bytes | None) -> None:
    with pytest.raises(UnreadableBatch):
        decode(Record(Partition("g.attempts", 0), 0, 0, b"crm", value))


def test_a_later_format_is_named_in_the_error() -> None:
    with pytest.raises(UnreadableBatch, match="format 3, and this release reads up to format 2"):
        decode(Record(Partition("g.attempts", 0), 0, 0, b"crm", value_with(format=3)))


def test_what_all_attempts_have_in_common_is_written_once() -> None:
    body = b"x" * 1000
    attempts = [attempt_at(number, body=body, body_bytes=1000) for number in range(50)]
    value = encoded(WRITER, attempts)
    assert value.count(body) == 1
    assert value.count(b"OrderPlaced") + value.count(b"LoanApproved") == 1
    read = read_back(*attempts)
    assert read == attempts
    assert len({id(attempt.body) for attempt in read}) == 1, "it takes memory once, too"


def in_format_1(*attempts: Attempt) -> bytes:
    """Return the record as the release before format 2 wrote it."""
    names = [name for name in COLUMNS if name not in BYTES] + [*BYTES]
    rows, parts = [], []
    for attempt in attempts:
        later, lane = attempt.later, attempt.lane
        row: dict[str, Any] = attempt._asdict() | {"next_s": None if later is None else later.at_s}
        assert isinstance(lane, tuple)
        row["lane"] = lane[2].hex() if isinstance(lane[2], bytes) else [lane[2]], lane[3]
        for name in BYTES:
            content = row[name]
            parts.append(content or b"")
            row[name] = None if content is None else len(content)
        rows.append([row[name] for name in names])
    head = {"format": 1, "process": "p", "number": 1, "endpoint": "crm", "columns": names, "attempts": rows}
    return orjson.dumps(head) + b"\n" + b"".join(parts)


def test_records_of_the_earlier_format_are_read() -> None:
    retried = attempt_at(2, verdict="again", status=503, later=Later(7.5), answer_body=None, entity=None)
    attempts = [attempt_at(1, lane=("orders", 3, 7, "t")), retried, attempt_at(3, body=None)]
    record = Record(Partition("g.attempts", 2), 7, 0, b"crm", in_format_1(*attempts))
    writer, kept = decode(record)
    assert writer == WRITER
    assert [each.attempt for each in kept] == attempts
    assert [each.id for each in kept] == [AttemptId(2, 7, 0), AttemptId(2, 7, 1), AttemptId(2, 7, 2)]


def test_a_record_of_the_earlier_format_that_is_torn_is_refused() -> None:
    for value in (in_format_1(attempt_at(1))[:-1], in_format_1(attempt_at(1)) + b"x"):
        with pytest.raises(UnreadableBatch):
            decode(Record(Partition("g.attempts", 0), 0, 0, b"crm", value))


def test_the_columns_are_those_of_an_attempt() -> None:
    assert {name if name != "next_s" else "later" for name in COLUMNS} == {*Attempt._fields}
    assert len(COLUMNS) == len(Attempt._fields)


def test_a_record_is_skipped_by_its_headers_only_if_none_of_its_attempts_can_be_in_the_range() -> None:
    record = batch_record(0, attempt_at(10), attempt_at(20))
    began_ms = int(BEGAN_S * 1000)
    for since_s, until_s, expected in (
        (None, None, True), (20, None, True), (21, None, False), (None, 10, False), (None, 10.001, True),
        (12, 13, True), (0, 5, False),
    ):  # fmt: skip
        since_ms = None if since_s is None else began_ms + int(since_s * 1000)
        until_ms = None if until_s is None else began_ms + int(until_s * 1000)
        assert covers(record, since_ms, until_ms) is expected, (since_s, until_s)
    assert covers(record._replace(headers=()), began_ms, began_ms + 1), "a record without them is read"


def test_the_times_of_a_record_are_those_of_all_its_attempts_in_any_order() -> None:
    slow = attempt_at(1)._replace(answered_s=BEGAN_S + 60)
    headers = dict(batch_headers([*map(entry_of, (attempt_at(5), slow, attempt_at(3)))]))
    began_ms = int(BEGAN_S * 1000)
    assert int(headers["hookferry-first-ms"] or b"") == began_ms + 1000
    assert began_ms + 60_000 <= int(headers["hookferry-last-ms"] or b"") <= began_ms + 60_001


@pytest.mark.parametrize("text", ["", "1:2", "1:2:3:4", "a:b:c", "1:2:-3", "1:2:3 ", "1234567890:1:1"])
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not the id of an attempt"):
        AttemptId.parse(text)


def test_an_id_is_read_as_it_is_printed() -> None:
    assert AttemptId.parse(str(AttemptId(3, 1042, 17))) == AttemptId(3, 1042, 17)


def test_damage_is_no_batch() -> None:
    record = Record(
        Partition("g.attempts", 0), 0, 0, b"crm", b"\x00", (), Damage("torn", "none", 1, "record")
    )
    with pytest.raises(UnreadableBatch):
        decode(record)
