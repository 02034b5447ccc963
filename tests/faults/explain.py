"""Attribute each repeat and overlap to the kill, pause or outage that caused it, if any. Pure.

The strict terms are those of the guarantee. On the same disk, only requests that were in flight at a kill
or a pause may repeat, and a resumed pod sends nothing that its successor owns. With ``since_commit``, events
delivered since the last commit are also explained, and requests of a resumed pod that has not yet noticed
its loss. Another pod has another disk and starts from the commits alone. Once it has committed, the disk of
the first pod is stale, even if the partition returns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.faults.facts import Requests
from tests.faults.ledger import Ledger, Run

UNEXPLAINED = "unexplained"
EXPIRED = "its offset was deleted"
LOST_SESSION = "its pod lost its session"
"""Without a fault of the harness, it was too busy to send heartbeats: the report counts it by itself."""
_NS = 1_000_000_000
_SEEN_NS = 50_000_000
"""Maximum difference between two recorded instants of the same incident."""


@dataclass(frozen=True, slots=True)
class Terms:
    """The rules for what counts as explained."""

    session_s: float
    timeout_s: float
    since_commit: bool
    answered_before_s: float = 0.05
    """An answer sent this shortly before a kill may still have waited in a busy event loop.

    On a loaded machine it waits longer: ``Ledger.delay_s`` has what the pod itself measured, and
    ``Ledger.unread`` knows which answers the pod never logged.
    """
    commit_lag_s: float = 10.0
    """With a broker available, a longer time without a commit is not an explanation."""
    broker_margin_s: float = 5.0
    resumed_s: float = 3.0
    unread_s: float = 10.0
    """The longest time that an event loop of a starved machine is believed to have stood still."""

    def uncommitted_since(self, ledger: Ledger, at_ns: int) -> int:
        """Return the earliest instant whose events may be uncommitted at ``at_ns``, outages included."""
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
    endpoint: str,
    place: int,
    committed: Callable[[int], bool],
) -> tuple[str, float | None]:
    """Return why an event was accepted again, and for a kill how many ms before it the first answer was sent.

    ``committed(at_ns)`` returns True if the last commit before an instant lists the event as settled.
    """
    came, ended = requests.came_ns[first], requests.ended_ns[first]
    run, later = ledger.runs.get(requests.run[first]), ledger.runs.get(requests.run[again])
    if run is None or later is None:
        return UNEXPLAINED, None
    again_ns, partition = requests.came_ns[again], place >> 40
    late = (ended - came) / _NS >= terms.timeout_s - 0.1
    if late or ledger.timed_out(run.pod, endpoint, place, came, terms.timeout_s):
        return "its client had given up", None
    lost_ns = int(max(terms.answered_before_s, ledger.delay_s(run.pod, ended)) * _NS)
    if any(ended - _SEEN_NS <= away <= ended + lost_ns for away, _ in ledger.receiver_away):
        return "answer lost with the receiver", None
    if _sent_before(later, again_ns):
        return "in flight at a kill or stop, read late", None
    same_disk = (
        run.pod == later.pod
        and not ledger.disk_touched(run.pod, ended, again_ns)
        and not ledger.with_another(run.pod, partition, ended, again_ns)
    )
    commit_counts = terms.since_commit or not same_disk
    killed = run.killed_ns
    if killed is not None:  # it sent nothing afterwards, even if the receiver read it later
        age_ms = (killed - ended) / 1e6
        never_read = ended >= killed - terms.unread_s * _NS and ledger.unread(
            run.pod, endpoint, place, ended, killed
        )
        if ended >= killed - lost_ns or never_read:
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
        if any(ended <= lost <= ended + terms.unread_s * _NS for lost in ledger.sessions_lost(run.pod)):
            return LOST_SESSION, None
        for away, back in ledger.broker_away:
            if terms.uncommitted_since(ledger, away) <= ended <= back + terms.broker_margin_s * _NS:
                return "no broker to commit to", None
    if terms.since_commit and (_resumed(later, again_ns, terms) or _resumed(run, came, terms)):
        return "a resumed pod", None
    return UNEXPLAINED, None


def explain_overlap(requests: Requests, earlier: int, row: int, ledger: Ledger, terms: Terms) -> str:
    """Return why two requests of one entity were in flight at the same time."""
    run, later = ledger.runs.get(requests.run[earlier]), ledger.runs.get(requests.run[row])
    if run is None or later is None:
        return UNEXPLAINED
    came, at_ns = requests.came_ns[earlier], requests.came_ns[row]
    if run.killed_ns is not None and run.killed_ns <= at_ns:
        return "its client was killed"
    if any(came < woke and began <= at_ns for began, woke in run.stops):
        return "its client was paused"
    if _sent_before(later, at_ns):
        return "its client was killed or paused, read late"
    if terms.since_commit and (_resumed(later, at_ns, terms) or _resumed(run, came, terms)):
        return "a resumed pod"
    return UNEXPLAINED


def _sent_before(run: Run, came_ns: int) -> bool:
    """Return True if a request arrived while its process was dead or paused: it was in flight before."""
    dead = run.killed_ns is not None and came_ns >= run.killed_ns
    return dead or any(began <= came_ns < woke for began, woke in run.stops)


def _resumed(run: Run, at_ns: int, terms: Terms) -> bool:
    return any(
        (woke - began) / _NS >= terms.session_s - 1
        and woke - _SEEN_NS <= at_ns <= woke + terms.resumed_s * _NS
        for began, woke in run.stops
    )
