"""Keep an access token fresh: renew it before it expires, with one request for all that wait for it.

Invariant: at most one request for a token is running, and after a failure the next one waits. While a token
is valid, its renewal delays no request.
"""

from __future__ import annotations

import asyncio

import structlog

from bridge.errors import TokenUnavailable
from bridge.http.token_request import FetchGrant, Grant
from bridge.telemetry import events
from bridge.telemetry.scrub import in_force
from bridge.telemetry.throttle import Throttle

_log = structlog.get_logger()
_RENEW_PART = 0.25
_RENEW_BEFORE_S = 300.0
"""A token is renewed in the last quarter of its lifetime, but not earlier than this before its end."""
_MARGIN_PART = 0.05
_MARGIN_S = 10.0
"""A token is not used at the end of its lifetime: the request needs time to reach the receiver."""
_SHORTEST_S = 1.0
"""A token is used for at least this time, so that no answer causes one token request per event."""
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 10.0
_LONGEST_RETRY_AFTER_S = 300.0


class Token:
    """An access token in use.

    ``replaces_refused``: it was fetched because a receiver refused the one before. ``proven``: a receiver
    accepted it.
    """

    __slots__ = ("authorization", "proven", "replaces_refused", "text")

    def __init__(self, text: str, *, replaces_refused: bool) -> None:
        self.text = text
        self.authorization = f"Bearer {text}".encode("ascii")  # RFC 6750 2.1
        self.replaces_refused = replaces_refused
        self.proven = False

    def prove(self) -> None:
        """Record that a receiver accepted it."""
        self.proven = True


class TokenSource:
    """The current token of one client, fetched when it is needed and renewed in the background.

    ``setting`` is the name of the token URL, for the log. Each token is a secret of the process as soon as it
    is issued. Use one instance in one event loop at a time.
    """

    def __init__(self, setting: str, fetch: FetchGrant) -> None:
        self._setting = setting
        self._fetch = fetch
        self._token: Token | None = None
        self._renew_at = self._usable_until = self._retry_at = 0.0
        self._refused, self._refused_at = False, 0.0
        self._failures = 0
        self._failure = TokenUnavailable(f"{setting} has not answered yet", "try again")
        self._renewal: asyncio.Task[None] | None = None
        self._throttle = Throttle()
        self._works = False

    def fresh(self) -> Token | None:
        """Return the token if it is valid, and begin its renewal when that is due; else None."""
        now = asyncio.get_running_loop().time()
        if now < self._renew_at:
            return self._token
        if now >= self._usable_until:
            return None
        self._begin(now)
        return self._token

    async def get(self, timeout_s: float) -> Token:
        """Return a valid token; wait for it up to ``timeout_s``. Raises ``TokenUnavailable``."""
        token = self.fresh()
        if token is not None:
            return token
        loop = asyncio.get_running_loop()
        self._begin(loop.time())
        if self._renewal is not None and not self._renewal.done():
            await asyncio.wait({self._renewal}, timeout=timeout_s)  # it goes on if this caller is cancelled
            if not self._renewal.done():
                raise TokenUnavailable(
                    f"{self._setting} has not answered within {timeout_s:.1f} s",
                    "check that its server is available",
                )
        if self._token is None or loop.time() >= self._usable_until:
            failure = self._failure  # a copy, because a raised exception keeps its frames
            raise TokenUnavailable(failure.cause, failure.remedy)
        return self._token

    async def replace(self, refused: Token, timeout_s: float) -> Token | None:
        """Return another token for a request that was refused with 401, or None if that would not help.

        Each token is renewed at most once because of refusals. A token that was fetched because of a refusal
        and was never accepted is not renewed: the cause is not the token. Raises ``TokenUnavailable``.
        """
        if refused is self._token:
            if refused.replaces_refused and not refused.proven:
                return None
            self._token, self._refused = None, True
            self._refused_at = asyncio.get_running_loop().time()
            self._renew_at = self._usable_until = 0.0
        token = await self.get(timeout_s)
        return token if token.text != refused.text else None

    async def close(self) -> None:
        """Cancel a renewal that is running."""
        if self._renewal is not None and not self._renewal.done():
            self._renewal.cancel()
            await asyncio.wait({self._renewal})

    def _begin(self, now: float) -> None:
        """Begin to fetch a token, unless that is running already or must wait after a failure."""
        running = self._renewal is not None and not self._renewal.done()
        if not running and now >= self._retry_at:
            self._renewal = asyncio.get_running_loop().create_task(self._renew(), name=self._setting)

    async def _renew(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while True:
                began = loop.time()
                grant = await self._fetch()
                if began >= self._refused_at:  # else it may be as old as the token that was refused meanwhile
                    break
        except TokenUnavailable as exc:
            pause_s = self._note_failure(exc, loop.time())
            if self._throttle.allows():
                _log.warning(
                    events.TOKEN_FAILED,
                    setting=self._setting,
                    cause=exc.cause,
                    remedy=exc.remedy,
                    next_try_s=round(pause_s, 1),
                )
        except Exception as exc:
            cause, remedy = f"{self._setting}: internal error {type(exc).__name__}", "report it as a bug"
            _log.exception(events.TOKEN_FAILED, setting=self._setting, cause=cause, remedy=remedy)
            self._note_failure(TokenUnavailable(cause, remedy), loop.time())
        else:
            self._take(grant, began, loop.time())

    def _take(self, grant: Grant, began: float, now: float) -> None:
        lifetime_s = grant.lifetime_s
        in_force.learn_token(self._setting, grant.token)  # a receiver may repeat it from now on
        self._token = Token(grant.token, replaces_refused=self._refused)
        self._refused = False
        ends_at = began + lifetime_s
        usable_until = ends_at - min(_MARGIN_S, lifetime_s * _MARGIN_PART)
        self._usable_until = max(usable_until, now + _SHORTEST_S)
        self._renew_at = max(ends_at - min(_RENEW_BEFORE_S, lifetime_s * _RENEW_PART), now + _SHORTEST_S)
        self._failures, self._retry_at = 0, 0.0
        if not self._works:
            self._works, self._throttle = True, Throttle()
            _log.info(events.TOKEN_FETCHED, setting=self._setting, lifetime_s=round(lifetime_s))

    def _note_failure(self, failure: TokenUnavailable, now: float) -> float:
        """Return the seconds until the next request."""
        pause_s = min(_FIRST_PAUSE_S * 2.0**self._failures, _LONGEST_PAUSE_S)
        pause_s = max(pause_s, min(failure.retry_after_s, _LONGEST_RETRY_AFTER_S))
        self._failures = min(self._failures + 1, 10)
        self._failure, self._retry_at, self._works = failure, now + pause_s, False
        return pause_s
