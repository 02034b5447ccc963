"""What is to be seen of a running bridge: its readiness in words, and what its metrics look at.

Takes the parts of the path as they are made, asks them when somebody wants to know. Next to ``app``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from bridge.core.switches import ALL, EventTypes, Switches
from bridge.dead_letters.hold import Holds
from bridge.kafka.group_reader import Reader
from bridge.pipeline.checkpoints import Checkpoints
from bridge.pipeline.dispatcher import Outlet
from bridge.pipeline.pipeline import Pipeline
from bridge.settings import Settings
from bridge.telemetry.metrics import Metrics
from bridge.wiring.kafka import again_topic

_MOST_LISTED = 20


class Status:
    """Tells of the place in the group and of what is off, held, or waiting.

    Before ``watch`` the process is starting.
    """

    def __init__(
        self, settings: Settings, switches: Switches[str], event_types: Switches[EventTypes], holds: Holds
    ) -> None:
        self._settings = settings
        self._switches = switches
        self._event_types = event_types
        self._holds = holds
        self._reader: Reader | None = None
        self._pipeline: Pipeline | None = None

    def watch(
        self,
        metrics: Metrics,
        reader: Reader,
        pipeline: Pipeline,
        checkpoints: Checkpoints,
        outlets: Mapping[str, Outlet],
    ) -> None:
        """Tell of these from now on, to metrics too."""
        self._reader, self._pipeline = reader, pipeline
        metrics.watch(metrics.partitions, self._source_partitions)
        metrics.watch(metrics.without_schema, lambda: len(pipeline.without_schema))
        for name, outlet in outlets.items():
            metrics.watch(metrics.endpoint_on, lambda outlet=outlet: float(outlet.on), name)  # type: ignore[misc]
            metrics.watch(metrics.held_lanes, lambda name=name: self._held_lanes()[name], name)  # type: ignore[misc]
            metrics.watch(metrics.in_flight, lambda outlet=outlet: outlet.in_flight, name)  # type: ignore[misc]
            metrics.watch(metrics.breaker_open, lambda outlet=outlet: outlet.pace.state != "closed", name)  # type: ignore[misc]
            metrics.watch(metrics.unsettled, lambda name=name: checkpoints.unsettled(name), name)  # type: ignore[misc]

    def readiness(self) -> tuple[bool, str]:
        """Whether it does its part of the work, and one line for a person."""
        ready, what = self._place_in_group()
        off = [name for name in self._switches.off() if name in self._settings.endpoints]
        held = [f"{name} {number}" for name, number in sorted(self._held_lanes().items())]
        types = [str(one) for one in self._event_types.off() if self.concerned_by(one)]
        waits = self._pipeline.without_schema if self._pipeline else []
        notes = (
            *_listed("waiting for a schema", waits),
            *_listed("off", off),
            *_listed("event types off", types),
            *_listed("held lanes", held),
        )
        return ready, "; ".join([what, *notes])

    def concerned_by(self, types: EventTypes) -> bool:
        """Whether these event types are for an endpoint of this configuration."""
        return types.endpoint == ALL or types.endpoint in self._settings.endpoints

    def _place_in_group(self) -> tuple[bool, str]:
        reader = self._reader
        if reader is None or reader.epoch == 0:
            return False, "starting: not in the group yet"
        if reader.unprepared:
            return False, "starting: reading the cursors"
        if not reader.assigned:
            return True, "standing by: all partitions are with other pods"
        return True, f"assigned: {self._source_partitions()} partitions"

    def _held_lanes(self) -> Counter[str]:
        """The held lanes of our own partitions: all pods' together are those of the group."""
        return self._holds.counts(self._reader.assigned if self._reader else ())

    def _source_partitions(self) -> int:
        again = again_topic(self._settings)
        return sum(partition.topic != again for partition in self._reader.assigned) if self._reader else 0


def _listed(what: str, names: Sequence[str]) -> list[str]:
    more = f" and {len(names) - _MOST_LISTED} more" if len(names) > _MOST_LISTED else ""
    return [f"{what}: {', '.join(names[:_MOST_LISTED])}{more}"] if names else []
