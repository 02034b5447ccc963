"""The pages to look at: overview, one endpoint, live tail.

Invariant: they change nothing. What they show again every few seconds is a part of the same page.
"""

from __future__ import annotations

import orjson
from fastapi import Response

from bridge.console.pages import filters
from bridge.console.pages.names import EndpointNames
from bridge.console.pages.page_request import Problem
from bridge.console.pages.shell import Shell, Visit
from bridge.console.ports import Reads
from bridge.console.query import AttemptQuery, ParkedQuery
from bridge.console.state_views import EndpointState

_ORDER = ("failing", "off", "slow", "well")
_TAIL = 60


class WatchPages:
    """Overview, endpoint and live tail."""

    def __init__(self, shell: Shell, reads: Reads, names: EndpointNames) -> None:
        self._shell = shell
        self._reads = reads
        self._names = names

    async def overview(self, visit: Visit) -> Response:
        """Show all endpoints, those that need attention first."""
        overview = await self._reads.overview()
        endpoints = sorted(overview.endpoints, key=lambda state: (_ORDER.index(state.health), state.name))
        working = [job for job in overview.jobs if not job.final]
        return self._shell.page(
            visit,
            "overview.html",
            overview=overview,
            endpoints=endpoints,
            jobs=working,
            now=self._shell.now_s(),
        )

    async def endpoint(self, visit: Visit) -> Response:
        """Show one endpoint: its figures, its last hour, its newest failures and parked events."""
        name = visit.request.path_params["name"]
        state = await self._reads.endpoint(name)
        if state is None:
            raise Problem(404, f"There is no endpoint {name!r}. The overview lists all endpoints.")
        newest = await self._reads.attempts(AttemptQuery(endpoint=name), limit=15)
        parked = await self._reads.parked(ParkedQuery(endpoint=name), limit=5)
        return self._shell.page(
            visit, "endpoint.html", state=state, newest=newest.items, parked=parked.items,
            chart=_chart(state), now=self._shell.now_s(),
        )  # fmt: skip

    async def live(self, visit: Visit) -> Response:
        """Show the newest attempts that the filters select."""
        now_s = self._shell.now_s()
        query, given = filters.attempts(visit.request.query_params, now_s)
        page = await self._reads.attempts(query, limit=_TAIL)
        names = await self._names.all()
        return self._shell.page(
            visit, "live.html", rows=page.items, filters=given, endpoint_names=names, now=now_s
        )


def _chart(state: EndpointState) -> str:
    """Return the columns of the chart as JSON: instants, attempts, delivered, median latency in ms."""
    points = state.points
    return orjson.dumps(
        [
            [point.at_s for point in points],
            [point.attempts or None for point in points],
            [point.delivered or None for point in points],
            [None if point.latency_p50_s is None else point.latency_p50_s * 1000 for point in points],
        ]
    ).decode()
