"""Build the web application: the API, the feed, health checks, and the pages next to them."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import FastAPI, Request, Response
from fastapi.responses import PlainTextResponse
from starlette.types import ASGIApp

from bridge import __version__
from bridge.console.access import Logins
from bridge.console.api.changing import changing_routes
from bridge.console.api.feeding import feed_routes
from bridge.console.api.guard import Guard
from bridge.console.api.problems import Problem, answer_with_problems
from bridge.console.api.reading import reading_routes
from bridge.console.ports import Actions, Reads
from bridge.core.web_access import WebAccess

API = "/api/v1"
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
Ready = Callable[[], tuple[bool, str]]
"""Returns True if everything was read, and a line for a person."""
_ABOUT = (
    "Every attempt to deliver an event, and what operators do about it. Times are Unix seconds (`_s`) or RFC"
    " 3339 texts. Lists have a `cursor`: pass it to get the next page; without one, that was the last page."
    " Errors are problem documents (RFC 9457). Send an `Idempotency-Key` with a change: a repetition returns"
    " the first answer. `reason` appears in the audit."
)


def build_api(reads: Reads, actions: Actions, logins: Logins) -> FastAPI:
    """Return the application of the API and the feed, without pages."""
    app = FastAPI(
        title="Hookferry console",
        version=__version__,
        description=_ABOUT,
        openapi_url=f"{API}/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.state.logins = logins
    app.include_router(reading_routes(reads), prefix=API)
    app.include_router(changing_routes(actions), prefix=API)
    app.include_router(feed_routes(reads))
    answer_with_problems(app)

    async def missing(request: Request) -> Response:
        raise Problem(404, f"there is no {request.method} {request.url.path[:200]!r}")

    for path in ("/api/{path:path}", "/feed/{path:path}"):
        app.add_route(path, missing, [*_METHODS], include_in_schema=False)
    return app


def build_web(
    reads: Reads,
    actions: Actions,
    logins: Logins,
    access: WebAccess,
    ready: Ready,
    pages: ASGIApp | None = None,
) -> Guard:
    """Return everything that the console serves. ``pages`` get what no other route matches."""
    app = build_api(reads, actions, logins)

    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> PlainTextResponse:
        return PlainTextResponse("alive\n")

    @app.get("/readyz", include_in_schema=False)
    async def readyz() -> PlainTextResponse:
        is_ready, what = ready()
        return PlainTextResponse(f"{what}\n", 200 if is_ready else 503)

    if pages is not None:
        app.mount("/", pages)
    return Guard(app, access)
