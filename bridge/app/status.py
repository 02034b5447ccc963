"""What can be observed of a running bridge: its readiness in words, and the gauges among its metrics."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import structlog

from bridge.app.memory import resident_bytes
from bridge.app.switching import Switching
from bridge.core.instant import instant_text
from bridge.core.limits import Gate
from bridge.core.readiness import Readiness, State, describe
from bridge.core.reload_state import ReloadState
from bridge.core.topic_selection import TopicSelection
from bridge.dead_letters.hold import Holds
from bridge.kafka.fetch_budget import FetchBudget
from bridge.kafka.group_view import GroupView
from bridge.pipeline.checkpoints import Checkpoints
from bridge.pipeline.dispatcher import EndpointDispatcher
from bridge.pipeline.pipeline import Pipeline
from bridge.settings import Settings
from bridge.telemetry import events
from bridge.telemetry.metrics import Metrics
from bridge.telemetry.scrub import in_force, scrub
from bridge.wiring.kafka import again_topic
from bridge.wiring.path import Path
from bridge.wiring.topics import build_selection

_log = structlog.get_logger()
_MOST_LISTED = 20
_MOST_CHARS = 600
_WATCH_EVERY_S = 0.5


class Status:
    """Reports the place in the group, and what is off, held, or waiting.

    Until the first assignment the process is starting, and ``enter`` names what it waits for.
    """

    def __init__(
        self, settings: Settings, switching: Switching, holds: Holds, fetch: FetchBudget | None = None
    ) -> None:
        self._fetch = fetch
        self._settings = settings
        self._selection = build_selection(settings)
        self._switching = switching
        self._holds = holds
        self._group: GroupView | None = None
        self._pipeline: Pipeline | None = None
        self._dispatchers: Mapping[str, EndpointDispatcher] = {}
        self._reload_state: Callable[[], ReloadState] = ReloadState
        self._starting = "opening its files"
        self._stopping = False

    def enter(self, step: str) -> None:
        """Note what the start does or waits for from now on, in words that follow "starting: "."""
        self._starting = step

    def stop(self) -> None:
        """Note that the process stops: it is not ready any more."""
        self._stopping = True

    async def log_changes(self, every_s: float = _WATCH_EVERY_S) -> None:
        """Log each change of the readiness, until cancelled."""
        before: Readiness | None = None
        while True:
            now = self.place_in_group()
            if before is None or now.state is not before.state:
                _log.info(events.READINESS_CHANGED, ready=now.ready, state=now.state, reason=now.words)
                before = now
            await asyncio.sleep(every_s)

    def adopt(self, selection: TopicSelection) -> None:
        """Report on the topics of this selection from now on."""
        self._selection = selection

    def watch_configuration(self, state: Callable[[], ReloadState]) -> None:
        """Show which configuration is in force, and why another one is not."""
        self._reload_state = state

    @property
    def reload_state(self) -> ReloadState:
        """Return the configuration in force, and why another one is not."""
        return self._reload_state()

    def watch(self, metrics: Metrics, group: GroupView, path: Path) -> None:
        """Report these parts from now on, and let the gauges read them."""
        self._group, self._pipeline = group, path.pipeline
        self._dispatchers = path.dispatchers
        metrics.watch(metrics.ready, lambda: float(self.place_in_group().ready))
        metrics.watch(metrics.partitions, self._source_partitions)
        metrics.watch(metrics.without_schema, lambda: len(path.pipeline.without_schema))
        metrics.watch(metrics.failing, lambda: group.failing)
        metrics.watch(metrics.memory_budget, lambda: path.budget.total_bytes)
        metrics.watch(metrics.memory_waiting, lambda: path.budget.used_bytes)
        metrics.watch(metrics.memory_fetched, lambda: self._fetch.used_bytes if self._fetch else 0)
        metrics.watch(metrics.memory_resident, resident_bytes)
        for name, dispatcher in path.dispatchers.items():
            self.watch_endpoint(metrics, name, dispatcher, path.checkpoints)

    def watch_endpoint(
        self, metrics: Metrics, name: str, dispatcher: EndpointDispatcher, checkpoints: Checkpoints
    ) -> None:
        """Let the gauges of an endpoint read its parts."""
        metrics.watch(metrics.endpoint_on, lambda: float(dispatcher.on), name)
        metrics.watch(metrics.held_lanes, lambda: self.held_lanes()[name], name)
        metrics.watch(metrics.in_flight, lambda: dispatcher.in_flight, name)
        metrics.watch(metrics.breaker_open, lambda: dispatcher.gate.state != "closed", name)
        metrics.watch(metrics.rate_limit, lambda: dispatcher.gate.rate_per_s or 0.0, name)
        metrics.watch(metrics.concurrency_limit, lambda: dispatcher.gate.concurrency, name)
        metrics.watch(metrics.unsettled, lambda: checkpoints.unsettled(name), name)
        metrics.watch(metrics.endpoint_memory, lambda: checkpoints.waiting_bytes(name), name)

    def readiness(self) -> tuple[bool, str]:
        """Return whether the process does its part of the work, and lines for a person.

        The first is about the work; a second about the configuration, if it comes from a file.
        """
        place = self.place_in_group()
        held = [f"{name} {number}" for name, number in sorted(self.held_lanes().items())]
        topics = self._selection.select(self._group.topics) if self._group else ()
        notes = (
            *_listed("waiting for topics that match", self._selection.awaited(topics)),
            *_listed("waiting for a schema", self._pipeline.without_schema if self._pipeline else []),
            *_listed("off", self._switching.off_endpoints()),
            *_listed("event types off", [str(types) for types in self._switching.off_event_types()]),
            *_listed("held lanes", held),
            *_listed("slowed", [f"{name} to {limit}" for name, limit in self._slowed().items()]),
        )
        lines = ["; ".join([place.words, *notes]), *_configuration(self.reload_state)]
        return place.ready, scrub("\n".join(lines))

    def place_in_group(self) -> Readiness:
        """Return whether the process does its part of the work, and why not."""
        if self._stopping:
            return Readiness(State.STOPPING, "stopping: finishing the requests in flight")
        place = self._group.place if self._group else None
        if place is None:
            return Readiness(State.STARTING, f"starting: {self._starting}")
        return describe(replace(place, assigned=self._source_partitions()))

    @property
    def stands_by(self) -> bool:
        """Return True if the process is ready and has no partition."""
        return self.place_in_group().state is State.STANDBY

    def limits(self) -> dict[str, object]:
        """Return the document of /limits: the group, and by endpoint its limit and why."""
        return {"group": self._settings.group, "slowed": in_force.scrub_value(self._slowed())}

    def _slowed(self) -> dict[str, str]:
        """Return the endpoints that an overloaded receiver limits, with the limit and the reason."""
        gates = ((name, dispatcher.gate) for name, dispatcher in self._dispatchers.items())
        return {name: f"{_limit(gate)} ({gate.reason})" for name, gate in gates if gate.slowed}

    def held_lanes(self) -> Counter[str]:
        """Count the held lanes of our partitions; the sum over all pods is the group's number."""
        return self._holds.counts(self._group.assigned if self._group else ())

    def _source_partitions(self) -> int:
        again = again_topic(self._settings)
        return sum(partition.topic != again for partition in self._group.assigned) if self._group else 0


def _limit(gate: Gate) -> str:
    if gate.rate_per_s is None:
        return f"{gate.concurrency} at once"
    return f"{gate.rate_per_s:.1f} per second"


def _configuration(state: ReloadState) -> list[str]:
    """Return which configuration is in force since when, and the error of a later one."""
    if not state.hash:
        return []
    line = f"configuration: {state.hash} since {instant_text(state.since)}"
    if state.error:
        shown = state.error if len(state.error) <= _MOST_CHARS else state.error[:_MOST_CHARS] + "…"
        line += f"; a changed file is not in force ({instant_text(state.error_at)}): {shown}"
    return [line]


def _listed(what: str, names: Sequence[str]) -> list[str]:
    more = f" and {len(names) - _MOST_LISTED} more" if len(names) > _MOST_LISTED else ""
    return [f"{what}: {', '.join(names[:_MOST_LISTED])}{more}"] if names else []
