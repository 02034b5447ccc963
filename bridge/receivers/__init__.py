"""Presets for known receivers: the format of a message, the meaning of answers, and rate limits.

The setting ``preset: slack`` selects a preset by name. Each receiver has its own module. ``notice`` and
``wordings`` collect the facts of an event; ``humanize`` formats values for people; ``fit`` and ``markup``
truncate and escape text.
"""

from __future__ import annotations

from bridge.receivers.discord import DISCORD
from bridge.receivers.pagerduty import PAGERDUTY
from bridge.receivers.preset import Preset
from bridge.receivers.slack import SLACK
from bridge.receivers.teams import TEAMS, TEAMS_CONNECTOR
from bridge.receivers.zapier import ZAPIER
from bridge.rendering.named import standard
from bridge.rendering.old_hooks import HOOKS, fineract_hook

STANDARD = Preset(name="standard", receiver="Standard Webhooks receiver", render=standard, batches=True)
FINERACT_HOOK = Preset(
    name="fineract-hook",
    receiver="receiver of Fineract's old hooks",
    render=fineract_hook,
    events=tuple(HOOKS),
)

PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        STANDARD,
        SLACK,
        TEAMS,
        TEAMS_CONNECTOR,
        DISCORD,
        PAGERDUTY,
        ZAPIER,
        FINERACT_HOOK,
    )
}
"""All presets by name."""

__all__ = ["PRESETS", "STANDARD", "Preset"]
