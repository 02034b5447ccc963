"""Decide whether a process is ready, and why not: from its place in the consumer group.

Invariant: a process that is ready has an assignment, possibly of no partition, of a group whose coordinator
accepted its heartbeat within the session timeout.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """What a process is doing. It is ready in the last two."""

    STARTING = "starting"
    FENCED = "fenced"
    NO_ANSWER = "no answer"
    REBALANCING = "rebalancing"
    PREPARING = "preparing"
    STOPPING = "stopping"
    STANDBY = "standing by"
    ASSIGNED = "assigned"


@dataclass(frozen=True, slots=True)
class GroupPlace:
    """The place of this process in its group. Times in seconds."""

    group: str
    silent_s: float
    """Since the last request that the coordinator accepted was sent."""
    session_timeout_s: float
    assigned: int
    """Source partitions of this process."""
    rebalancing_s: float | None = None
    """Since the member began to give up its partitions; None while it has an assignment."""
    unprepared: int = 0
    """Assigned partitions whose cursors are not loaded yet."""
    reachable: bool = True
    """False if the member has lost the coordinator of the group."""
    name_taken: str | None = None
    """The name under which another process joined, for which this one gave up its place."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a process does its part, and one line for a person."""

    state: State
    words: str

    @property
    def ready(self) -> bool:
        """Return True if this process has an assignment in a group that answers."""
        return self.state in (State.STANDBY, State.ASSIGNED)


def describe(place: GroupPlace) -> Readiness:
    """Return the readiness of a member of the group.

    A pod without a partition is ready: every partition has an owner, and a rolling update must go on.
    """
    if place.name_taken is not None:
        return Readiness(
            State.FENCED,
            f"stopped: another process has joined group {place.group} as {place.name_taken}, the"
            " kafka.group_instance_id of this one; give each process its own, or remove the setting, and"
            " restart this one",
        )
    # while the group rebalances, no heartbeat is due: only the connection counts
    heartbeat_due = place.rebalancing_s is None or not place.reachable
    if heartbeat_due and place.silent_s >= place.session_timeout_s:
        return Readiness(
            State.NO_ANSWER,
            f"no answer from Kafka: the coordinator of group {place.group} has accepted no heartbeat for"
            f" {place.silent_s:.0f} s",
        )
    if place.rebalancing_s is not None:
        return Readiness(
            State.REBALANCING,
            f"rebalancing: the group assigns its partitions, for {place.rebalancing_s:.0f} s",
        )
    if place.unprepared:
        return Readiness(State.PREPARING, f"starting: reading the cursors of {place.unprepared} partitions")
    if not place.assigned:
        return Readiness(State.STANDBY, "standing by: all partitions are with other pods")
    return Readiness(State.ASSIGNED, f"assigned: {place.assigned} partitions")
