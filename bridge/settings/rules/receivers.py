"""Rules that span several keys of a preset: its routing key, and its URL. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from urllib.parse import urlsplit

from bridge.receivers import PRESETS
from bridge.receivers.teams import CONNECTOR_HOSTS, WORKFLOW_HOSTS
from bridge.settings.problem import Path, Problem
from bridge.settings.reading.tree import Tree


def check_routing_keys(tree: Tree) -> Iterator[Problem]:
    """Check that a routing key is set exactly if the preset uses one."""
    for name in tree.names(("endpoints",)):
        preset = PRESETS.get(tree.text(("endpoints", name, "preset")) or "")
        path: Path = ("endpoints", name, "routing_key")
        if preset is None or tree.is_broken(path):
            continue
        if preset.key_field and not tree.has(path):
            place = tree.place(("endpoints", name, "preset"), key=True)
            remedy = "add routing_key: ${env:NAME}, the integration key from PagerDuty"
            yield Problem(place, path, f"is missing, and preset {preset.name} needs it", remedy)
        if tree.has(path) and not preset.key_field:
            cause = f"is not used by preset {preset.name}"
            yield tree.problem(path, cause, "remove it, or set preset: pagerduty", key=True)


def check_teams_urls(tree: Tree) -> Iterator[Problem]:
    """Check that the URL of a Teams workflow or connector has the preset for its kind."""
    for name in tree.names(("endpoints",)):
        preset_path: Path = ("endpoints", name, "preset")
        preset, host = tree.text(preset_path), _host(tree.text(("endpoints", name, "url")))
        if preset == "teams" and host.endswith(CONNECTOR_HOSTS):
            yield tree.problem(preset_path, "is for workflows, but url is a connector's", _TO_CONNECTOR)
        if preset == "teams-connector" and host.endswith(WORKFLOW_HOSTS):
            yield tree.problem(preset_path, "is for connectors, but url is a workflow's", _TO_WORKFLOW)


_TO_WORKFLOW = "set preset: teams"
_TO_CONNECTOR = "create a workflow in Teams and use its URL, or set preset: teams-connector"


def _host(url: str | None) -> str:
    with suppress(ValueError):
        return urlsplit(url or "").hostname or ""
    return ""


RULES: tuple[Callable[[Tree], Iterator[Problem]], ...] = (check_routing_keys, check_teams_urls)
