"""Keep which cursors the broker has yet to get, so that a commit looks at no others.

Invariant: a cursor that changed is in here, or in the hands of the commit that took it.
"""

from __future__ import annotations

from itertools import islice

from bridge.pipeline.cursor_start import EndpointCursor

_REQUESTS_PER_S = 50
"""The commits that a broker gets in a second at most, however many endpoints there are. The member group's is
one of them; each of the others is of one endpoint."""


def endpoints_per_commit(interval_s: float) -> int:
    """Return how many endpoints a commit takes that is repeated at this interval, in seconds."""
    return max(1, int(_REQUESTS_PER_S * interval_s) - 1)


class ChangedCursors:
    """The changed cursors, by endpoint; the endpoint that has waited longest comes first.

    A *sweep* is over once every endpoint that waited at its beginning has been committed: what the journal
    had of them until then is at the broker.
    """

    def __init__(self) -> None:
        self._waiting: dict[str, list[EndpointCursor]] = {}
        self._sweep: set[str] = set()

    def add(self, cursor: EndpointCursor) -> None:
        """Note a cursor that has changed, for the next commit of its endpoint."""
        self._waiting.setdefault(cursor.endpoint, []).append(cursor)

    def take(self, most: int | None = None) -> list[EndpointCursor]:
        """Take the changed cursors of so many endpoints, or of all. ``add`` those that stay changed."""
        cursors: list[EndpointCursor] = []
        for endpoint in list(islice(self._waiting, most)):
            waiting = dict.fromkeys(self._waiting.pop(endpoint))
            cursors += [cursor for cursor in waiting if cursor.is_changed]
        return cursors

    def begin_sweep(self) -> None:
        """Begin a sweep over the endpoints that wait now."""
        self._sweep = set(self._waiting)

    def committed(self, endpoint: str) -> None:
        """Note that all that ``take`` returned of an endpoint is at the broker."""
        self._sweep.discard(endpoint)

    @property
    def is_empty(self) -> bool:
        """Return True if no cursor waits."""
        return not self._waiting

    @property
    def is_swept(self) -> bool:
        """Return True if no endpoint is left of the sweep. Call it while no commit has taken any."""
        self._sweep.intersection_update(self._waiting)
        return not self._sweep

    def clear(self) -> None:
        """Forget everything: the assignment has ended."""
        self._waiting.clear()
        self._sweep.clear()
