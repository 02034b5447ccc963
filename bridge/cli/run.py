"""``hookferry run``: run the bridge."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from bridge.cli.output import given_globally

config_option = click.option(
    "--config",
    "-c",
    "path",
    type=click.Path(path_type=Path),
    envvar="HOOKFERRY_CONFIG",
    default="config/bridge.yaml",
    show_default=True,
    show_envvar=True,
    callback=given_globally,
    help="The configuration file.",
)
root_config_option = click.option(
    "--config",
    "-c",
    "path",
    type=click.Path(path_type=Path),
    help="The configuration file, for whatever command follows.",
)


def file_or_option(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command take the configuration as FILE as well as with --config, but not both."""

    @functools.wraps(command)
    def with_path(*, file: Path | None, path: Path, **options: Any) -> None:
        context = click.get_current_context()
        above = context.find_root().params.get("path") if context.parent is not None else None
        if file and (above or context.get_parameter_source("path") is ParameterSource.COMMANDLINE):
            raise click.UsageError(
                "the configuration is given twice: as FILE and with --config; give it once"
            )
        command(path=file or path, **options)

    file = click.argument("file", metavar="[FILE]", type=click.Path(path_type=Path), required=False)
    return file(config_option(with_path))


@click.command(short_help="Deliver events until SIGTERM or Ctrl-C.")
@click.option("--console", is_flag=True, help="Also run `hookferry console` as a process of its own.")
@file_or_option
def run(path: Path, console: bool) -> None:
    """Deliver events until SIGTERM or Ctrl-C; then finish the requests in flight, commit, and stop.

    FILE is the configuration, the same as --config. With --console, the console ends with the bridge and is
    restarted if it ends before. It is for a single bridge: with several, run the console on its own.

    An environment variable overrides any setting: HOOKFERRY_KAFKA__BOOTSTRAP_SERVERS='["k:9092"]'.
    """
    import os
    from contextlib import AsyncExitStack

    import uvloop

    from bridge.app.app import App
    from bridge.app.config_file import open_source
    from bridge.app.console_process import ConsoleProcess, console_command
    from bridge.errors import ConfigError
    from bridge.http.event_loop import EventLoop
    from bridge.preflight import files
    from bridge.settings import check
    from bridge.telemetry import logs

    settings, source = open_source(path, os.environ)
    logs.set_up(settings.log.level, settings.log.format)

    async def carry() -> None:
        try:
            app = App(settings, source)
        except ConfigError as exc:  # a mistake in a file that the settings name: the rules give its line
            raise ConfigError(check(path, os.environ, files.RULES) or exc.problems) from exc
        async with AsyncExitStack() as child:
            if console:
                await child.enter_async_context(
                    ConsoleProcess(console_command(["console", "--config", str(path)]))
                )
            await app.run()

    uvloop.run(carry(), loop_factory=EventLoop)
