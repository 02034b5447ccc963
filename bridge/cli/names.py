"""What a shell completes beside commands and options: the endpoints of the configuration."""

from __future__ import annotations

import os
from pathlib import Path

import click


def endpoint_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The endpoints that begin so, of the configuration that is named on the line or in the environment.

    None where it cannot be read: whoever presses the tab key is told nothing, whoever presses return is.
    """
    from bridge.errors import ConfigError
    from bridge.settings import load

    path = ctx.params.get("path") or os.environ.get("HOOKFERRY_CONFIG") or "config/bridge.yaml"
    try:
        names = load(Path(path), os.environ).endpoints
    except ConfigError:
        return []
    return sorted(name for name in names if name.startswith(incomplete))
