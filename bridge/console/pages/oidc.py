"""Log in at an OpenID provider: to it and back, bound to one browser.

Invariant: a code is redeemed once, within ten minutes, and only for the browser that began the login.
"""

from __future__ import annotations

import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable
from http import HTTPStatus
from typing import NamedTuple

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from bridge.console.oidc import ProviderUnavailable
from bridge.console.oidc_login import Attempt
from bridge.console.pages.shell import HEADERS, BrowserLogin, Shell, local_path

CALLBACK = "/login/oidc/callback"
_COOKIE = "hookferry_login"
_MOST, _LONGEST_S = 1000, 600.0


class _Begun(NamedTuple):
    attempt: Attempt
    browser: str
    back: str
    at_s: float


class OidcPages:
    """The way to the provider and back. ``clock`` returns seconds that only grow."""

    def __init__(self, shell: Shell, login: BrowserLogin, clock: Callable[[], float]) -> None:
        self._shell = shell
        self._login = login
        self._clock = clock
        self._begun: OrderedDict[str, _Begun] = OrderedDict()

    async def begin(self, request: Request) -> Response:
        """Send the browser to the provider."""
        back = local_path(request.query_params.get("next", "/"))
        try:
            attempt, address = await self._login.begin(_redirect_uri(request))
        except ProviderUnavailable as exc:
            return self._refused(request, 503, back, f"The provider did not answer: {exc}.")
        browser = secrets.token_urlsafe(24)
        self._begun[attempt.state] = _Begun(attempt, browser, back, self._clock())
        while len(self._begun) > _MOST:
            self._begun.popitem(last=False)
        response = RedirectResponse(address, HTTPStatus.SEE_OTHER, HEADERS)
        response.set_cookie(
            _COOKIE,
            browser,
            max_age=int(_LONGEST_S),
            path="/login",
            httponly=True,
            samesite="lax",  # the way back begins at another site, and a strict cookie would stay behind
            secure=_scheme(request) == "https",
        )
        return response

    async def end(self, request: Request) -> Response:
        """Begin a session for the person that the provider names."""
        given = request.query_params
        begun = self._begun.pop(given.get("state", ""), None)
        browser = request.cookies.get(_COOKIE, "")
        if begun is None or self._clock() - begun.at_s > _LONGEST_S or not _same(begun.browser, browser):
            return self._refused(
                request, 400, "/", "This login is too old, or of another browser. Repeat it."
            )
        if "code" not in given:
            text = f"The provider refused the login: {given.get('error', 'without a reason')[:100]}."
            return self._refused(request, 401, begun.back, text)
        try:
            actor = await self._login.redeem(begun.attempt, given["code"])
        except ProviderUnavailable as exc:
            return self._refused(request, 503, begun.back, f"The provider did not answer: {exc}.")
        if actor is None:
            text = "You have no role here. The settings console.oidc.operate and console.oidc.read name them."
            return self._refused(request, 403, begun.back, text)
        response = self._shell.alone(request, "again.html", here=begun.back)
        response.delete_cookie(_COOKIE, path="/login", httponly=True, samesite="lax")
        return self._shell.begin(request, actor, response)

    def _refused(self, request: Request, status: int, back: str, text: str) -> Response:
        return self._shell.alone(request, "login.html", status, next=back, mistake=text)


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode("utf-8", "replace"))


def _scheme(request: Request) -> str:
    """Return how the browser reaches the console: a proxy that ends TLS states it in a header."""
    return "https" if request.headers.get("x-forwarded-proto") == "https" else request.url.scheme


def _redirect_uri(request: Request) -> str:
    """Return the address of the way back. The console accepts only the hosts of its settings."""
    return f"{_scheme(request)}://{request.headers.get('host', 'localhost')}{CALLBACK}"
