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

HandOver = Callable[[Event, EndpointCursor], bool | None]
"""Enqueues an event, or decides not to. Returns True if that changes its outcome to ``HANDED_OVER``."""


class BatchRoute(NamedTuple):
    """The outcome of the events of a type unless an endpoint changes it, and how to hand them over."""

    outcome: str
    targets: Sequence[tuple[EndpointCursor, HandOver]]


class BatchRoutes:
    """The routes of the events of one batch, from the record at ``begin`` on.

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
        targets: list[tuple[EndpointCursor, HandOver]] = []
        for endpoint, passes in route.candidates:
            cursor = self.cursors.get(endpoint)
            if cursor is None:  # another reader feeds it
                outcome = HANDED_OVER
                continue
            enqueue = self._dispatchers[endpoint].enqueue
            if passes is None and cursor.needs_all_from(self._begin):
                outcome = HANDED_OVER
                targets.append((cursor, enqueue))
            else:
                targets.append((cursor, partial(_hand_over_if_needed, enqueue, passes)))
        return BatchRoute(outcome, targets)

    def _count_left_out(self, event: Event, off: Sequence[str]) -> None:
        for endpoint in off:
            cursor = self.cursors.get(endpoint)
            if cursor is not None and cursor.needs(event.record.offset, event.index):
                self._left_out[endpoint].inc()


def _hand_over_if_needed(
    enqueue: Callable[[Event, EndpointCursor, DecodeError | FilterError | None], None],
    passes: Callable[[Event], bool] | None,
    event: Event,
    cursor: EndpointCursor,
) -> bool:
    """Enqueue an event unless it is settled or does not pass. Return False if it does not pass."""
    if not cursor.needs(event.record.offset, event.index):
        return True
    fault: DecodeError | FilterError | None = None
    try:
        if passes is not None and not passes(event):
            return False
    except (DecodeError, FilterError) as exc:
        forget_frames(exc)
        fault = exc
    enqueue(event, cursor, fault)
    return True
