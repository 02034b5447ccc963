"""Add an access token to every request of an endpoint, and renew it when the receiver refuses it.

Invariant: a request is sent at most twice, and the second time only after the receiver answered 401 to the
first one. So no event is accepted twice because of a token.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from bridge.errors import TokenUnavailable, TransportError, TransportFault
from bridge.http import Transport
from bridge.http.token import Token, TokenSource
from bridge.model import Request, Response

HEADER = b"authorization"
_TOKEN_PART = 0.5
"""Part of the time left that the wait for a token may use: the request needs the rest."""
_LEAST_PART = 0.25
"""Part of the timeout that must be left to repeat a request. With less, its answer might come too late."""

Result = TypeVar("Result")


class AuthorizedTransport:
    """A ``Transport`` that sends each request with the current token.

    The wait for a token is part of the timeout of the attempt. ``may_write`` is called after such a wait,
    because the lease of the process may have ended meanwhile.
    """

    def __init__(
        self, inner: Transport, tokens: TokenSource, may_write: Callable[[], bool] = lambda: True
    ) -> None:
        self._inner = inner
        self._tokens = tokens
        self._may_write = may_write

    async def send(self, request: Request, timeout_s: float) -> Response:
        """Send the request, see ``Transport``. Raises ``TransportError``, with ``token`` if there is none."""
        deadline_at = asyncio.get_running_loop().time() + timeout_s
        left_s = timeout_s
        token = self._tokens.fresh()
        if token is None:
            token = await self._wait(self._tokens.get(timeout_s * _TOKEN_PART))
            left_s = _left_s(deadline_at)
        answer = await self._send(request, token, left_s)
        if answer.status != 401:
            return answer
        wait_s = _left_s(deadline_at) * _TOKEN_PART
        another = await self._wait(self._tokens.replace(token, wait_s))
        if another is None:
            return answer
        left_s = _left_s(deadline_at)
        if left_s < timeout_s * _LEAST_PART:
            raise TransportError(
                TransportFault.TIMEOUT,
                f"{request.url.origin} refused the access token (status 401) too late to repeat the request "
                "in this attempt; the next one uses a new token",
            )
        return await self._send(request, another, left_s)

    async def close(self) -> None:
        """Cancel a renewal, and close the inner transport."""
        await self._tokens.close()
        await self._inner.close()

    async def _send(self, request: Request, token: Token, timeout_s: float) -> Response:
        method, url, headers, body = request
        authorized = Request(method, url, (*headers, (HEADER, token.authorization)), body)
        answer = await self._inner.send(authorized, timeout_s)
        if not token.proven and answer.status < 500 and answer.status != 401:
            token.prove()
        return answer

    async def _wait(self, step: Awaitable[Result]) -> Result:
        """Wait for a token. Raises ``TransportError``: ``token``, or ``withheld`` if the lease has ended."""
        try:
            result = await step
        except TokenUnavailable as exc:
            raise TransportError(TransportFault.TOKEN, str(exc)) from exc
        if not self._may_write():
            raise TransportError(
                TransportFault.WITHHELD, "this process was suspended while it waited for an access token"
            )
        return result


def _left_s(deadline_at: float) -> float:
    return deadline_at - asyncio.get_running_loop().time()
