"""A request with an access token: at most two sends, the second one only after a 401."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from bridge.errors import TokenUnavailable, TransportError, TransportFault
from bridge.http.authorized import AuthorizedTransport
from bridge.http.token import TokenSource
from bridge.http.token_request import Grant
from bridge.model import Request, Response, Url
from tests.support.simulated import simulated

REQUEST = Request("POST", Url("https", "crm.test", 443, "/hooks"), ((b"webhook-id", b"1"),), b"{}")


class Receiver:
    """Answers each request after ``takes_s`` with the next status; the last one repeats."""

    def __init__(self, statuses: Sequence[int] = (200,), takes_s: float = 0.0) -> None:
        self.statuses = list(statuses)
        self.takes_s = takes_s
        self.tokens: list[str] = []
        self.timeouts: list[float] = []

    async def send(self, request: Request, timeout_s: float) -> Response:
        name, value = request.headers[-1]
        assert name == b"authorization"
        assert request.headers[:-1] == REQUEST.headers
        self.tokens.append(value.decode())
        self.timeouts.append(timeout_s)
        await asyncio.sleep(self.takes_s)
        return Response(self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0], (), b"")

    async def close(self) -> None: ...


class Stage:
    """A transport with a token server that takes ``token_takes_s``."""

    def __init__(self, receiver: Receiver, token_takes_s: float = 0.0) -> None:
        self.receiver = receiver
        self.issued = 0
        self.token_takes_s = token_takes_s
        self.down = False
        self.may_write = True
        self.transport = AuthorizedTransport(receiver, TokenSource("token_url", self._fetch), self._may_write)

    async def send(self, timeout_s: float = 10.0) -> int:
        return (await self.transport.send(REQUEST, timeout_s)).status

    async def fault(self, timeout_s: float = 10.0) -> TransportFault:
        with pytest.raises(TransportError) as caught:
            await self.transport.send(REQUEST, timeout_s)
        return caught.value.fault

    async def _fetch(self) -> Grant:
        await asyncio.sleep(self.token_takes_s)
        if self.down:
            raise TokenUnavailable("down", "wait")
        self.issued += 1
        return Grant(f"t{self.issued}", 1000)

    def _may_write(self) -> bool:
        return self.may_write


@simulated
async def test_a_refused_token_is_renewed_and_the_request_repeated_in_the_same_attempt() -> None:
    stage = Stage(Receiver([200, 401, 200]))
    assert [await stage.send() for _ in range(2)] == [200, 200]
    assert stage.receiver.tokens == ["Bearer t1", "Bearer t1", "Bearer t2"]


@simulated
async def test_a_second_401_is_the_answer_of_the_attempt() -> None:
    stage = Stage(Receiver([401]))
    assert await stage.send() == 401
    assert stage.receiver.tokens == ["Bearer t1", "Bearer t2"]
    assert [await stage.send() for _ in range(5)] == [401] * 5
    assert stage.issued == 2, "the new token was refused too, so it is not renewed"
    assert len(stage.receiver.tokens) == 7, "and nothing is repeated"


@simulated
async def test_a_receiver_that_refuses_one_event_in_two_costs_no_more_than_two_sends_for_each() -> None:
    stage = Stage(Receiver([200, 401, 401] * 10))
    for _ in range(10):
        assert await stage.send() == 200
        assert await stage.send() == 401
    assert len(stage.receiver.tokens) == 30


@simulated
@pytest.mark.parametrize("status", [400, 403, 407, 429, 500, 503])
async def test_other_statuses_renew_nothing(status: int) -> None:
    stage = Stage(Receiver([status]))
    assert await stage.send() == status
    assert len(stage.receiver.tokens) == stage.issued == 1


@simulated
async def test_without_a_token_nothing_is_sent_and_the_fault_is_token() -> None:
    stage = Stage(Receiver())
    stage.down = True
    assert await stage.fault() is TransportFault.TOKEN
    assert stage.receiver.tokens == []


@simulated
async def test_a_401_while_the_token_server_is_down_is_a_fault_of_the_token_not_a_refusal() -> None:
    stage = Stage(Receiver([200, 401, 200]))
    await stage.send()
    stage.down = True
    assert await stage.fault() is TransportFault.TOKEN
    stage.down = False
    await asyncio.sleep(10)
    assert await stage.send() == 200


@simulated
async def test_the_wait_for_a_token_leaves_half_of_the_timeout_to_the_request() -> None:
    stage = Stage(Receiver(), token_takes_s=4)
    assert await stage.send(timeout_s=10) == 200
    assert stage.receiver.timeouts == [6]
    slow = Stage(Receiver(), token_takes_s=6)
    assert await slow.fault(timeout_s=10) is TransportFault.TOKEN
    assert asyncio.get_running_loop().time() == 4 + 5
    assert await slow.send(timeout_s=10) == 200, "the token that came meanwhile"


@simulated
async def test_a_401_that_comes_late_is_retried_in_the_next_attempt() -> None:
    """A repetition with too little time would run into the timeout, and be a duplicate."""
    stage = Stage(Receiver([401, 200], takes_s=9))
    assert await stage.fault(timeout_s=10) is TransportFault.TIMEOUT
    assert stage.receiver.tokens == ["Bearer t1"]
    stage.receiver.takes_s = 0
    assert await stage.send() == 200
    assert stage.receiver.tokens[-1] == "Bearer t2"


@simulated
async def test_a_process_that_lost_its_lease_while_it_waited_for_a_token_sends_nothing() -> None:
    stage = Stage(Receiver(), token_takes_s=1)
    stage.may_write = False
    assert await stage.fault() is TransportFault.WITHHELD
    assert stage.receiver.tokens == []


@simulated
async def test_a_process_that_lost_its_lease_during_a_renewal_repeats_nothing() -> None:
    stage = Stage(Receiver([200, 401]), token_takes_s=1)
    await stage.send()
    sending = asyncio.ensure_future(stage.fault())
    await asyncio.sleep(0.5)
    stage.may_write = False
    assert await sending is TransportFault.WITHHELD
    assert len(stage.receiver.tokens) == 2
