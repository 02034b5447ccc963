"""Why a repeat or an overlap could not be helped: which kill, stop or outage it follows from. Pure.

The strict terms are those of the promise: on the same disk nothing is repeated but what was in flight when
its process was killed or stood still, and a pod that wakes up sends nothing its successor has. With
``since_commit`` also what was delivered since the last commit counts as explained, and what a woken pod
sends before it learns of its loss. Another pod has another disk: it knows what was committed, no more; and
once it has committed, the first one's disk says nothing either when the partition comes back to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.faults.facts import Requests
from tests.faults.ledger import Ledger, Run

UNEXPLAINED = "unexplained"
_NS = 1_000_000_000
_SEEN_NS = 50_000_000
"""How far apart two instants may be noted that belong together."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What counts as explained."""

    session_s: float
    timeout_s: float
    since_commit: bool
    answered_before_s: float = 0.05
    """An answer sent so shortly before a kill may still have been on its way through a busy loop."""
    commit_lag_s: float = 10.0
    """Not to have committed for longer than this has no excuse while there is a broker."""
    broker_margin_s: float = 5.0
    woken_s: float = 3.0

    def uncommitted_since(self, ledger: Ledger, at_ns: int) -> int:
        """Since when nothing may have been committed at an instant: an absent broker takes no commit."""
        for away_ns, back_ns in ledger.broker_away:
            if away_ns <= at_ns <= back_ns + self.broker_margin_s * _NS:
                at_ns = away_ns
        return at_ns - int(self.commit_lag_s * _NS)


def explain_repeat(
    requests: Requests,
    first: int,
    again: int,
    ledger: Ledger,
    terms: Terms,
    partition: int,
    committed: Callable[[int], bool],
) -> tuple[str, float | None]:
    """Why an event was accepted again, and for a kill how many ms before it the first answer had gone.

    ``committed``: whether what was committed at an instant had the event as done.
    """
    came, ended = requests.came_ns[first], requests.ended_ns[first]
    run, later = ledger.runs.get(requests.run[first]), ledger.runs.get(requests.run[again])
    if run is None or later is None:
        return UNEXPLAINED, None
    again_ns = requests.came_ns[again]
    if (ended - came) / _NS >= terms.timeout_s - 0.1:
        return "its client had given up", None
    lost_ns = int(terms.answered_before_s * _NS)
    if any(ended - _SEEN_NS <= away <= ended + lost_ns for away, _ in ledger.receiver_away):
        return "answer lost with the receiver", None
    if _sent_before(later, again_ns):
        return "in flight at a kill or stop, found late", None
    same_disk = (
        run.pod == later.pod
        and not ledger.disk_touched(run.pod, ended, again_ns)
        and not ledger.with_another(run.pod, partition, ended, again_ns)
    )
    commit_counts = terms.since_commit or not same_disk
    killed = run.killed_ns
    if killed is not None:  # it sent nothing afterwards, whenever the receiver came to see it
        age_ms = (killed - ended) / 1e6
        if ended >= killed - lost_ns:
            return "in flight at a kill", age_ms
        if commit_counts and ended >= terms.uncommitted_since(ledger, killed) and not committed(killed):
            return "not committed at a kill", age_ms
    for began, woke in run.stops:
        if came < woke and ended >= began - lost_ns:
            return "in flight at a stop", None
        long = (woke - began) / _NS >= terms.session_s - 1
        recent = terms.uncommitted_since(ledger, began) <= ended <= woke
        if long and commit_counts and recent and not committed(began):
            return "not committed at a stop", None
    if commit_counts and not committed(again_ns):
        for away, back in ledger.broker_away:
            if terms.uncommitted_since(ledger, away) <= ended <= back + terms.broker_margin_s * _NS:
                return "no broker to commit to", None
    if terms.since_commit and (_woken(later, again_ns, terms) or _woken(run, came, terms)):
        return "a woken pod", None
    return UNEXPLAINED, None


def explain_overlap(requests: Requests, earlier: int, row: int, ledger: Ledger, terms: Terms) -> str:
    """Why two requests of one entity were there at once."""
    run, later = ledger.runs.get(requests.run[earlier]), ledger.runs.get(requests.run[row])
    if run is None or later is None:
        return UNEXPLAINED
    came, at_ns = requests.came_ns[earlier], requests.came_ns[row]
    if run.killed_ns is not None and run.killed_ns <= at_ns:
        return "its client was killed"
    if any(came < woke and began <= at_ns for began, woke in run.stops):
        return "its client stood still"
    if _sent_before(later, at_ns):
        return "its client was killed or stood still, found late"
    if terms.since_commit and (_woken(later, at_ns, terms) or _woken(run, came, terms)):
        return "a woken pod"
    return UNEXPLAINED


def _sent_before(run: Run, came_ns: int) -> bool:
    """Whether a request came while its process was dead or stood still: it was sent before, so in flight."""
    dead = run.killed_ns is not None and came_ns >= run.killed_ns
    return dead or any(began <= came_ns < woke for began, woke in run.stops)


def _woken(run: Run, at_ns: int, terms: Terms) -> bool:
    return any(
        (woke - began) / _NS >= terms.session_s - 1 and woke - _SEEN_NS <= at_ns <= woke + terms.woken_s * _NS
        for began, woke in run.stops
    )
