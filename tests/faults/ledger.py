"""What the harness did and when: which process ran, was killed or paused, and the outages of other parts.

Instants are Unix nanoseconds of this machine, like the receiver's, so that both can be compared.
"""

from __future__ import annotations

import math
import time
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field

RUNS_PER_POD = 4096
DELAY_NEAR_S = 3.0
TOLD_BEFORE_NS = 50_000_000
"""A pod measures its event loop every few tenths of a second, and the load of a machine lasts for seconds."""


@dataclass(slots=True)
class Run:
    """One process of one pod, from start to end."""

    number: int
    began_ns: int
    ended_ns: int | None = None
    killed_ns: int | None = None
    stops: list[tuple[int, int]] = field(default_factory=list)

    @property
    def pod(self) -> int:
        """The number of the pod: the same pod has the same disk."""
        return self.number // RUNS_PER_POD

    @property
    def name(self) -> str:
        """Return ``pod.run`` for messages."""
        return f"{self.pod}.{self.number % RUNS_PER_POD}"


@dataclass(slots=True)
class Incident:
    """An action of the harness, for the timeline of a violation."""

    at_ns: int
    text: str


@dataclass(slots=True)
class Ledger:
    """Everything that may explain a repeat."""

    runs: dict[int, Run] = field(default_factory=dict)
    broker_away: list[tuple[int, int]] = field(default_factory=list)
    receiver_away: list[tuple[int, int]] = field(default_factory=list)
    disks_touched: list[tuple[int, int]] = field(default_factory=list)
    """(instant, pod)"""
    expired: list[tuple[int, str, int]] = field(default_factory=list)
    """(instant, endpoint, partition) of each committed offset that was deleted"""
    assignments: list[tuple[int, int, frozenset[int]]] = field(default_factory=list)
    """(instant, pod, partitions), from the logs of the pods"""
    delays: list[tuple[int, int, float]] = field(default_factory=list)
    """(instant, pod, seconds): how late a pod read an answer that was there at once, from its log"""
    told: dict[tuple[int, str, int], list[int]] | None = None
    """(pod, endpoint, place): the instants at which the pod logged that it was delivered; None: not known"""
    timeouts: dict[tuple[int, str, int], list[tuple[int, int]]] = field(default_factory=dict)
    """(pod, endpoint, place): from when to when a request was in flight that the pod logged as timed out"""
    lost_sessions: list[tuple[int, int]] = field(default_factory=list)
    """(instant, pod), from the logs of the pods"""
    incidents: list[Incident] = field(default_factory=list)
    _by_pod: dict[int, list[tuple[int, float]]] = field(default_factory=dict)
    """The ``delays`` of each pod, sorted: a run of half an hour asks half a million times."""
    problems: list[str] = field(default_factory=list)
    """What no pod may do: exit by itself, or not exit after SIGTERM."""

    def note(self, text: str) -> int:
        """Record an incident; return its instant."""
        at_ns = time.time_ns()
        self.incidents.append(Incident(at_ns, text))
        return at_ns

    def near(self, at_ns: int, before_s: float = 12, after_s: float = 1) -> list[Incident]:
        """Return the incidents around an instant."""
        return [
            incident
            for incident in self.incidents
            if -after_s * 1e9 <= at_ns - incident.at_ns <= before_s * 1e9
        ]

    def with_another(self, pod: int, partition: int, since_ns: int, until_ns: int) -> bool:
        """Return True if another pod was assigned the partition in between."""
        return any(
            whose != pod and since_ns <= at_ns <= until_ns and partition in partitions
            for at_ns, whose, partitions in self.assignments
        )

    def offsets_expired(self, endpoint: str, partition: int, since_ns: int, until_ns: int) -> bool:
        """Return True if an endpoint's offset was deleted in between."""
        return any(
            of == endpoint and number == partition and since_ns <= at_ns <= until_ns
            for at_ns, of, number in self.expired
        )

    def delay_s(self, pod: int, at_ns: int) -> float:
        """Return the longest time that an answer waited in the busy event loop of a pod around an instant."""
        if sum(map(len, self._by_pod.values())) != len(self.delays):
            self._by_pod = {of: sorted((when, s) for when, whose, s in self.delays if whose == of)
                            for of in {whose for _, whose, _ in self.delays}}  # fmt: skip
        delays, near_ns = self._by_pod.get(pod, []), int(DELAY_NEAR_S * 1e9)
        first = bisect_left(delays, (at_ns - near_ns, 0.0))
        last = bisect_right(delays, (at_ns + near_ns, math.inf))
        return max((delay for _, delay in delays[first:last]), default=0.0)

    def unread(self, pod: int, endpoint: str, place: int, since_ns: int, until_ns: int) -> bool:
        """Return True if a pod did not log until an instant that an event was delivered."""
        if self.told is None:
            return False
        return not any(
            since_ns - TOLD_BEFORE_NS <= at_ns <= until_ns
            for at_ns in self.told.get((pod, endpoint, place), ())
        )

    def timed_out(self, pod: int, endpoint: str, place: int, came_ns: int, timeout_s: float) -> bool:
        """Return True if a request that arrived then was not answered in time, as its pod logged.

        On a starved machine the receiver reads it late, and answers at once a client that has given up.
        """
        return any(
            began <= came_ns <= ended and (ended - began) / 1e9 >= timeout_s
            for began, ended in self.timeouts.get((pod, endpoint, place), ())
        )

    def sessions_lost(self, pod: int) -> list[int]:
        """Return when a pod found that its session in the group had ended."""
        return [at_ns for at_ns, of in self.lost_sessions if of == pod]

    def disk_touched(self, pod: int, since_ns: int, until_ns: int) -> bool:
        """Return True if the files of the pod were damaged or removed in between."""
        return any(whose == pod and since_ns <= at_ns <= until_ns for at_ns, whose in self.disks_touched)
