"""The pages of attempts: search, one event with all its attempts, and re-sending one or many.

Invariant: a bulk re-send is counted and shown before it can be started, and refused while a filter of it
cannot be read.
"""

from __future__ import annotations

from urllib.parse import quote

from fastapi import Response

from bridge.console.event_views import AttemptRow, EventTimeline
from bridge.console.pages import filters
from bridge.console.pages.names import EndpointNames
from bridge.console.pages.page_request import Problem
from bridge.console.pages.shell import Shell, Visit
from bridge.console.ports import Actions, Reads
from bridge.console.query import AttemptQuery

_PAGE = 50
_FASTEST = 100_000.0


class AttemptPages:
    """Search, event and re-send."""

    def __init__(self, shell: Shell, reads: Reads, actions: Actions, names: EndpointNames) -> None:
        self._shell = shell
        self._reads = reads
        self._names = names
        self._actions = actions

    async def search(self, visit: Visit) -> Response:
        """Show the attempts that the filters of the URL select, newest first."""
        now_s, given = self._shell.now_s(), visit.request.query_params
        query, typed = filters.attempts(given, now_s)
        page = await self._reads.attempts(query, given.get("cursor") or None, _PAGE)
        names = await self._names.all()
        return self._shell.page(
            visit, "search.html", rows=page.items, cursor=page.cursor, paged=bool(given.get("cursor")),
            filters=typed, endpoint_names=names, now=now_s,
        )  # fmt: skip

    async def find(self, visit: Visit) -> Response:
        """Go to the event with this id, or search for the text."""
        text = visit.request.query_params.get("q", "").strip()[:500]
        found = await self._reads.event(text) if text else None
        path = f"/event?id={quote(text, safe='')}" if found else f"/search?text={quote(text, safe='')}"
        return Response(status_code=303, headers={"Location": path if text else "/search"})

    async def event(self, visit: Visit) -> Response:
        """Show every attempt of an event, and one of them with its request and answer."""
        given = visit.request.query_params
        event = await self._reads.event(given.get("id", ""))
        if event is None:
            raise Problem(
                404,
                f"The history has no event {given.get('id', '')!r}. It may be older than the history,"
                " or it was not sent yet.",
            )
        chosen = _chosen(event, given.get("attempt", ""))
        detail = await self._reads.attempt(chosen.id) if chosen else None
        return self._shell.page(
            visit, "event.html", event=event, chosen=chosen, detail=detail, now=self._shell.now_s()
        )

    async def resend(self, visit: Visit) -> Response:
        """Send the event of one attempt again."""
        attempt_id = visit.value("attempt")
        done = await self._actions.resend(
            attempt_id,
            visit.who(),
            render=visit.value("body") == "render",
            new_id=bool(visit.value("new_id")),
        )
        back = f"/event?id={quote(visit.value('event'), safe='')}&attempt={quote(attempt_id, safe='')}"
        return self._shell.then(visit, back, done.message)

    async def bulk(self, visit: Visit) -> Response:
        """Show how many events a bulk re-send would send: the dry run."""
        now_s = self._shell.now_s()
        query, typed = filters.attempts(visit.request.query_params, now_s)
        count = None if typed.mistakes or not typed.given else await self._actions.count(query)
        names = await self._names.all()
        return self._shell.page(
            visit, "resend.html", filters=typed, count=count, endpoint_names=names, now=now_s
        )

    async def start_bulk(self, visit: Visit) -> Response:
        """Start a bulk re-send as a job."""
        query = self._selected(visit)
        done = await self._actions.resend_all(
            query,
            visit.who(),
            render=visit.value("body") == "render",
            new_id=bool(visit.value("new_id")),
            rate_per_s=rate(visit.value("rate")),
        )
        return self._shell.then(
            visit, f"/jobs/{quote(done.job, safe='')}" if done.job else "/jobs", done.message
        )

    def _selected(self, visit: Visit) -> AttemptQuery:
        given = {name: visit.value(name) for name in filters.ATTEMPT_FIELDS}
        query, typed = filters.attempts(given, self._shell.now_s())
        if typed.mistakes:
            raise Problem(400, f"Nothing was sent: {'; '.join(typed.mistakes)}.")
        if not typed.given:
            raise Problem(400, "Nothing was sent: without a filter, this would send every event again.")
        return query


def rate(text: str) -> float | None:
    """Return a rate per second; None without one. Raises ``Problem``."""
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= _FASTEST:
        raise Problem(400, f"{text[:40]!r} is no rate: write a number of events per second, such as 20.")
    return value


def _chosen(event: EventTimeline, attempt_id: str) -> AttemptRow | None:
    """Return the attempt that is shown: the one of the URL, else the newest."""
    for row in event.attempts:
        if row.id == attempt_id:
            return row
    return event.attempts[-1] if event.attempts else None
