"""What a redrive sends: each event once, in the order of its topic, and only where a source reads it."""

from __future__ import annotations

import dataclasses

import pytest

from bridge.dead_letters.resend_request import (
    BATCH_BYTES,
    ResendRequest,
    batches,
    in_turns,
    obstacle,
    resend_requests,
)
from tests.support.letters import letter_at


def test_requests_follow_the_order_of_the_source_topic() -> None:
    requests = resend_requests(
        [letter_at(1, offset="30"), letter_at(2, offset="9"), letter_at(3, offset="10", partition="1")]
    )
    assert [request.letter.address.offset for request in requests] == [3, 2, 1]


def test_an_event_that_was_parked_twice_for_an_endpoint_is_sent_again_once() -> None:
    """A crash between parking and commit leaves two letters of one event.

    It is sent with the id of the latest: the earlier letter may have been sent and refused already.
    """
    first, second, other = letter_at(1), letter_at(4), letter_at(2, endpoint="shop")
    assert resend_requests([second, first, other]) == [
        ResendRequest(second, (second, first)),
        ResendRequest(other, (other,)),
    ]


def test_lanes_are_sent_side_by_side_and_each_in_its_order() -> None:
    requests = resend_requests([letter_at(n, offset=str(n)) for n in (1, 2, 3)])
    other_lane = resend_requests([letter_at(4, offset="4", lane="x")])
    turns = in_turns([*requests, *other_lane])
    assert [[request.letter.origin.offset for request in turn] for turn in turns] == [[1, 4], [2], [3]]


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        ({}, None),
        ({"endpoint": None}, None),
        ({"topic": "gone"}, "no source reads topic 'gone'"),
        ({"endpoint": "old"}, "no endpoint 'old'"),
        ({"partition": "4"}, "partition 4 of 'orders'"),
        ({"raw_of": "batch", "endpoint": None}, "the bytes of a batch that could not be read"),
    ],
)
def test_a_letter_that_no_source_or_endpoint_accepts_cannot_be_sent(
    facts: dict[str, str | None], text: str | None
) -> None:
    reason = obstacle(letter_at(**facts), ["orders"], ["crm"], 4)
    assert reason is None if text is None else reason is not None and text in reason[0]


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([1] * 1001, [500, 500, 1]),
        ([BATCH_BYTES // 2] * 5, [2, 2, 1]),
        ([BATCH_BYTES * 2, 1, 1], [1, 2]),
        ([1, BATCH_BYTES * 2, 1], [1, 1, 1]),
        ([], []),
    ],
)
def test_a_batch_is_bounded_by_records_and_by_bytes(sizes: list[int], expected: list[int]) -> None:
    requests = [ResendRequest(dataclasses.replace(letter_at(), size_bytes=size), ()) for size in sizes]
    split = list(batches(requests))
    assert [len(batch) for batch in split] == expected
    assert [request for batch in split for request in batch] == requests


def test_a_stub_of_a_resend_cannot_be_made_of_its_record_and_the_attempt_is_named() -> None:
    letter = letter_at(stored="{}", repeats="1:2:3", stub_value_bytes="9")
    found = obstacle(letter, {"orders"}, {"crm"}, 8)
    assert found is not None
    assert found[1] == "send the attempt again: hookferry resend 1:2:3"
    assert obstacle(letter_at(stored="{}"), (), {"crm"}, 8) is None, "no source is needed"
