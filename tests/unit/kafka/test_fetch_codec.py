"""Our fetch requests and responses have the same bytes and contents as aiokafka's own."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import aiokafka.consumer.fetcher
import pytest
from aiokafka.protocol.fetch import FetchRequest, FetchRequest_v10, FetchRequest_v11, FetchResponse_v11
from hypothesis import given
from hypothesis import strategies as st

from bridge.kafka.aiokafka_patches.fetch_codec import (
    FetchResponse,
    FetchV11,
    LeanFetchRequest,
    count_records,
)
from tests.support.record_batches import RawBatch, RawRecord

INT16, INT32 = st.integers(-(2**15), 2**15 - 1), st.integers(-(2**31), 2**31 - 1)
INT64 = st.integers(-(2**63), 2**63 - 1)
TOPIC = st.text(max_size=20)
ASKED = st.tuples(INT32, INT32, INT32, st.integers(0, 1), st.lists(st.tuples(
    TOPIC, st.lists(st.tuples(INT32, INT64, INT32), max_size=4)), max_size=3), TOPIC)  # fmt: skip
ROW = st.tuples(INT32, INT16, INT64, INT64, INT64, st.lists(st.tuples(INT64, INT64), max_size=3), INT32,
                st.none() | st.binary(max_size=40))  # fmt: skip
ROWS = st.lists(st.tuples(TOPIC, st.lists(ROW, max_size=4)), max_size=3)


def test_every_consumer_uses_the_lean_request() -> None:
    assert aiokafka.consumer.fetcher.FetchRequest is LeanFetchRequest


@given(ASKED, INT32, TOPIC)
def test_a_request_has_the_bytes_that_aiokafka_would_write(
    asked: tuple[Any, ...], correlation: int, client: str
) -> None:
    ours, theirs = LeanFetchRequest(*asked).prepare({1: (0, 17)}), FetchRequest(*asked).prepare({1: (0, 11)})
    assert isinstance(ours, FetchV11)
    assert isinstance(theirs, FetchRequest_v11)
    assert ours.encode() == theirs.encode()
    headers = [
        one.build_request_header(correlation_id=correlation, client_id=client) for one in (ours, theirs)
    ]
    assert headers[0].encode() == headers[1].encode()


@given(INT32, INT16, INT32, ROWS)
def test_a_response_has_the_contents_that_aiokafka_would_read(
    throttled: int, code: int, session: int, topics: list[Any]
) -> None:
    data = b"head" + FetchResponse_v11(throttled, code, session, topics).encode()
    ours, theirs = BytesIO(data), BytesIO(data)
    ours.seek(4), theirs.seek(4)
    read: Any = FetchResponse_v11.decode(theirs)
    assert FetchResponse.decode(ours).topics == read.topics == topics
    assert FetchResponse.API_VERSION == read.API_VERSION


@given(st.integers(1, 200))
def test_a_response_that_is_cut_off_is_refused(missing: int) -> None:
    rows = [("orders", [(0, 0, 9, 9, 0, [(1, 2)], -1, b"batch" * 9), (1, 0, 9, 9, 0, [], -1, b"batch" * 9)])]
    data = FetchResponse_v11(0, 0, 0, rows).encode()
    with pytest.raises(Exception, match=r"ends|requires"):
        FetchResponse.decode(BytesIO(data[: max(0, len(data) - missing)]))


@pytest.mark.parametrize(
    ("versions", "kind"), [((4, 10), FetchRequest_v10), ((0, 11), FetchV11), ((11, 17), FetchV11)]
)
def test_an_older_broker_gets_the_request_of_aiokafka(versions: tuple[int, int], kind: type) -> None:
    assert type(LeanFetchRequest(50, 1, 100, 1, [("orders", [(0, 7, 100)])]).prepare({1: versions})) is kind


@pytest.mark.parametrize("codec", [0, 1, 3])
def test_the_records_of_a_response_are_counted_without_unpacking_them(codec: int) -> None:
    data = b"".join(RawBatch(9, [RawRecord()] * size, codec=codec).pack() for size in (1, 2, 4))
    assert count_records(data, 100) == 7
    assert count_records(data, 3) == 3
    assert count_records(data[:-9], 100) == 7, "the last batch is cut off"
    assert count_records(b"", 100) == 0
    assert count_records(b"cut off", 100) == 1


def test_a_batch_whose_header_counts_no_records_is_one_record() -> None:
    data = RawBatch(9, [RawRecord()] * 4).pack()
    damaged = data[:57] + (-4).to_bytes(4, "big", signed=True) + data[61:]
    assert count_records(damaged + data, 100) == 5


@given(st.binary(max_size=300), st.integers(1, 20))
def test_damaged_batches_are_counted_as_something(data: bytes, most: int) -> None:
    assert count_records(data, most) in range(int(bool(data)), most + 1)
