"""Apply the switches of the control topic: endpoints and event types that are on or off.

A change takes effect in the running path and is logged once; before the path exists it is only noted.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import structlog

from bridge.core.routing import Router
from bridge.core.switches import ALL, EventTypes, Switch, Switches, off_for
from bridge.pipeline.dispatcher import EndpointDispatcher
from bridge.telemetry import events

_log = structlog.get_logger()


class Switching:
    """The switches of this configuration's endpoints, and the path that they act on.

    ``endpoints`` are the names in the settings. The control topic may name others: they are ignored.
    """

    def __init__(self, endpoints: Collection[str]) -> None:
        self._endpoints = endpoints
        self._router: Router[str] | None = None
        self._dispatchers: Mapping[str, EndpointDispatcher] = {}
        self.endpoints = Switches[str](self._endpoint_switched, self._endpoint_on_again)
        self.event_types = Switches[EventTypes](self._event_types_switched)

    def attach(self, router: Router[str], dispatchers: Mapping[str, EndpointDispatcher]) -> None:
        """Apply the switches to this path now, and every change from now on."""
        self._router, self._dispatchers = router, dispatchers
        for name, dispatcher in dispatchers.items():
            switch = self.endpoints[name]
            dispatcher.turn(switch.on, switch.since_s)
        self._apply_event_types()

    def adopt(self, endpoints: Collection[str], added: Collection[str]) -> None:
        """Switch these endpoints, and no others, from now on; the path has those that were added."""
        self._endpoints = endpoints
        for name in added:
            switch = self.endpoints[name]
            self._dispatchers[name].turn(switch.on, switch.since_s)
        self._apply_event_types()

    def off_endpoints(self) -> list[str]:
        """Return the names of the configured endpoints that are off."""
        return [name for name in self.endpoints.off() if name in self._endpoints]

    def off_event_types(self) -> list[EventTypes]:
        """Return the event types that are off for any configured endpoint."""
        return [types for types in self.event_types.off() if self._concerned_by(types)]

    def _concerned_by(self, types: EventTypes) -> bool:
        return types.endpoint == ALL or types.endpoint in self._endpoints

    def _endpoint_switched(self, endpoint: str, switch: Switch) -> None:
        if endpoint not in self._endpoints:
            return
        if endpoint in self._dispatchers:
            self._dispatchers[endpoint].turn(switch.on, switch.since_s)
        facts = {"endpoint": endpoint, **_facts(switch)}
        if switch.on:
            _log.info(events.ENDPOINT_TURNED_ON, **facts)
        else:
            remedy = f"fix the cause, then run: hookferry endpoints on {endpoint}"
            _log.error(events.ENDPOINT_TURNED_OFF, **facts, remedy=remedy)

    def _endpoint_on_again(self, endpoint: str, switch: Switch) -> None:
        """Try an endpoint at once that an operator turned on although it is on."""
        if endpoint in self._dispatchers:
            self._dispatchers[endpoint].turn(True, switch.since_s)
            _log.info(events.ENDPOINT_TURNED_ON, endpoint=endpoint, **_facts(switch))

    def _event_types_switched(self, types: EventTypes, switch: Switch) -> None:
        if not self._concerned_by(types):
            return
        self._apply_event_types()
        facts = {"event_types": types.pattern, "endpoint": types.endpoint, **_facts(switch)}
        if switch.on:
            _log.info(events.EVENT_TYPES_TURNED_ON, **facts)
        else:
            remedy = (
                "none needed. These events are skipped and not sent later;"
                " after hookferry events on, new events are sent again"
            )
            _log.warning(events.EVENT_TYPES_TURNED_OFF, **facts, remedy=remedy)

    def _apply_event_types(self) -> None:
        """Skip the types that are off, both when routing new events and when sending waiting ones."""
        if self._router is None:
            return
        self._router.turn_off({name: off_for(self.event_types, name) for name in self._endpoints})
        for name, dispatcher in self._dispatchers.items():
            dispatcher.switch_types(self._router.off_pattern(name))


def _facts(switch: Switch) -> dict[str, str]:
    return {"since": switch.since, "by": switch.by, "reason": switch.reason}
