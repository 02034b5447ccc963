"""Build the pages as one ASGI application, which the console mounts next to its API.

Invariant: every answer of a page has the headers of ``shell.HEADERS``; files of ``static`` have the same
policy and may be kept by the browser.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple

from fastapi import FastAPI, Request, Response
from fastapi.responses import PlainTextResponse
from fastapi.staticfiles import StaticFiles
from starlette.types import Scope

from bridge.console.pages.attempts import AttemptPages
from bridge.console.pages.jobs import JobPages
from bridge.console.pages.login import LoginPages
from bridge.console.pages.names import EndpointNames
from bridge.console.pages.page_request import Problem
from bridge.console.pages.parked import ParkedPages
from bridge.console.pages.provider import CALLBACK, ProviderPages
from bridge.console.pages.rendering import environment
from bridge.console.pages.sessions import Sessions
from bridge.console.pages.setup import SetupPages
from bridge.console.pages.shell import HEADERS, Logins, Shell, Visit
from bridge.console.pages.watch import WatchPages
from bridge.console.ports import Actions, Reads

_STATIC = Path(__file__).parents[1] / "static"


class _Areas(NamedTuple):
    """The pages that need a login, by area."""

    watch: WatchPages
    attempts: AttemptPages
    parked: ParkedPages
    jobs: JobPages
    setup: SetupPages


def pages(
    group: str, reads: Reads, actions: Actions, logins: Logins, clock: Callable[[], float] = time.time
) -> FastAPI:
    """Return the application of the pages. ``clock`` returns Unix seconds."""
    shell = Shell(group, logins, Sessions(time.monotonic), environment(), clock)
    app = FastAPI(
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        exception_handlers={404: _plainly, 405: _plainly, 500: _plainly},
    )
    app.mount("/static", _Static(directory=_STATIC))
    names = EndpointNames(reads)
    areas = _Areas(
        WatchPages(shell, reads, names),
        AttemptPages(shell, reads, actions, names),
        ParkedPages(shell, reads, actions, names),
        JobPages(shell, reads, actions, names),
        SetupPages(shell, reads, actions, names),
    )
    _add_reading(app, shell, areas)
    _add_changing(app, shell, areas)
    _add_login(app, shell, LoginPages(shell, logins), ProviderPages(shell, logins.browser))
    return app


def _add_reading(app: FastAPI, shell: Shell, areas: _Areas) -> None:
    watch, attempts, parked, jobs, setup = areas
    for path, handler in (
        ("/", watch.overview),
        ("/endpoints/{name}", watch.endpoint),
        ("/live", watch.live),
        ("/find", attempts.find),
        ("/search", attempts.search),
        ("/event", attempts.event),
        ("/resend", attempts.bulk),
        ("/parked", parked.listing),
        ("/parked/one", parked.one),
        ("/jobs", jobs.listing),
        ("/jobs/{job}", jobs.one),
        ("/replay", jobs.replay_form),
        ("/switches", setup.switches),
        ("/schemas", setup.schemas),
        ("/configuration", setup.config),
        ("/audit", setup.audit),
    ):
        app.add_route(path, shell.read(handler), ["GET"])


def _add_changing(app: FastAPI, shell: Shell, areas: _Areas) -> None:
    _, attempts, parked, jobs, setup = areas
    for path, handler in (
        ("/event/resend", attempts.resend),
        ("/resend", attempts.start_bulk),
        ("/parked/confirm", parked.confirm),
        ("/parked/act", parked.act),
        ("/jobs/{job}", jobs.act),
        ("/replay", jobs.start_replay),
        ("/switches/endpoint", setup.switch_endpoint),
        ("/switches/events", setup.switch_events),
    ):
        app.add_route(path, shell.change(handler), ["POST"])


def _add_login(app: FastAPI, shell: Shell, login: LoginPages, provider: ProviderPages) -> None:
    app.add_route("/login", login.form, ["GET"])
    app.add_route("/login", login.begin, ["POST"])
    app.add_route("/login/provider", provider.begin, ["GET"])
    app.add_route(CALLBACK, provider.callback, ["GET"])
    app.add_route("/logout", shell.change(login.end, role="read"), ["POST"])
    app.add_route("/theme", shell.change(login.theme, role="read"), ["POST"])

    async def missing(visit: Visit) -> Response:
        raise Problem(404, f"There is no page {visit.request.url.path!r}.")

    app.add_route("/{path:path}", shell.read(missing), ["GET"])


async def _plainly(request: Request, exc: Exception) -> Response:
    """Answer what has no page, such as a file that does not exist."""
    status = getattr(exc, "status_code", 500)
    return PlainTextResponse(HTTPStatus(status).phrase, status, HEADERS)


class _Static(StaticFiles):
    """The files of the pages: a browser keeps them, and checks each time that they are the newest."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        for name, text in HEADERS.items():
            response.headers[name] = text
        response.headers["Cache-Control"] = "no-cache"
        return response
