"""An answer whose head is known is exactly what the parser would have made of it, whatever the head is."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.errors import TransportError
from bridge.http.connection import Connection, Limits
from bridge.http.known_heads import KnownHeads
from bridge.model import Response

LIMITS = Limits(max_body_bytes=20, max_header_bytes=300, idle_s=60.0)
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
ODD = {
    "chunked": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "no length": b"HTTP/1.1 200 OK\r\n\r\nok",
    "closes": b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
    "old version": b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
    "no body by status": b"HTTP/1.1 204 No Content\r\n\r\n",
    "length of no body": b"HTTP/1.1 304 Not Modified\r\ncontent-length: 2\r\n\r\n",
    "interim first": b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
    "interim alone": b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n",
    "switches": b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
    "surplus": OK + b"HTTP/1.1 200 OK\r\n",
    "twice": OK + OK,
    "short": OK[:-1],
    "long": b"HTTP/1.1 200 OK\r\ncontent-length: 21\r\n\r\n" + b"x" * 21,
    "two lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok",
    "length and chunks": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\nok",
    "bare line feeds": b"HTTP/1.1 200 OK\ncontent-length: 6\n\n\r\n\r\nok",
    "large head": b"HTTP/1.1 200 OK\r\nx: " + b"x" * 300 + b"\r\ncontent-length: 2\r\n\r\nok",
    "not http": b"SSH-2.0-x\r\n\r\n",
    "empty line first": b"\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
}


class Socket(asyncio.Transport):
    """A transport that sends nothing."""

    aborted = False
    unsent = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Forget the data."""

    def get_write_buffer_size(self) -> int:
        """Return how much of a request is not sent."""
        return self.unsent

    def abort(self) -> None:
        """Note it."""
        self.aborted = True


class Pool:
    """Counts what a connection reports."""

    freed_times = 0

    def freed(self, connection: Connection) -> None:
        """Count."""
        self.freed_times += 1

    def retired(self, connection: Connection) -> None:
        """Do nothing."""

    def gone(self, connection: Connection) -> None:
        """Do nothing."""


def answer(
    heads: KnownHeads,
    pieces: Sequence[bytes],
    *,
    body: bool = True,
    unsent: int = 0,
    limits: Limits = LIMITS,
) -> tuple[object, int, bool | None]:
    """Return what a new connection makes of an answer: the response or fault, and whether it stays open."""

    async def exchange() -> tuple[object, int, bool | None]:
        connection = Connection(asyncio.get_running_loop(), "http://x:1", limits, heads)
        socket, pool = Socket(), Pool()
        connection.connection_made(socket)
        connection.join(pool)
        future = connection.start(b"request", asyncio.get_running_loop().time() + 60, body)
        socket.unsent = unsent
        for piece in pieces:
            connection.data_received(piece)
        outcome: object = "waits"
        if future.done():
            failure = future.exception()
            assert failure is None or isinstance(failure, TransportError)
            outcome = future.result() if failure is None else (failure.fault, str(failure))
        else:
            connection.abandon(future)
        connection.retire()
        return outcome, pool.freed_times, socket.aborted if not isinstance(outcome, Response) else None

    return asyncio.run(exchange())


def learned(*answers: bytes) -> KnownHeads:
    """Return the heads that are known after these answers."""
    heads = KnownHeads()
    for each in answers:
        answer(heads, [each])
    return heads


def test_a_plain_answer_is_known_the_second_time() -> None:
    heads = learned(OK)
    assert len(heads) == 1
    known = next(iter(heads.values()))
    headers = ((b"content-type", b"text/plain"), (b"content-length", b"2"))
    assert (known.status, known.headers, known.body_bytes) == (200, headers, 2)
    other_body = OK[:-2] + b"no"
    assert answer(heads, [other_body]) == (Response(200, headers, b"no"), 1, None)


def test_an_answer_that_repeats_is_one_object_and_another_one_is_not() -> None:
    heads = learned(OK, OK)
    first, second = answer(heads, [OK])[0], answer(heads, [OK])[0]
    assert first is second
    assert first == answer(KnownHeads(), [OK])[0]
    assert answer(heads, [OK[:-2] + b"no"])[0] != first
    assert answer(heads, [OK], body=False) == answer(KnownHeads(), [OK], body=False)
    pieces = [OK[:10], OK[10:]]
    assert answer(heads, pieces) == answer(KnownHeads(), pieces)


def test_bodies_that_never_repeat_use_a_bounded_memory() -> None:
    heads = learned(OK)
    for number in range(200):
        body = b"%02d" % (number % 100)
        found, _, _ = answer(heads, [OK[:-2] + body])
        assert isinstance(found, Response)
        assert found.body == body
        assert len(heads.answers) <= 64
    long = Limits(max_body_bytes=5000, max_header_bytes=300, idle_s=60.0)
    large = b"HTTP/1.1 200 OK\r\ncontent-length: 4000\r\n\r\n" + b"x" * 4000
    for _ in range(3):
        assert answer(heads, [large], limits=long)[0] == answer(KnownHeads(), [large], limits=long)[0]
    assert max(map(len, heads.answers)) <= 2048


def test_answers_are_forgotten_with_the_heads() -> None:
    heads = learned(OK, OK)
    assert heads.answers
    for number in range(65):
        heads.remember(b"HTTP/1.1 200 %d\r\n\r\n" % number, 200, (), 0)
    assert not heads.answers


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
@pytest.mark.parametrize("body", [True, False], ids=["GET", "HEAD"])
def test_an_odd_answer_means_the_same_however_often_it_came(odd: bytes, body: bool) -> None:
    heads = learned(OK, odd, odd)
    assert answer(heads, [odd], body=body) == answer(KnownHeads(), [odd], body=body)
    cut = len(odd) // 2
    pieces = [odd[:cut], odd[cut:]]
    assert answer(heads, pieces, body=body) == answer(KnownHeads(), pieces, body=body)


def test_only_complete_answers_of_open_connections_are_remembered() -> None:
    for name in ODD.keys() - {"no body by status", "length of no body"}:
        assert not learned(ODD[name]), name


def test_a_known_head_does_not_free_a_connection_whose_request_is_not_sent() -> None:
    assert answer(learned(OK), [OK], unsent=1) == answer(KnownHeads(), [OK], unsent=1)
    outcome, freed, _ = answer(learned(OK), [OK], unsent=1)
    assert isinstance(outcome, Response)
    assert freed == 0


def test_a_body_that_looks_like_a_known_answer_stays_a_body() -> None:
    quoted = b"HTTP/1.1 204 A\r\n\r\n"
    pieces = [b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(quoted), quoted]
    response, _, _ = answer(learned(quoted), pieces)
    assert response == Response(200, ((b"content-length", b"18"),), quoted)


def test_heads_that_never_repeat_use_a_bounded_memory() -> None:
    heads = KnownHeads()
    for number in range(200):
        before = answer(heads, [b"HTTP/1.1 200 OK\r\nx-id: %d\r\ncontent-length: 0\r\n\r\n" % number])
        assert before[0] == Response(200, ((b"x-id", b"%d" % number), (b"content-length", b"0")), b"")
    assert len(heads) <= 64
    answer(heads, [b"HTTP/1.1 200 OK\r\nx: " + b"x" * 2048 + b"\r\ncontent-length: 0\r\n\r\n"])
    assert max(map(len, heads)) <= 2048


def test_heads_that_never_repeat_are_not_looked_for_until_many_answers_later() -> None:
    heads = KnownHeads()
    for number in range(65):
        heads.remember(b"HTTP/1.1 200 %d\r\n\r\n" % number, 200, (), 0)
    assert heads.pause
    assert answer(heads, [OK]) == answer(KnownHeads(), [OK])
    assert heads.hits == 0
    while heads.pause:
        heads.remember(OK, 200, (), 2)
    answer(heads, [OK])
    assert answer(heads, [OK]) == answer(KnownHeads(), [OK])
    assert heads.hits == 1


def test_heads_that_repeat_are_looked_for_though_they_change_with_the_date() -> None:
    heads = KnownHeads()
    for second in range(130):
        dated = b"HTTP/1.1 200 OK\r\ndate: %d\r\ncontent-length: 0\r\n\r\n" % second
        for _ in range(3):
            answer(heads, [dated])
    assert not heads.pause


_lines = st.sampled_from(
    [b"content-length: 0", b"content-length: 2", b"Content-Length: 3", b"connection: close",
     b"connection: keep-alive", b"transfer-encoding: chunked", b"x: y", b"x:", b" folded", b"bad line"]
)  # fmt: skip
_answers = st.builds(
    lambda version, status, lines, body: b"%b %b\r\n" % (version, status)
    + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body,
    st.sampled_from([b"HTTP/1.1", b"HTTP/1.0"]),
    st.sampled_from([b"200 OK", b"201", b"204 No", b"304 -", b"503 Busy", b"100 Continue"]),
    st.lists(_lines, max_size=3),
    st.sampled_from([b"", b"ok", b"2\r\nok\r\n0\r\n\r\n", b"\r\n\r\n", b"abc"]),
)  # fmt: skip


@settings(deadline=None, max_examples=50)
@given(st.lists(_answers, min_size=1, max_size=4))
def test_what_was_answered_before_never_changes_what_an_answer_means(answers: list[bytes]) -> None:
    heads = learned(*answers)
    for each in answers:
        assert answer(heads, [each]) == answer(KnownHeads(), [each])
