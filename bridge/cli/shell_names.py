"""Complete names in a shell: endpoints, sources, event types and schemas."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import click


def _config(ctx: click.Context) -> str | Path:
    """Return the configuration file: of the command, of hookferry itself, the environment, or the default."""
    given = ctx.params.get("path") or ctx.find_root().params.get("path")
    return given or os.environ.get("HOOKFERRY_CONFIG") or "config/bridge.yaml"


def endpoint_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the matching endpoints of the configuration."""
    return _names(ctx, "endpoints", incomplete)


def source_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the matching sources of the configuration."""
    return _names(ctx, "sources", incomplete)


def event_types(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the matching event types: Fineract's if a source has them, and those that endpoints list."""
    from bridge.settings.load import listed_types
    from bridge.settings.models.fineract_types import FINERACT_TYPES

    listed, has_fineract = listed_types(_config(ctx))
    types = {*listed, *(FINERACT_TYPES if has_fineract else ())}
    return sorted(name for name in types if name.startswith(incomplete))


def schema_names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Return the matching types of the imported schemas, short and whole, and the fingerprints."""
    from bridge.errors import ConfigError
    from bridge.settings.load import schema_folders

    given = ctx.params.get("folder")
    folders = {Path(given)} if given else set[Path]()
    with suppress(ConfigError):
        folders = folders or set(schema_folders(_config(ctx), os.environ).values())
    words: set[str] = set()
    for folder in folders or {Path("schemas")}:
        for file in folder.glob("*.avsc"):
            name, _, fingerprint = file.stem.rpartition(".")
            words |= {name, name.rpartition(".")[2], fingerprint} if name else {file.stem}
    return sorted(word for word in words if word.startswith(incomplete))


def _names(ctx: click.Context, section: str, incomplete: str) -> list[str]:
    from bridge.settings.load import names_in_file

    return sorted(name for name in names_in_file(_config(ctx), section) if name.startswith(incomplete))
