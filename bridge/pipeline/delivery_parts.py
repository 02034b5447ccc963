"""What the configuration decides about the deliveries of one endpoint.

Invariant: the parts are replaced together, between two turns of the loop. A request in flight ends with the
parts that it began with.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from bridge.core.backoff import RetrySchedule
from bridge.core.limits import Gate, ParkLimit
from bridge.pipeline.attempt import EndpointClient
from bridge.pipeline.attempt_log import AttemptLog
from bridge.pipeline.cursor_start import EndpointCursor


class Settles(Protocol):
    """Settles events at the cursors of an assignment (``bridge.pipeline.checkpoints.Checkpoints``)."""

    def settle(self, cursor: EndpointCursor, offset: int, size_bytes: int, part: int = 0) -> None:
        """Settle one event. Does nothing once the assignment has ended."""
        ...

    def settle_all(self, cursor: EndpointCursor, events: Iterable[tuple[int, int, int]]) -> None:
        """Settle several events of a cursor: offset, size and part of each."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryParts:
    """The parts of one endpoint that another configuration replaces.

    ``concurrency`` is the number of requests in flight at once. ``same_receiver``: requests that were sent
    through an earlier gate count in the limits of this one.
    """

    concurrency: int
    gate: Gate
    client: EndpointClient
    attempt_log: AttemptLog
    schedule: RetrySchedule
    park_limit: ParkLimit | None
    same_receiver: bool = False
