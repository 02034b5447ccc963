"""What all pages have in common: who sent a request, what this person may do, and the headers of the answer.

Invariant: a request that changes something reaches its handler only from a page of this console, with the
token of its session, by a person whose role is ``operate``.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote

import structlog
from fastapi import Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment

from bridge.console.actor import Actor
from bridge.console.oidc_login import OidcLogin
from bridge.console.pages.page_request import (
    Problem,
    check_same_origin,
    here,
    local_path,
    read_form,
    theme_of,
)
from bridge.console.pages.sessions import LONGEST_S, Sessions
from bridge.console.ports import Who
from bridge.errors import ActionRefused, BadCursor, CommitError, KafkaUnavailable, StoreUnavailable
from bridge.telemetry import events
from bridge.telemetry.scrub import scrub

_log = structlog.get_logger()
COOKIE = "hookferry_session"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Logins(Protocol):
    """How people log in."""

    @property
    def anonymous(self) -> Actor | None:
        """Return who everybody is where no login is configured, else None."""
        ...

    def by_token(self, token: str) -> Actor | None:
        """Return whose token this is, else None. Compares in constant time."""
        ...

    @property
    def browser(self) -> OidcLogin | None:
        """Return the logins at an OpenID provider, if one is configured."""
        ...


class Visit(NamedTuple):
    """One request to a page, after all checks. ``form`` is empty unless it is a POST."""

    request: Request
    actor: Actor
    session: str
    form: Mapping[str, list[str]]

    def value(self, name: str) -> str:
        """Return a field of the form without white space around it; empty if it is missing."""
        return (self.form.get(name) or [""])[0].strip()

    def who(self) -> Who:
        """Return who acts and why. The form's key makes a form that is sent twice one action."""
        return Who(self.actor.name, self.value("why"), self.value("key"))


Handler = Callable[[Visit], Awaitable[Response]]


class Shell:
    """Guards requests and renders pages. ``group`` is shown on each of them."""

    def __init__(
        self,
        group: str,
        logins: Logins,
        sessions: Sessions,
        templates: Environment,
        clock: Callable[[], float],
    ) -> None:
        """``clock`` returns Unix seconds."""
        self.now_s = clock
        self._group = group
        self._logins = logins
        self._sessions = sessions
        self._templates = templates

    def read(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """Return an endpoint for GET that everyone with a role may use."""

        async def endpoint(request: Request) -> Response:
            token, actor = self._visitor(request)
            if actor is None:
                return self._to_login(request)
            visit = Visit(request, actor, token, {})
            return self._keep_cookie(visit, await self._answered(visit, handler))

        return endpoint

    def change(self, handler: Handler, *, role: str = "operate") -> Callable[[Request], Awaitable[Response]]:
        """Return an endpoint for POST, for those whose role is ``role``."""

        async def endpoint(request: Request) -> Response:
            token, actor = self._visitor(request)
            if actor is None:
                return self._to_login(request)
            visit = Visit(request, actor, token, {})
            try:
                check_same_origin(request)
                visit = visit._replace(form=await read_form(request))
                if not self._sessions.accepts(token, visit.value("form_token")):
                    raise Problem(403, "This form is of another session. Open the page again and repeat it.")
                if role == "operate" and not actor.may_operate:
                    raise Problem(403, f"{actor.name} has the role read. A change needs the role operate.")
            except Problem as problem:
                return self.problem(visit, problem)
            return self._keep_cookie(visit, await self._answered(visit, handler))

        return endpoint

    def page(self, visit: Visit, template: str, status: int = 200, **values: Any) -> Response:
        """Return a page."""
        common = {
            "visit": visit,
            "group": self._group,
            "actor": visit.actor,
            "operates": visit.actor.may_operate,
            "logged_in": self._logins.anonymous is None,
            "form_token": self._sessions.form_token(visit.session),
            "form_key": secrets.token_hex(12),
            "note": self._sessions.take_note(visit.session),
            "path": visit.request.url.path,
            "here": here(visit.request),
            "theme": theme_of(visit.request),
        }
        text = self._templates.get_template(template).render(common | values)
        return HTMLResponse(text, status, HEADERS)

    def alone(self, request: Request, template: str, status: int = 200, **values: Any) -> Response:
        """Return a page for a person who is not logged in."""
        values |= {"group": self._group, "theme": theme_of(request)}
        return HTMLResponse(self._templates.get_template(template).render(values), status, HEADERS)

    def then(self, visit: Visit, path: str, note: str) -> Response:
        """Redirect to a page, which shows what was done."""
        self._sessions.leave_note(visit.session, note)
        return RedirectResponse(local_path(path), HTTPStatus.SEE_OTHER, HEADERS)

    def problem(self, visit: Visit, problem: Problem) -> Response:
        """Return the page of an error."""
        title = HTTPStatus(problem.status).phrase
        return self.page(visit, "problem.html", problem.status, title=title, text=scrub(str(problem)))

    def begin(
        self, request: Request, actor: Actor, response: Response, *, is_secure: bool = False
    ) -> Response:
        """Begin a session with this answer. ``is_secure``: the browser reaches the console by https."""
        _set_cookie(request, response, self._sessions.begin(actor), is_secure=is_secure)
        _log.info(events.CONSOLE_LOGGED_IN, by=actor.name, role=actor.role)
        return response

    def end(self, visit: Visit, response: Response) -> Response:
        """End the session of a visit with this answer."""
        self._sessions.end(visit.session)
        response.delete_cookie(COOKIE, samesite="strict", httponly=True)
        return response

    async def _answered(self, visit: Visit, handler: Handler) -> Response:
        try:
            return await handler(visit)
        except Problem as problem:
            return self.problem(visit, problem)
        except BadCursor:
            text = (
                "This link goes to a place in a list that does not exist any more. Begin at its first page."
            )
            return self.problem(visit, Problem(400, text))
        except ActionRefused as exc:
            return self.problem(visit, Problem(409, str(exc)))
        except (KafkaUnavailable, CommitError) as exc:
            return self.problem(visit, Problem(503, f"Kafka did not answer: {exc}. Try again in a moment."))
        except StoreUnavailable as exc:
            return self.problem(visit, Problem(503, f"The store of the console did not answer: {exc}."))

    def _visitor(self, request: Request) -> tuple[str, Actor | None]:
        token = request.cookies.get(COOKIE, "")
        anonymous = self._logins.anonymous
        if anonymous is not None:
            return token or secrets.token_urlsafe(32), anonymous
        return token, self._sessions.actor(token) if token else None

    def _keep_cookie(self, visit: Visit, response: Response) -> Response:
        """Give a visitor without a login a cookie, so that its forms are its own."""
        if self._logins.anonymous is not None and COOKIE not in visit.request.cookies:
            _set_cookie(visit.request, response, visit.session)
        return response

    def _to_login(self, request: Request) -> Response:
        """Redirect to the login.

        A browser keeps a strict cookie back when a link of another site is followed. Such a page loads
        itself once more, which the browser counts as a request of this site.
        """
        if request.headers.get("hx-request"):
            return Response(status_code=401, headers=HEADERS | {"HX-Refresh": "true"})
        if request.headers.get("sec-fetch-site") == "cross-site" and request.method == "GET":
            return self.alone(request, "again.html", here=here(request))
        back = quote(here(request), safe="") if request.method == "GET" else "%2F"
        return RedirectResponse(f"/login?next={back}", HTTPStatus.SEE_OTHER, HEADERS)


def _set_cookie(request: Request, response: Response, token: str, *, is_secure: bool = False) -> None:
    origin = request.headers.get("origin", "")  # of the address that the browser shows, also through a proxy
    secure = is_secure or request.url.scheme == "https" or origin.startswith("https://")
    response.set_cookie(
        COOKIE, token, max_age=int(LONGEST_S), httponly=True, samesite="strict", secure=secure
    )
