"""The folder of schemas that a command works in: given, or the one that the configuration names.

Invariant: if several folders are possible, none is chosen.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from bridge.cli.run import config_option
from bridge.cli.shell_names import source_names

_DEFAULT = Path("schemas")
_HELP = "Default: the one that `schemas` of a Fineract source names, else schemas."


def folder_options(name: str, action: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add the option ``name`` for the folder, --source and --config; the command gets the ``folder``."""

    def add(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def with_folder(folder: Path | None, source: str | None, path: Path, **options: Any) -> None:
            command(folder=folder or _configured_folder(path, source, name), **options)

        folder = click.option(
            name, "folder", metavar="FOLDER", type=click.Path(path_type=Path), help=f"{action} {_HELP}"
        )
        source = click.option(
            "--source",
            metavar="NAME",
            shell_complete=source_names,
            help="The source whose folder is meant; required if sources have several.",
        )
        return folder(source(config_option(with_folder)))

    return add


def _configured_folder(path: Path, source: str | None, option: str) -> Path:
    """Return the folder that the configuration names. Raises ``ConfigError`` if it is not clear which."""
    import os

    from bridge.errors import ConfigError
    from bridge.settings.load import schema_folders
    from bridge.settings.names import require_known

    given = click.get_current_context().get_parameter_source("path") is not ParameterSource.DEFAULT
    above = click.get_current_context().find_root().params.get("path") is not None
    if not path.exists():
        if given or above or source:
            raise ConfigError([f"{path}: there is no such file; correct --config, or give {option} FOLDER"])
        return _DEFAULT
    folders = schema_folders(path, os.environ)
    if source is not None:
        require_known(f"{path} has no Fineract source", source, folders, "they are")
        return folders[source]
    if len(set(folders.values())) > 1:
        listed = ", ".join(f"{name}: {folder}" for name, folder in folders.items())
        raise ConfigError([f"{path}: sources have several schema folders ({listed}); add --source NAME"])
    return next(iter(folders.values()), _DEFAULT)
