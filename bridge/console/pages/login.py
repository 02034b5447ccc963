"""Log in with a token, log out, and the choice of the theme.

Invariant: a session begins only with a token that the console accepts; wrong ones are slowed down together.
"""

from __future__ import annotations

import time
from collections import deque
from http import HTTPStatus

import structlog
from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from bridge.console.pages.page_request import (
    THEME_COOKIE,
    THEMES,
    Problem,
    check_same_origin,
    local_path,
    read_form,
)
from bridge.console.pages.shell import HEADERS, Logins, Shell, Visit
from bridge.telemetry import events
from bridge.telemetry.throttle import Throttle

_log = structlog.get_logger()
_MOST_WRONG, _WRONG_S = 20, 60.0
_THEME_S = 365 * 86400


class LoginPages:
    """The pages before and after a session."""

    def __init__(self, shell: Shell, logins: Logins) -> None:
        self._shell = shell
        self._logins = logins
        self._throttle = Throttle()
        self._wrong: deque[float] = deque(maxlen=_MOST_WRONG)

    async def form(self, request: Request) -> Response:
        """Show the form."""
        back = local_path(request.query_params.get("next", "/"))
        if self._logins.anonymous is not None:
            return RedirectResponse(back, HTTPStatus.SEE_OTHER, HEADERS)
        return self._page(request, 200, back, "")

    async def begin(self, request: Request) -> Response:
        """Begin a session for whose token was typed."""
        back = "/"
        try:
            check_same_origin(request)
            form = await read_form(request)
            back = local_path((form.get("next") or ["/"])[0])
            actor = (
                None if self._is_slowed() else self._logins.by_token((form.get("token") or [""])[0].strip())
            )
        except Problem as problem:
            return self._refused(request, problem.status, back, str(problem))
        if actor is not None:
            return self._shell.begin(request, actor, RedirectResponse(back, HTTPStatus.SEE_OTHER, HEADERS))
        if self._is_slowed():
            return self._refused(request, 429, back, "Too many wrong tokens. Wait a minute, then try again.")
        self._wrong.append(time.monotonic())
        if self._throttle.allows():
            _log.warning(events.CONSOLE_REFUSED, reason="a wrong token on the login page")
        text = "This token is not valid here. Compare it with the file that console.tokens names."
        return self._refused(request, 401, back, text)

    async def end(self, visit: Visit) -> Response:
        """End the session."""
        return self._shell.end(visit, RedirectResponse("/login", HTTPStatus.SEE_OTHER, HEADERS))

    async def theme(self, visit: Visit) -> Response:
        """Keep the choice of the theme in a cookie."""
        chosen = visit.value("theme")
        response = RedirectResponse(local_path(visit.value("back")), HTTPStatus.SEE_OTHER, HEADERS)
        response.set_cookie(
            THEME_COOKIE,
            chosen if chosen in THEMES else "auto",
            max_age=_THEME_S,
            samesite="lax",
            httponly=True,
        )
        return response

    def _is_slowed(self) -> bool:
        return len(self._wrong) == _MOST_WRONG and time.monotonic() - self._wrong[0] < _WRONG_S

    def _refused(self, request: Request, status: int, back: str, text: str) -> Response:
        return self._page(request, status, back, text)

    def _page(self, request: Request, status: int, back: str, mistake: str) -> Response:
        provider = self._logins.browser is not None
        return self._shell.alone(request, "login.html", status, next=back, mistake=mistake, provider=provider)
