"""Decide how much memory the waiting events of each endpoint may use. One budget serves the whole process.

Invariant: an endpoint that holds nothing may always take one batch, so that no size of events or of the
budget stops it. Beyond that, every endpoint stays below a share of what is free.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

UNLIMITED = 1 << 62
RECORD_BYTES = 1_600
"""What a waiting event costs besides its bytes: the record, the event, and the texts taken from it."""
DELIVERY_BYTES = 1_240
"""What it costs at each endpoint where it waits: the delivery, its lane, and its entries in the cursor
(less where events share lanes).
Both constants are measured by ``tests/unit/pipeline/test_cost_of_a_waiting_event.py``."""

LARGE_BYTES = 64 * 1024
"""From this size on, the bytes of a record count three times: most large events that are read are in flight,
with a body and a copy of it for the history. Small ones wait by the thousand, and few are in flight."""

_WORKING = 2.0
_NOT_WORKING = 0.125
"""An endpoint may use so many times the free part of the budget: alone, two thirds of the budget while it
settles events, else a ninth. A part always stays free."""
_STALLED_PART = 0.5
"""Endpoints that settle nothing use at most so much of the budget together."""
_LATELY_S = 5.0
_LONGEST_DRAIN_S = 60.0
"""An endpoint that needs longer for what it holds does not get more: a smaller share is as fast."""
_REOPEN_AT = 0.75
_LEAST_BATCH_BYTES = 256 * 1024
MOST_BATCH_BYTES = 4 * 1024 * 1024
"""Decoded, a batch needs five to eight times its bytes."""
_BATCHES = 64
_HISTORY_PART = 16
_MOST_HISTORY_BYTES = 64 * 1024 * 1024
"""Attempts of some seconds at full speed; more is only needed while the broker accepts none."""
_FIRST_BATCHES_PART = 8
"""The first batches of all endpoints together, which are taken in any case, are at most this part of the
budget."""


class MemoryBudget:
    """The bytes that all waiting events of the process may use together.

    ``free`` is what is left. A record that waits at several endpoints is counted there once. It may fall
    below zero by one batch for each endpoint: a batch is taken whole, and an endpoint that holds nothing
    takes one in any case. ``divide`` leaves room for the bytes of these batches.
    """

    __slots__ = ("_adapted_at", "_shares", "_was_short", "free", "total_bytes")

    def __init__(self, total_bytes: int = UNLIMITED) -> None:
        self.total_bytes = total_bytes
        self.free = total_bytes
        self._shares: dict[str, Share] = {}
        self._was_short = False
        self._adapted_at: float | None = None

    @property
    def used_bytes(self) -> int:
        """Return what all waiting events use."""
        return self.total_bytes - self.free

    def share(self, endpoint: str) -> Share:
        """Return the share of an endpoint."""
        return self._shares.setdefault(endpoint, Share(self))

    def active(self) -> list[str]:
        """Return the endpoints that hold something, or settled something lately: only these are adapted."""
        return [name for name, share in self._shares.items() if share.is_active]

    def adapt(self, now: float, troubled: Iterable[str]) -> None:
        """Set how much each endpoint may use, by what it settled lately. Call it several times a second.

        ``now`` is in seconds of a monotonic clock. ``troubled`` are endpoints that are known to settle
        nothing now, because they are off or their breaker is open.
        """
        out = frozenset(troubled)
        before, self._adapted_at = self._adapted_at, now
        stalled = [
            share
            for name, share in self._shares.items()
            if share.is_active and not share.adapt(now, before, in_trouble=name in out)
        ]
        is_short = sum(share.bytes for share in stalled) >= _STALLED_PART * self.total_bytes
        if is_short or self._was_short:
            resting = [share for share in self._shares.values() if not share.is_active]
            for share in (*stalled, *resting):
                share.factor = 0.0 if is_short else _NOT_WORKING
        self._was_short = is_short


class Share:
    """What the waiting events of one endpoint use.

    The dynamic threshold of shared packet buffers (Choudhury and Hahne, 1998): a share is bounded by a
    factor of what is free. It shrinks while others grow, and no share depends on which others exist.
    """

    __slots__ = (
        "_at_rest",
        "_last",
        "_previous",
        "budget",
        "factor",
        "is_pressed",
        "opened_bytes",
        "settled_bytes",
    )

    def __init__(self, budget: MemoryBudget) -> None:
        self.budget = budget
        self.factor = _NOT_WORKING
        """The share is used up at so many times the free part of the budget."""
        self._previous: tuple[float, int] | None = None
        self._last: tuple[float, int] | None = None
        """Two instants, five seconds apart or more, and what was settled until then."""
        self.opened_bytes = 0
        """What was opened at the endpoint's cursors, without what ended with an assignment."""
        self.settled_bytes = 0
        """Increases with each settled event by what it used."""
        self.is_pressed = False
        """True from when a cursor was refused for lack of memory until the endpoint has room again."""
        self._at_rest: int | None = 0
        """What was settled when the endpoint came to rest; None while it works."""

    @property
    def bytes(self) -> int:
        """Return what is open at the endpoint's cursors, with records that wait elsewhere as well."""
        return self.opened_bytes - self.settled_bytes

    @property
    def is_active(self) -> bool:
        """Return True if the share changes. A thousand endpoints at rest cost one look each."""
        return self.bytes > 0 or self.is_pressed or self.settled_bytes != self._at_rest

    @property
    def is_used_up(self) -> bool:
        """Return True if the endpoint may take nothing more. One that holds nothing may take a batch."""
        return self.bytes > 0 and self.bytes >= self.factor * self.budget.free

    @property
    def has_room(self) -> bool:
        """Return True if the endpoint, once refused, may take events again."""
        return self.bytes <= 0 or self.bytes < _REOPEN_AT * self.factor * self.budget.free

    def adapt(self, now: float, before: float | None, in_trouble: bool) -> bool:
        """Set the factor. Return True if the endpoint settles events; see ``MemoryBudget.adapt``.

        ``before``: when active shares were adapted last; one that was at rest then has worked since.
        """
        last = self._last or (now if before is None else before, self._at_rest or 0)
        self._at_rest = None
        if now - last[0] >= _LATELY_S:
            self._previous, last = last, (now, self.settled_bytes)
        self._last = last
        since_at, since_bytes = self._previous or last
        settled = self.settled_bytes - since_bytes
        drains_soon = self.bytes * (now - since_at) <= settled * _LONGEST_DRAIN_S
        is_working = not in_trouble and settled > 0 and drains_soon
        self.factor = _WORKING if is_working else _NOT_WORKING
        if self._previous is not None and not settled and self.bytes <= 0:
            self._previous = self._last = None
            self._at_rest = self.settled_bytes
        return is_working


class MemoryPlan(NamedTuple):
    """How a process divides its memory budget, in bytes.

    ``windows`` is for waiting events, without the first batch of each endpoint. ``fetch`` is for what the
    Kafka clients have fetched and not delivered. One batch has at most ``batch`` bytes of records, and the
    events that keep their decoded data at most ``fresh``; decoded, both use several times that.
    ``history`` is for attempts that the topic of the history does not have yet.
    """

    total: int
    windows: int
    fetch: int
    batch: int
    fresh: int
    history: int


def divide(total_bytes: int, endpoints: int = 1) -> MemoryPlan:
    """Divide what a process may use beyond its memory at rest.

    Half is for waiting events. The first batches of the endpoints come from it, a quarter of it if their
    number allows: one batch has at least 256 KiB.
    """
    most = total_bytes // max(_BATCHES, _FIRST_BATCHES_PART * endpoints)
    batch = min(max(most, _LEAST_BATCH_BYTES), MOST_BATCH_BYTES)
    history = min(total_bytes // _HISTORY_PART, _MOST_HISTORY_BYTES)
    windows = max(total_bytes // 2 - endpoints * batch - history, total_bytes // 4)
    return MemoryPlan(total_bytes, windows, total_bytes // 4, batch, batch, history)
