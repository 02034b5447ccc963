"""What a shell completes beside commands and options: the endpoints of the configuration."""

from __future__ import annotations

import os

import click


def endpoint_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The endpoints that begin so: of the configuration on the line, in the environment, or the usual one."""
    from bridge.settings.load import endpoints_in

    path = ctx.params.get("path") or os.environ.get("HOOKFERRY_CONFIG") or "config/bridge.yaml"
    return sorted(name for name in endpoints_in(path) if name.startswith(incomplete))
