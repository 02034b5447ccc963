"""The limit on dead letters of one endpoint: one wrong template or secret must not park a whole topic. Pure.

Callers pass instants, in seconds of a clock that never goes back.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from dataclasses import dataclass, field

RENDER = "render"
"""The cause of events that cannot be decoded, filtered, or rendered for the endpoint."""
LOGIN_CAUSES = frozenset({"status 401", "status 403", "status 407"})
LOGIN_REFUSALS = 10
"""Refusals for a wrong secret or login that are parked in a row. A receiver that refuses every event for
this reason has nothing against the event itself."""
_SLOTS = 10


def refusal(status: int) -> str:
    """Return the cause of events that a receiver refused with this status."""
    return f"status {status}"


@dataclass(slots=True)
class _Slot:
    """What happened in a tenth of the window."""

    began_at: float
    delivered: int = 0
    parks: Counter[str] = field(default_factory=Counter)


class ParkLimit:
    """At most ``events`` parks for one cause, unless they are at most ``share`` of all events that settled.

    Both are counted over ``window_s``, in slots, so the window is up to a tenth too long or too short. A
    refused login has a lower limit: ``LOGIN_REFUSALS`` in a row without a delivery. Causes are few:
    ``RENDER`` and one for each status. A cause that exceeded the limit stays exceeded until ``reset``.
    """

    def __init__(self, *, events: int, share: float, window_s: float) -> None:
        self._events = events
        self._share = share
        self._window_s = window_s
        self._slots: deque[_Slot] = deque()
        self._login_run = 0
        self._exceeded: dict[str, str] = {}

    def delivered(self, now: float, count: int) -> None:
        """Count deliveries."""
        self._slot(now).delivered += count
        self._login_run = 0

    def exceeded(self, now: float, cause: str) -> str:
        """Count an event that is to be parked. Return "" if it may be, else why not and what to do."""
        if cause not in self._exceeded:
            reason = self._count(now, cause)
            if not reason:
                return ""
            self._exceeded[cause] = f"{reason}; {_remedy(cause)}"
        return self._exceeded[cause]

    def reset(self) -> None:
        """Forget all counts: an operator turned the endpoint on."""
        self._slots.clear()
        self._exceeded.clear()
        self._login_run = 0

    def _count(self, now: float, cause: str) -> str:
        self._slot(now).parks[cause] += 1
        if cause in LOGIN_CAUSES:
            self._login_run += 1
            if self._login_run > min(LOGIN_REFUSALS, self._events):
                parked = self._login_run - 1
                return f"park_limit: {parked} events in a row were parked with {cause}, and none delivered"
        parked = sum(slot.parks[cause] for slot in self._slots)
        settled = sum(slot.delivered + slot.parks.total() for slot in self._slots)
        if parked <= self._events or parked <= self._share * settled:
            return ""
        shown = "an error in the payload or the template" if cause == RENDER else cause
        return (
            f"park_limit: {parked - 1} of {settled - 1} events within {self._window_s:g} s"
            f" were parked with {shown}"
        )

    def _slot(self, now: float) -> _Slot:
        """Return the slot of an instant, and forget the slots that left the window."""
        slots, slot_s = self._slots, self._window_s / _SLOTS
        began_at = math.floor(now / slot_s) * slot_s
        while slots and slots[0].began_at <= began_at - self._window_s:
            slots.popleft()
        if not slots or slots[-1].began_at < began_at:
            slots.append(_Slot(began_at))
        return slots[-1]


def _remedy(cause: str) -> str:
    if cause == RENDER:
        return "correct the endpoint's template or filter, or what writes the events"
    if cause in LOGIN_CAUSES:
        return "correct the endpoint's secret, token or header"
    return "correct the cause at the receiver or in the endpoint's settings"
