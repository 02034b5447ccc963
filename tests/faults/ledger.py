"""What the harness did and when: which process ran, was killed or stood still, when others were away.

Instants are Unix nanoseconds of this machine, as the receiver's are, so that both can be laid side by side.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

RUNS_PER_POD = 4096


@dataclass(slots=True)
class Run:
    """One life of one pod."""

    number: int
    began_ns: int
    ended_ns: int | None = None
    killed_ns: int | None = None
    stops: list[tuple[int, int]] = field(default_factory=list)

    @property
    def pod(self) -> int:
        """Which pod it was: the same pod has the same disk."""
        return self.number // RUNS_PER_POD

    @property
    def name(self) -> str:
        """``pod.life``, for people."""
        return f"{self.pod}.{self.number % RUNS_PER_POD}"


@dataclass(slots=True)
class Incident:
    """Something that was done, for the timeline of a violation."""

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
    assignments: list[tuple[int, int, frozenset[int]]] = field(default_factory=list)
    """(instant, pod, partitions), as the pods wrote it"""
    incidents: list[Incident] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    """What no pod may do: end by itself, or not end when asked."""

    def note(self, text: str) -> int:
        """Write an incident down; returns its instant."""
        at_ns = time.time_ns()
        self.incidents.append(Incident(at_ns, text))
        return at_ns

    def near(self, at_ns: int, before_s: float = 12, after_s: float = 1) -> list[Incident]:
        """What was done around an instant."""
        return [one for one in self.incidents if -after_s * 1e9 <= at_ns - one.at_ns <= before_s * 1e9]

    def with_another(self, pod: int, partition: int, since_ns: int, until_ns: int) -> bool:
        """Whether another pod was given the partition in between."""
        return any(
            whose != pod and since_ns <= at_ns <= until_ns and partition in partitions
            for at_ns, whose, partitions in self.assignments
        )

    def disk_touched(self, pod: int, since_ns: int, until_ns: int) -> bool:
        """Whether the pod's files were damaged or removed in between."""
        return any(whose == pod and since_ns <= at_ns <= until_ns for at_ns, whose in self.disks_touched)
