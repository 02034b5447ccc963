"""What is known of receivers: how they want a message, what their answers mean, how fast they go.

A preset is chosen by name, ``preset: slack``. Takes events and answers, gives bodies and judgements.
Floor above the rules, pure. ``notice`` and ``wordings`` say what there is to tell of an event,
``fit``, ``markup`` and ``words`` how text is made to fit, and each receiver has a file of its own.
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

STANDARD = Preset(name="standard", receiver="Standard Webhooks receiver", render=standard)
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
"""Every preset by its name."""

__all__ = ["PRESETS", "STANDARD", "Preset"]
