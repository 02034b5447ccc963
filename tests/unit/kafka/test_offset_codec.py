"""Our requests for offsets and their responses have the same bytes and contents as aiokafka's own."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import Any

import pytest
from aiokafka.protocol.commit import (
    OffsetCommitRequest,
    OffsetCommitRequest_v2,
    OffsetCommitResponse_v3,
    OffsetFetchRequest,
    OffsetFetchRequest_v2,
    OffsetFetchResponse_v3,
)
from hypothesis import given
from hypothesis import strategies as st

from bridge.kafka.offset_codec import (
    CommitResponse,
    FetchedResponse,
    LeanOffsetCommit,
    LeanOffsetFetch,
    Written,
)

INT16, INT32 = st.integers(-(2**15), 2**15 - 1), st.integers(-(2**31), 2**31 - 1)
INT64 = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(max_size=20)


def by_topic(row: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(st.tuples(TEXT, st.lists(row, max_size=4)), max_size=3)


def assert_the_same(ours: Any, theirs: Any) -> None:
    assert isinstance(ours, Written)
    assert (ours.API_KEY, ours.API_VERSION) == (theirs.API_KEY, theirs.API_VERSION)
    assert ours.encode() == theirs.encode()
    headers = [one.build_request_header(correlation_id=7, client_id="ü") for one in (ours, theirs)]
    assert headers[0].encode() == headers[1].encode()


@given(st.tuples(TEXT, INT32, TEXT, INT64, by_topic(st.tuples(INT32, INT64, TEXT))))
def test_a_commit_has_the_bytes_that_aiokafka_would_write(asked: tuple[Any, ...]) -> None:
    ours = LeanOffsetCommit(*asked).prepare({8: (2, 10)})
    assert_the_same(ours, OffsetCommitRequest(*asked).prepare({8: (2, 10)}))


@given(st.tuples(TEXT, st.none() | by_topic(INT32)))
def test_a_request_for_offsets_has_the_bytes_that_aiokafka_would_write(asked: tuple[Any, ...]) -> None:
    ours = LeanOffsetFetch(*asked).prepare({9: (1, 10)})
    assert_the_same(ours, OffsetFetchRequest(*asked).prepare({9: (1, 10)}))


@given(INT32, by_topic(st.tuples(INT32, INT16)))
def test_the_response_to_a_commit_has_the_contents_that_aiokafka_would_read(
    throttled: int, topics: list[Any]
) -> None:
    stream = BytesIO(b"head" + OffsetCommitResponse_v3(throttled, topics).encode())
    stream.seek(4)
    assert CommitResponse.decode(stream).topics == topics


@given(INT32, by_topic(st.tuples(INT32, INT64, st.none() | TEXT, INT16)), INT16)
def test_the_response_with_offsets_has_the_contents_that_aiokafka_would_read(
    throttled: int, topics: list[Any], code: int
) -> None:
    stream = BytesIO(b"head" + OffsetFetchResponse_v3(throttled, topics, code).encode())
    stream.seek(4)
    read = FetchedResponse.decode(stream)
    assert (read.topics, read.error_code) == (topics, code)


@given(st.integers(1, 60))
def test_a_response_that_is_cut_off_is_refused(missing: int) -> None:
    fetched = OffsetFetchResponse_v3(0, [("orders", [(0, 7, "map" * 9, 0), (1, 7, "", 0)])], 0).encode()
    accepted = OffsetCommitResponse_v3(0, [("orders", [(number, 0) for number in range(9)])]).encode()
    with pytest.raises((struct.error, ValueError)):
        FetchedResponse.decode(BytesIO(fetched[:-missing]))
    with pytest.raises((struct.error, ValueError)):
        CommitResponse.decode(BytesIO(accepted[:-missing]))


def test_an_older_broker_gets_the_requests_of_aiokafka() -> None:
    commit = LeanOffsetCommit("g", -1, "", -1, [("orders", [(0, 7, "")])])
    assert type(commit.prepare({8: (0, 2)})) is OffsetCommitRequest_v2
    assert type(LeanOffsetFetch("g", None).prepare({9: (0, 2)})) is OffsetFetchRequest_v2
