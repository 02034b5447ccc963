"""The switches of the control topic: what they do to the path, and what is logged about them."""

from __future__ import annotations

import re
from typing import Any

import pytest
import structlog

from bridge.app.switching import Switching
from bridge.core.routing import Router, Subscription
from bridge.core.switches import ON, EventTypes, Switch

OFF = Switch(on=False, since="2026-06-29T08:15:30Z", by="ann", reason="maintenance")


class FakeDispatcher:
    """Keeps what the switches do to it."""

    def __init__(self) -> None:
        self.turns: list[bool] = []
        self.types_off: re.Pattern[str] | None = None

    def turn(self, on: bool, since_s: float = 0.0) -> None:
        self.turns.append(on)

    def switch_types(self, off: re.Pattern[str] | None) -> None:
        self.types_off = off


@pytest.fixture
def lines() -> Any:
    with structlog.testing.capture_logs() as captured:
        yield captured


def attach(switching: Switching) -> dict[str, FakeDispatcher]:
    dispatchers = {name: FakeDispatcher() for name in ("crm", "shop")}
    router = Router({name: Subscription() for name in dispatchers})
    switching.attach(router, dispatchers)  # type: ignore[arg-type]  # fakes with the two methods in use
    return dispatchers


def test_a_switch_that_was_read_before_the_path_exists_applies_to_it(lines: list[Any]) -> None:
    switching = Switching(("crm", "shop"))
    switching.endpoints.put("crm", OFF)
    switching.event_types.put(EventTypes("Loan*", "shop"), OFF)
    dispatchers = attach(switching)
    assert [dispatchers[name].turns for name in ("crm", "shop")] == [[False], [True]]
    assert dispatchers["crm"].types_off is None
    pattern = dispatchers["shop"].types_off
    assert pattern is not None
    assert pattern.match("LoanApproved")
    assert [(line["log_level"], line["endpoint"]) for line in lines] == [
        ("error", "crm"),
        ("warning", "shop"),
    ]


def test_a_later_switch_applies_at_once_and_back() -> None:
    switching = Switching(("crm", "shop"))
    dispatchers = attach(switching)
    switching.endpoints.put("crm", OFF)
    switching.event_types.put(EventTypes("Loan*"), OFF)
    assert switching.off_endpoints() == ["crm"]
    assert switching.off_event_types() == [EventTypes("Loan*")]
    assert all(dispatcher.types_off for dispatcher in dispatchers.values())
    switching.endpoints.put("crm", ON)
    switching.event_types.put(EventTypes("Loan*"), ON)
    assert dispatchers["crm"].turns == [True, False, True]
    assert not any(dispatcher.types_off for dispatcher in dispatchers.values())
    assert (switching.off_endpoints(), switching.off_event_types()) == ([], [])


def test_endpoints_that_are_not_configured_are_ignored(lines: list[Any]) -> None:
    switching = Switching(("crm", "shop"))
    dispatchers = attach(switching)
    switching.endpoints.put("old", OFF)
    switching.event_types.put(EventTypes("Loan*", "old"), OFF)
    assert (switching.off_endpoints(), switching.off_event_types()) == ([], [])
    assert [dispatcher.turns for dispatcher in dispatchers.values()] == [[True], [True]]
    assert lines == []
