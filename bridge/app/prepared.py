"""Build the parts of another configuration, while the parts in force are in use.

Invariant: nothing here changes a part that is in use, so what fails here has changed nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from bridge.core.routing import Router
from bridge.http import Transport
from bridge.pipeline.cursor_loader import CursorLoader
from bridge.pipeline.cursor_start import CursorPolicy
from bridge.pipeline.delivery_parts import DeliveryParts
from bridge.pipeline.dispatcher import EndpointDispatcher
from bridge.pipeline.target import KeepsAttempts
from bridge.settings import Settings
from bridge.settings.changes import SettingsChange
from bridge.telemetry.metrics import EndpointMetrics
from bridge.wiring.delivery import build_delivery
from bridge.wiring.edges import PathEdges
from bridge.wiring.endpoints import build_cursor_policy, build_router
from bridge.wiring.path import Path, build_cursor_loader, build_cursor_policies, build_endpoint_dispatcher

OpenTransports = Callable[[Settings, Collection[str]], Mapping[str, Transport]]
"""Build the transports of these endpoints; called in a thread. Raises ``ConfigError``."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """The parts of another configuration, not yet in use."""

    settings: Settings
    change: SettingsChange
    router: Router[str]
    transports: Mapping[str, Transport]
    parts: Mapping[str, DeliveryParts]
    dispatchers: Mapping[str, EndpointDispatcher]
    loader: CursorLoader
    """Of the added endpoints alone."""
    policies: Mapping[str, CursorPolicy]


def prepare(
    settings: Settings,
    change: SettingsChange,
    path: Path,
    edges: PathEdges,
    open_transports: OpenTransports,
    streams: Mapping[str, KeepsAttempts],
    bound: Mapping[str, EndpointMetrics],
) -> Prepared:
    """Build what a change adds or replaces. It may take longer than a delivery may wait: call it in a thread.

    ``streams`` and ``bound``: the history and the metrics of the endpoints that the change concerns. They are
    of the event loop, so they are created before. Raises ``ConfigError``.
    """
    transports = open_transports(settings, streams.keys())
    parts = {
        name: build_delivery(
            name,
            settings.endpoints[name],
            settings,
            transport=transports[name],
            history=streams[name],
            metrics=bound[name],
            clock=edges.clock,
            spans=edges.spans,
            gate=None if name in change.new_gate else path.dispatchers[name].gate,
            same_receiver=name in change.same_receiver,
        )
        for name in sorted(change.delivery)
    }
    dispatchers = {
        name: build_endpoint_dispatcher(
            name, settings, path.checkpoints, path.budget, path.holds, edges, transports[name]
        )
        for name in sorted(change.added)
    }
    added = {name: build_cursor_policy(settings.endpoints[name]) for name in sorted(change.added)}
    loader = build_cursor_loader(edges, settings, path.budget, added)
    policies, router = build_cursor_policies(settings), build_router(settings)
    return Prepared(settings, change, router, transports, parts, dispatchers, loader, policies)
