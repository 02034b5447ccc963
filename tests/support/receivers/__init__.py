"""Every simulated receiver by the name of its preset (see ``bridge.demo.receivers``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bridge.demo.receivers.slack import Slack
from bridge.demo.receivers.zapier import Zapier
from tests.support.receivers.discord import Discord
from tests.support.receivers.hooks import SECRET, FineractHook, Standard
from tests.support.receivers.pagerduty import PagerDuty
from tests.support.receivers.teams import Connector, Workflow

SIMULATORS: dict[str, Callable[[], Any]] = {
    "standard": lambda: Standard(SECRET),
    "slack": Slack,
    "teams": Workflow,
    "teams-connector": Connector,
    "discord": Discord,
    "pagerduty": PagerDuty,
    "zapier": Zapier,
    "fineract-hook": FineractHook,
}
