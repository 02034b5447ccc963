"""Complete the names of endpoints in a shell."""

from __future__ import annotations

import os

import click


def endpoint_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the matching endpoints of the configuration: of --config, the environment, or the default."""
    from bridge.settings.load import endpoints_in

    path = ctx.params.get("path") or os.environ.get("HOOKFERRY_CONFIG") or "config/bridge.yaml"
    return sorted(name for name in endpoints_in(path) if name.startswith(incomplete))
