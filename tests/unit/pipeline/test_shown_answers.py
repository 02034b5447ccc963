"""What the history keeps of an answer was searched for secrets, and the search of deliveries costs little."""

from __future__ import annotations

import pytest

from bridge.model import Response
from bridge.pipeline.shown_answers import (
    BODY_BYTES,
    HEADER_BYTES,
    LEFT_OUT,
    SEARCHES_PER_S,
    ShownAnswers,
)


class Search:
    """Masks S3CR3T, and keeps what it was called with."""

    def __init__(self) -> None:
        self.texts: list[bytes] = []
        self.now_s = 100.0
        self.answers = ShownAnswers(self.clean, lambda: self.now_s)

    def clean(self, text: bytes, most: int) -> bytes:
        self.texts.append(text)
        return text.replace(b"S3CR3T", b"***")[:most]


def answer(body: bytes = b"ok", **headers: str) -> Response:
    return Response(200, tuple((name.encode(), value.encode()) for name, value in headers.items()), body)


@pytest.mark.parametrize("delivered", [True, False])
def test_a_secret_in_header_or_body_is_masked_also_the_second_time(delivered: bool) -> None:
    search = Search()
    echo = answer(b"you sent S3CR3T", server="x", location="/S3CR3T")
    for _ in range(3):
        kept = search.answers.keep(echo, True, delivered)
        assert kept == (b"server: x\nlocation: /***", b"you sent ***")
    assert len(search.texts) == 3, "each part is searched once"


def test_only_the_parts_that_are_new_are_searched() -> None:
    search = Search()
    for second in range(10):
        search.answers.keep(answer(date=f"second {second}", server="x"), True, True)
    assert len(search.texts) == 2 + 10


def test_without_bodies_nothing_of_a_body_is_kept_or_searched() -> None:
    search = Search()
    assert search.answers.keep(answer(b"S3CR3T", server="x"), False, True) == (b"server: x", b"")
    assert search.texts == [b"server: x"]


def test_searches_for_deliveries_are_bounded_per_second_and_what_is_not_searched_is_left_out() -> None:
    search = Search()
    kept = [
        search.answers.keep(answer(b"S3CR3T %d" % number), True, True)[1]
        for number in range(2 * SEARCHES_PER_S)
    ]
    assert kept == [
        b"*** %d" % number if number < SEARCHES_PER_S else LEFT_OUT for number in range(2 * SEARCHES_PER_S)
    ]
    assert search.answers.keep(answer(b"failed S3CR3T"), True, False)[1] == b"failed ***", "a failure always"
    search.now_s += 1
    assert search.answers.keep(answer(b"another"), True, True)[1] == b"another"


def test_what_is_remembered_is_bounded() -> None:
    search = Search()
    for number in range(10_000):
        search.answers.keep(answer(b"%d" % number), True, False)
        search.answers.keep(answer(b"x" * 60_000), True, False)
    assert sum(map(len, search.answers._known)) < 200_000


def test_the_beginning_of_long_parts_is_kept_and_headers_end_with_a_whole_line() -> None:
    search = Search()
    long = answer(b"b" * 10_000, **{f"h{number}": "v" * 1000 for number in range(10)})
    lines, body = search.answers.keep(long, True, False)
    assert body == b"b" * BODY_BYTES
    assert lines.split(b"\n") == [b"h%d: " % number + b"v" * 1000 for number in range(4)]
    assert len(lines) <= HEADER_BYTES
    assert search.answers.keep(answer(h="v" * 9000), True, False)[0] == b"h: " + b"v" * 4093
