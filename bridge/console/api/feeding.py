"""The feed: what was sent to an endpoint, for its receiver, with a separate token."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request

from bridge.console.access import Logins
from bridge.console.api.problems import Problem
from bridge.console.api.requests import Cursor, Limit, bearer, seconds
from bridge.console.event_views import DigestHour, FeedEntry
from bridge.console.ports import Reads
from bridge.console.query import Page

_MOST_WAIT_S = 30.0
_MOST_HOURS = 24 * 7
_POLL_S = 0.5


def feed_routes(reads: Reads) -> APIRouter:
    """Return the routes of the feed."""
    router = APIRouter(tags=["feed"])

    @router.get("/feed/{endpoint}", summary="Read what was sent to an endpoint, in order")
    async def feed(
        request: Request,
        endpoint: str,
        after: Cursor = None,
        limit: Limit = 100,
        wait_s: Annotated[float, Query(ge=0, le=_MOST_WAIT_S, description="wait for the first entry")] = 0,
    ) -> Page[FeedEntry]:
        """Return the attempts after a cursor, oldest first; pass the cursor of the answer as ``after``."""
        await _check(request, endpoint)
        ends_at = time.monotonic() + wait_s
        while True:
            page = await reads.feed(endpoint, after, limit)
            if page.items or time.monotonic() >= ends_at:
                return page
            await asyncio.sleep(_POLL_S)

    @router.get("/feed/{endpoint}/digest", summary="Count and hash what was delivered, by hour")
    async def digest(
        request: Request, endpoint: str, since: datetime | None = None, until: datetime | None = None
    ) -> Sequence[DigestHour]:
        """Return of each hour the number of webhook ids, and the SHA-256 of the sorted ids.

        Each id is followed by a line feed. Default: the last 24 hours.
        """
        await _check(request, endpoint)
        end = seconds(until) or time.time()
        begin = seconds(since) if since is not None else end - 24 * 3600
        assert begin is not None, "it was checked"
        if not 0 <= begin < end or end - begin > _MOST_HOURS * 3600:
            raise Problem(422, f"since and until must be at most {_MOST_HOURS} hours apart, in this order")
        return await reads.digest(endpoint, begin, end)

    return router


async def _check(request: Request, endpoint: str) -> None:
    """Raise ``Problem`` unless the token is that of the endpoint, or of a person who may read everything."""
    logins: Logins = request.app.state.logins
    token = bearer(request)
    if token is not None:
        if logins.may_read_feed(endpoint, token):
            return
        if await logins.by_bearer(token) is not None:
            return
    elif logins.anonymous is not None:
        return
    raise Problem(
        401,
        "the token of this endpoint is required: Authorization: Bearer, with the one of console.feeds",
        {"www-authenticate": 'Bearer realm="hookferry feed"'},
    )
