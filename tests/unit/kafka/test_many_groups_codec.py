"""Requests about many groups have the bytes of the protocol, and responses what a broker wrote."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import Any

import pytest
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int8,
    Int16,
    Int32,
    Int64,
    Schema,
    UnsignedVarInt32,
)
from hypothesis import given
from hypothesis import strategies as st

from bridge.kafka.many_groups_codec import (
    CoordinatorsRequest,
    CoordinatorsResponse,
    OffsetsRequest,
    OffsetsResponse,
)

TEXT_TYPE = CompactString("utf-8")


class Tags:
    """Tagged fields; aiokafka's own leave out the length of each."""

    @staticmethod
    def encode(tags: dict[int, bytes]) -> bytes:
        number = UnsignedVarInt32.encode
        rows = (number(tag) + number(len(data)) + data for tag, data in tags.items())
        return bytes(number(len(tags)) + b"".join(rows))


ASKED = Schema(
    ("groups", CompactArray(
        ("group", TEXT_TYPE),
        ("topics", CompactArray(("topic", TEXT_TYPE), ("numbers", CompactArray(Int32)), ("tags", Tags))),
        ("tags", Tags),
    )),
    ("stable", Boolean),
    ("tags", Tags),
)  # fmt: skip
FETCHED = Schema(
    ("throttled", Int32),
    ("groups", CompactArray(
        ("group", TEXT_TYPE),
        ("topics", CompactArray(
            ("topic", TEXT_TYPE),
            ("rows", CompactArray(
                ("number", Int32), ("offset", Int64), ("epoch", Int32), ("metadata", TEXT_TYPE),
                ("error", Int16), ("tags", Tags),
            )),
            ("tags", Tags),
        )),
        ("error", Int16),
        ("tags", Tags),
    )),
    ("tags", Tags),
)  # fmt: skip
WHO = Schema(("kind", Int8), ("groups", CompactArray(TEXT_TYPE)), ("tags", Tags))
COORDINATORS = Schema(
    ("throttled", Int32),
    ("coordinators", CompactArray(
        ("group", TEXT_TYPE), ("node", Int32), ("host", TEXT_TYPE), ("port", Int32), ("error", Int16),
        ("message", TEXT_TYPE), ("tags", Tags),
    )),
    ("tags", Tags),
)  # fmt: skip
INT16, INT32 = st.integers(-(2**15), 2**15 - 1), st.integers(-(2**31), 2**31 - 1)
INT64 = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(max_size=9) | st.just("long" * 50)  # whose length takes two bytes
NUMBERS = st.lists(INT32, max_size=4) | st.just(list(range(130)))
TAGS = st.dictionaries(st.integers(0, 300), st.binary(max_size=3), max_size=2)
HEAD = b"head"


def answered(schema: Any, *fields: Any) -> BytesIO:
    stream = BytesIO(HEAD + schema.encode(fields))
    stream.seek(len(HEAD))
    return stream


@given(
    st.lists(TEXT, max_size=4), st.lists(st.tuples(TEXT, NUMBERS), max_size=3), st.sampled_from([8, 9, 10])
)
def test_a_request_for_offsets_has_the_bytes_of_version_8(
    groups: list[str], partitions: list[tuple[str, list[int]]], highest: int
) -> None:
    written = OffsetsRequest(groups, partitions).prepare({9: (1, highest)})
    topics = [(topic, numbers, {}) for topic, numbers in partitions]
    assert written.encode() == ASKED.encode(([(group, topics, {}) for group in groups], False, {}))
    assert (written.API_KEY, written.API_VERSION) == (9, 8)
    header = written.build_request_header(correlation_id=7, client_id="ü").encode()
    assert header == struct.pack(">hhih2sB", 9, 8, 7, 2, "ü".encode(), 0)


def test_a_request_for_the_offsets_of_all_partitions_names_none() -> None:
    written = OffsetsRequest(["g.crm"], None).prepare({9: (0, 8)})
    assert written.encode() == b"\x02" + b"\x06g.crm" + b"\x00" + b"\x00" + b"\x00" + b"\x00"


@given(st.lists(TEXT, max_size=9) | st.just(["g"] * 130))
def test_a_request_for_coordinators_has_the_bytes_of_version_4(groups: list[str]) -> None:
    written = CoordinatorsRequest(groups).prepare({10: (0, 6)})
    assert written.encode() == WHO.encode((0, groups, {}))
    assert (written.API_KEY, written.API_VERSION) == (10, 4)


@pytest.mark.parametrize("versions", [{}, {9: (0, 7), 10: (0, 3)}, {9: (9, 10), 10: (5, 6)}])
def test_a_broker_without_the_version_gets_no_bytes(versions: dict[int, tuple[int, int]]) -> None:
    for request in (OffsetsRequest(["g.crm"], None), CoordinatorsRequest(["g.crm"])):
        with pytest.raises(NotImplementedError, match="not"):
            request.prepare(versions)


ROWS = st.lists(st.tuples(INT32, INT64, INT32, st.none() | TEXT, INT16, TAGS), max_size=4)
GROUPS = st.dictionaries(
    TEXT, st.tuples(st.lists(st.tuples(TEXT, ROWS, TAGS), max_size=3), INT16, TAGS), max_size=4
)


@given(INT32, GROUPS, TAGS)
def test_each_group_has_its_own_offsets_and_error(
    throttled: int, groups: dict[str, Any], tags: dict[int, bytes]
) -> None:
    rows = [(name, *rest) for name, rest in groups.items()]
    read = OffsetsResponse.decode(answered(FETCHED, throttled, rows, tags)).groups
    assert read == {
        name: ([(topic, [(*row[:2], *row[3:5]) for row in rows]) for topic, rows, _ in topics], error)
        for name, (topics, error, _) in groups.items()
    }


def test_a_group_without_a_list_of_topics_has_its_error() -> None:
    read = OffsetsResponse.decode(answered(FETCHED, 0, [("g.crm", None, 14, {})], {}))
    assert read.groups == {"g.crm": ([], 14)}


@given(st.dictionaries(TEXT, st.tuples(INT32, TEXT, INT32, INT16, st.none() | TEXT, TAGS), max_size=4))
def test_each_group_has_its_own_coordinator_or_error(groups: dict[str, Any]) -> None:
    rows = [(name, *rest) for name, rest in groups.items()]
    read = CoordinatorsResponse.decode(answered(COORDINATORS, 0, rows, {}))
    assert read.nodes == {name: (node, error) for name, (node, _, _, error, _, _) in groups.items()}


@given(st.integers(1, 60))
def test_a_response_that_is_cut_off_is_refused_and_no_group_taken_for_one_without_offsets(
    missing: int,
) -> None:
    row = (0, 7, 3, "map" * 9, 0, {})
    fetched = FETCHED.encode((0, [("g.crm", [("orders", [row, row], {})], 0, {})], {}))
    found = COORDINATORS.encode((0, [("g.crm", 1, "host" * 9, 9092, 0, None, {})] * 2, {}))
    with pytest.raises((struct.error, ValueError)):
        OffsetsResponse.decode(BytesIO(fetched[: -1 - missing]))  # the last byte has no contents
    with pytest.raises((struct.error, ValueError)):
        CoordinatorsResponse.decode(BytesIO(found[: -1 - missing]))
