"""Where the events of one batch go: evaluated once per event type, not once per event.

Invariant: an event is handed to the endpoints that the router selects, and of these to the ones whose
cursor is fed with this batch and still needs the event.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from bridge.core.routing import Route, Router
from bridge.errors import DecodeError, FilterError, forget_frames
from bridge.model import Event
from bridge.pipeline.cursor_start import EndpointCursor
from bridge.pipeline.dispatcher import EndpointDispatcher
from bridge.telemetry.counted import Counter

HANDED_OVER, UNWANTED, SWITCHED_OFF = "handed_over", "unwanted", "switched_off"

Take = Callable[[Event], bool | None]
"""Takes an event for an endpoint, or decides not to. Returns True if that changes its outcome to
``HANDED_OVER``."""


class BatchRoute(NamedTuple):
    """The outcome of the events of a type unless an endpoint changes it, and what takes them."""

    outcome: str
    takes: Sequence[Take]


class BatchRoutes:
    """The routes of the events of one batch, from the record at ``begin`` on, and what they have taken.

    What is taken is enqueued by ``flush``, all events of an endpoint together.

    All its events that are not sent again have one source and one topic. ``known`` therefore has their
    routes by type, or by type and tenant if the router needs it. Routes of types that are off are evaluated
    for each event, because each is counted (``left_out``).
    """

    def __init__(
        self,
        router: Router[str],
        dispatchers: Mapping[str, EndpointDispatcher],
        left_out: Mapping[str, Counter],
        begin: int,
        cursors: Sequence[EndpointCursor],
    ) -> None:
        self._router, self._dispatchers, self._left_out = router, dispatchers, left_out
        self._begin = begin
        self.cursors = {cursor.endpoint: cursor for cursor in cursors}
        self.known: dict[Hashable, BatchRoute] = {}
        self._taken: dict[str, list[Event]] = {}
        """By endpoint, in the order of the log; the list of an endpoint stays the same."""

    def of(self, event: Event) -> BatchRoute:
        """Return the route of an event; the events that are not sent again look into ``known`` first."""
        resend = event.resend
        if resend is not None and resend.endpoint:
            return self._among(Route.to(resend.endpoint))
        full = self._router.route(event)
        route = self._among(full)
        if full.off:
            self._count_left_out(event, full.off)
        elif resend is None:
            self.known[(event.type, event.tenant) if self._router.by_tenant else event.type] = route
        return route

    def _among(self, route: Route[str]) -> BatchRoute:
        """Return the part of a route that this batch feeds."""
        outcome = SWITCHED_OFF if route.off else UNWANTED
        takes: list[Take] = []
        for endpoint, passes in route.candidates:
            cursor = self.cursors.get(endpoint)
            if cursor is None:  # another reader feeds it
                outcome = HANDED_OVER
                continue
            taken = self._taken.setdefault(endpoint, [])
            if passes is None and cursor.needs_all_from(self._begin):
                outcome = HANDED_OVER
                takes.append(taken.append)
            else:
                takes.append(partial(self._take_if_needed, taken, cursor, passes))
        return BatchRoute(outcome, takes)

    def flush(self) -> None:
        """Enqueue what was taken. Call it at last, and before anything else is opened at a cursor."""
        for endpoint, taken in self._taken.items():
            if taken:
                self._dispatchers[endpoint].enqueue(taken, self.cursors[endpoint])
                taken.clear()

    def _count_left_out(self, event: Event, off: Sequence[str]) -> None:
        for endpoint in off:
            cursor = self.cursors.get(endpoint)
            if cursor is not None and cursor.needs(event.record.offset, event.index):
                self._left_out[endpoint].inc()

    def _take_if_needed(
        self, taken: list[Event], cursor: EndpointCursor, passes: Callable[[Event], bool] | None, event: Event
    ) -> bool:
        """Take an event unless it is settled or does not pass. Return False if it does not pass."""
        if not cursor.needs(event.record.offset, event.index):
            return True
        try:
            if passes is not None and not passes(event):
                return False
        except (DecodeError, FilterError) as exc:
            forget_frames(exc)
            self.flush()
            self._dispatchers[cursor.endpoint].enqueue((event,), cursor, exc)
            return True
        taken.append(event)
        return True
