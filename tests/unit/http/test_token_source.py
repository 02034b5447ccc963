"""An access token: fetched once for all, renewed in the background, paced after failures."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from bridge.errors import TokenUnavailable
from bridge.http.token import Token, TokenSource
from bridge.http.token_request import Grant
from bridge.telemetry import events
from bridge.telemetry.scrub import in_force, scrub
from tests.support.simulated import simulated


class TokenServer:
    """Answers after ``takes_s`` with the next token, or with ``failure``."""

    def __init__(self, lifetime_s: float = 1000.0, takes_s: float = 0.0) -> None:
        self.lifetime_s = lifetime_s
        self.takes_s = takes_s
        self.failure: Exception | None = None
        self.asked_at: list[float] = []
        self.same = False

    async def fetch(self) -> Grant:
        self.asked_at.append(asyncio.get_running_loop().time())
        number = 1 if self.same else len(self.asked_at)
        await asyncio.sleep(self.takes_s)
        if self.failure is not None:
            raise self.failure
        return Grant(f"token-{number}", self.lifetime_s)


def down(retry_after_s: float = 0.0) -> TokenUnavailable:
    return TokenUnavailable("token_url answered with status 503", "check the server", retry_after_s)


def source(server: TokenServer) -> TokenSource:
    return TokenSource("endpoints.crm.auth.oauth2.token_url", server.fetch)


async def text(tokens: TokenSource, timeout_s: float = 10.0) -> str:
    return (await tokens.get(timeout_s)).text


@simulated
async def test_a_hundred_requests_that_wait_for_a_token_cause_one_request_for_it() -> None:
    server = TokenServer(takes_s=2)
    tokens = source(server)
    assert set(await asyncio.gather(*(text(tokens) for _ in range(100)))) == {"token-1"}
    assert await text(tokens) == "token-1"
    assert server.asked_at == [0]


@simulated
async def test_a_token_is_renewed_before_its_end_while_requests_go_on_with_it() -> None:
    server = TokenServer(lifetime_s=1000, takes_s=5)
    tokens = source(server)
    await text(tokens)
    await asyncio.sleep(749)
    for _ in range(10):
        assert await text(tokens) == "token-1", "the request does not wait for the renewal"
        await asyncio.sleep(0.4)
    await asyncio.sleep(10)
    assert await text(tokens) == "token-2"
    assert len(server.asked_at) == 2


@simulated
async def test_nothing_is_renewed_while_no_event_needs_it() -> None:
    server = TokenServer(lifetime_s=10)
    await text(source(server))
    await asyncio.sleep(10_000)
    assert len(server.asked_at) == 1


@simulated
async def test_a_token_is_not_used_at_the_end_of_its_life() -> None:
    server = TokenServer(lifetime_s=100)
    tokens = source(server)
    await text(tokens)
    await asyncio.sleep(96)
    assert await text(tokens) == "token-2"


@simulated
async def test_a_lifetime_counts_from_the_request_not_from_its_late_answer() -> None:
    server = TokenServer(lifetime_s=100, takes_s=60)
    tokens = source(server)
    await text(tokens, 100)
    await asyncio.sleep(36)
    assert tokens.fresh() is None


@simulated
async def test_tokens_that_expire_at_once_cause_one_request_per_second_at_most() -> None:
    server = TokenServer(lifetime_s=0.001)
    tokens = source(server)
    for _ in range(100):
        await text(tokens)
        await asyncio.sleep(0.1)
    assert len(server.asked_at) <= 11


@simulated
async def test_a_waiting_request_that_is_cancelled_does_not_cancel_the_fetch_for_the_others() -> None:
    server = TokenServer(takes_s=2)
    tokens = source(server)
    first, second = (asyncio.ensure_future(text(tokens)) for _ in range(2))
    await asyncio.sleep(1)
    first.cancel()
    assert await second == "token-1"
    assert len(server.asked_at) == 1


@simulated
async def test_a_slow_server_is_waited_for_within_the_limit_and_its_answer_serves_the_next() -> None:
    server = TokenServer(takes_s=12)
    tokens = source(server)
    with pytest.raises(TokenUnavailable, match=r"has not answered within 7\.5 s"):
        await tokens.get(7.5)
    await asyncio.sleep(5)
    assert await text(tokens) == "token-1"
    assert len(server.asked_at) == 1


@simulated
async def test_after_failures_the_server_is_asked_less_often_and_waiting_requests_fail_at_once() -> None:
    server = TokenServer()
    server.failure = down()
    tokens = source(server)
    for _ in range(500):
        with pytest.raises(TokenUnavailable, match="answered with status 503"):
            await tokens.get(10)
        await asyncio.sleep(0.1)
    gaps = [round(b - a) for a, b in zip(server.asked_at, server.asked_at[1:], strict=False)]
    assert gaps == [1, 2, 4, 8, 10, 10, 10]
    server.failure = None
    await asyncio.sleep(10)
    assert (await text(tokens)).startswith("token-")


@simulated
async def test_a_retry_after_of_the_token_server_is_honored() -> None:
    server = TokenServer()
    server.failure = down(retry_after_s=60)
    tokens = source(server)
    for _ in range(100):
        with pytest.raises(TokenUnavailable):
            await tokens.get(10)
        await asyncio.sleep(1)
    assert [round(at) for at in server.asked_at] == [0, 60]


@simulated
async def test_a_renewal_that_fails_leaves_the_token_in_use_until_its_end() -> None:
    server = TokenServer(lifetime_s=1000)
    tokens = source(server)
    await text(tokens)
    server.failure = down()
    await asyncio.sleep(760)
    for _ in range(20):
        assert await text(tokens) == "token-1"
        await asyncio.sleep(10)
    await asyncio.sleep(40)
    with pytest.raises(TokenUnavailable):
        await tokens.get(1)


@simulated
async def test_a_failure_is_logged_once_per_minute_and_its_end_once() -> None:
    server = TokenServer()
    server.failure = down()
    tokens = source(server)
    with capture_logs() as logs:
        for _ in range(90):
            with pytest.raises(TokenUnavailable):
                await tokens.get(1)
            await asyncio.sleep(1)
        server.failure = None
        await asyncio.sleep(10)
        await text(tokens)
    assert [line["event"] for line in logs].count(events.TOKEN_FAILED) == 1, "the throttle has real time"
    assert [line["event"] for line in logs].count(events.TOKEN_FETCHED) == 1
    failed = next(line for line in logs if line["event"] == events.TOKEN_FAILED)
    assert failed["cause"] == "token_url answered with status 503"
    assert failed["remedy"] == "check the server"


@simulated
async def test_an_unexpected_exception_is_a_failure_like_others_and_has_a_traceback_in_the_log() -> None:
    server = TokenServer()
    server.failure = RuntimeError("a bug")
    tokens = source(server)
    with capture_logs() as logs, pytest.raises(TokenUnavailable, match="internal error RuntimeError"):
        await tokens.get(1)
    assert logs[0]["exc_info"]
    server.failure = None
    await asyncio.sleep(2)
    assert await text(tokens) == "token-2"


async def refused(tokens: TokenSource, token: Token) -> Token | None:
    return await tokens.replace(token, 10)


@simulated
async def test_a_token_that_many_requests_report_as_refused_is_renewed_once() -> None:
    server = TokenServer(takes_s=1)
    tokens = source(server)
    token = await tokens.get(10)
    replaced = await asyncio.gather(*(refused(tokens, token) for _ in range(50)))
    assert {other.text for other in replaced if other} == {"token-2"}
    assert await refused(tokens, token) is replaced[0], "a late report of the old token gets the new one"
    assert len(server.asked_at) == 2


@simulated
async def test_a_renewal_that_began_before_the_refusal_is_repeated() -> None:
    """Its token may be as old as the one that was refused."""
    server = TokenServer(lifetime_s=1000, takes_s=5)
    tokens = source(server)
    token = await tokens.get(10)
    await asyncio.sleep(760)
    assert tokens.fresh() is token, "a renewal begins"
    await asyncio.sleep(1)
    other = await tokens.replace(token, 30)
    assert other is not None
    assert other.text == "token-3"


@simulated
async def test_a_new_token_that_was_never_accepted_is_not_renewed_when_it_is_refused_too() -> None:
    server = TokenServer()
    tokens = source(server)
    second = await refused(tokens, await tokens.get(10))
    assert second is not None
    assert await refused(tokens, second) is None
    assert await text(tokens) == "token-2", "it stays in use"
    second.prove()
    third = await refused(tokens, second)
    assert third is not None
    assert third.text == "token-3", "a token that worked before was revoked"


@simulated
async def test_a_server_that_returns_the_refused_token_again_causes_no_repetition() -> None:
    server = TokenServer()
    server.same = True
    tokens = source(server)
    assert await refused(tokens, await tokens.get(10)) is None


@simulated
async def test_each_new_token_is_a_secret_of_the_process() -> None:
    tokens = source(TokenServer())
    await refused(tokens, await tokens.get(10))
    assert scrub("error page: Bearer token-1, Bearer token-2, token-3") == (
        "error page: Bearer ***, Bearer ***, token-3"
    )
    in_force.forget()


@simulated
async def test_closing_cancels_a_renewal_that_is_running() -> None:
    server = TokenServer(takes_s=1000)
    tokens = source(server)
    waiting = asyncio.ensure_future(tokens.get(500))
    await asyncio.sleep(1)
    await tokens.close()
    with pytest.raises(TokenUnavailable):
        await waiting
    assert asyncio.get_running_loop().time() == 1
    await tokens.close()


@simulated
async def test_an_issued_token_is_a_secret_before_the_first_request_with_it() -> None:
    assert scrub("got token-1") == "got token-1"
    await text(source(TokenServer()))
    assert scrub("got token-1") == "got ***"
