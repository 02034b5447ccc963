"""Log in at the OpenID provider of the settings, with the browser.

Invariant: a code is redeemed only in the browser that began the login, once, and within ten minutes.
"""

from __future__ import annotations

import hmac
import time
from collections import OrderedDict
from http import HTTPStatus

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from bridge.console.oidc import ProviderUnavailable
from bridge.console.oidc_login import Attempt, OidcLogin
from bridge.console.pages.page_request import local_path
from bridge.console.pages.shell import HEADERS, Shell

CALLBACK = "/login/callback"
_COOKIE = "hookferry_login"
_MOST = 1000
_LONGEST_S = 600.0


class ProviderPages:
    """The two steps of a login at the provider. ``login`` is None where none is configured."""

    def __init__(self, shell: Shell, login: OidcLogin | None) -> None:
        self._shell = shell
        self._login = login
        self._begun: OrderedDict[str, tuple[Attempt, str, float]] = OrderedDict()

    async def begin(self, request: Request) -> Response:
        """Send the browser to the provider."""
        back = local_path(request.query_params.get("next", "/"))
        if self._login is None:
            return RedirectResponse("/login", HTTPStatus.SEE_OTHER, HEADERS)
        try:
            attempt, address = await self._login.begin(
                f"{request.url.scheme}://{request.url.netloc}{CALLBACK}"
            )
        except ProviderUnavailable as exc:
            return self._refused(request, 503, back, f"The provider does not answer: {exc}.")
        self._begun[attempt.state] = attempt, back, time.monotonic()
        while len(self._begun) > _MOST:
            self._begun.popitem(last=False)
        response = RedirectResponse(address, HTTPStatus.SEE_OTHER, HEADERS)
        is_secure = attempt.redirect_uri.startswith("https://")
        response.set_cookie(
            _COOKIE, attempt.state, max_age=int(_LONGEST_S), httponly=True, samesite="lax", secure=is_secure
        )
        return response

    async def callback(self, request: Request) -> Response:
        """Begin a session for whom the provider names."""
        state, code = request.query_params.get("state", ""), request.query_params.get("code", "")
        own = request.cookies.get(_COOKIE, "")
        begun = self._begun.pop(state, None)
        is_own = hmac.compare_digest(own.encode(), state.encode("utf-8", "replace"))
        if self._login is None or begun is None or not is_own or not code:
            return self._refused(request, 400, "/", "This login is not valid any more. Begin again.")
        attempt, back, began_at = begun
        if time.monotonic() - began_at > _LONGEST_S:
            return self._refused(request, 400, back, "This login took too long. Begin again.")
        try:
            actor = await self._login.redeem(attempt, code)
        except ProviderUnavailable as exc:
            return self._refused(request, 503, back, f"The provider does not answer: {exc}.")
        if actor is None:
            text = "The provider gave you no role of this console. Request one from its administrator."
            return self._refused(request, 403, back, text)
        response = RedirectResponse(back, HTTPStatus.SEE_OTHER, HEADERS)
        response.delete_cookie(_COOKIE, httponly=True)
        is_secure = attempt.redirect_uri.startswith("https://")
        return self._shell.begin(request, actor, response, is_secure=is_secure)

    def _refused(self, request: Request, status: int, back: str, text: str) -> Response:
        return self._shell.alone(
            request, "login.html", status, next=back, mistake=text, provider=self._login is not None
        )
