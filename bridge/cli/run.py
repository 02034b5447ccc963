"""``hookferry run``: run the bridge."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
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


_MOST_WORKERS = 256


def _count_workers(_: click.Context, __: click.Parameter, value: str | None) -> int | None:
    """Return a number of workers from 1; for ``auto``, that of the CPUs that the process may use."""
    if value is None:
        return None
    if value == "auto":
        from bridge.app.cpus import usable_cpus

        return usable_cpus()
    if not value.isdecimal() or not 1 <= int(value) <= _MOST_WORKERS:
        raise click.BadParameter(f"{value!r} is neither auto nor a number from 1 to {_MOST_WORKERS}")
    return int(value)


@click.command(short_help="Deliver events until SIGTERM or Ctrl-C.")
@click.option("--console", is_flag=True, help="Also run `hookferry console`, as a separate process.")
@file_or_option
@click.option(
    "--workers",
    metavar="N|auto",
    callback=_count_workers,
    help="Run this number of processes, which share the partitions and the memory; auto: one for each CPU."
    " Without the option there is one process.",
)
@click.option("--as-worker", hidden=True)
def run(path: Path, console: bool, workers: int | None, as_worker: str | None) -> None:
    """Deliver events until SIGTERM or Ctrl-C; then finish the requests in flight, commit, and stop.

    FILE is the configuration, the same as --config. With --console, the console ends with the bridge and is
    restarted if it ends before. It is for a single bridge: with several, run the console on its own.

    An environment variable overrides any setting: HOOKFERRY_KAFKA__BOOTSTRAP_SERVERS='["k:9092"]'.
    """
    if workers is None:
        _deliver(path, console, as_worker)
    else:
        _supervise(path, console, workers)


def _beside(console: bool, path: Path) -> AbstractAsyncContextManager[object]:
    """Return what keeps a console running while it is open, if there is to be one."""
    from bridge.app.console_process import ConsoleProcess, console_command

    return ConsoleProcess(console_command(["console", "--config", str(path)])) if console else nullcontext()


def _deliver(path: Path, console: bool, as_worker: str | None) -> None:
    from bridge.app.garbage import collect_seldom

    collect_seldom()
    import os

    import uvloop

    from bridge.app.app import App
    from bridge.app.config_file import open_source
    from bridge.app.worker_link import WorkerLink, parse_place
    from bridge.errors import ConfigError
    from bridge.http.event_loop import EventLoop
    from bridge.preflight import files
    from bridge.settings import check
    from bridge.telemetry import logs

    place = None if as_worker is None else parse_place(as_worker)
    if place is not None:
        logs.label_lines(worker=place.number)
    settings, source = open_source(path, os.environ)
    logs.set_up(settings.log.level, settings.log.format)

    async def carry() -> None:
        try:
            app = App(settings, source, None if place is None else WorkerLink(place))
        except ConfigError as exc:  # a mistake in a file that the settings name: the rules give its line
            raise ConfigError(check(path, os.environ, files.RULES) or exc.problems) from exc
        async with _beside(console, path):
            await app.run()

    uvloop.run(carry(), loop_factory=EventLoop)


def _supervise(path: Path, console: bool, workers: int) -> None:
    import asyncio
    import os
    import sys

    from bridge.settings import load
    from bridge.telemetry import logs
    from bridge.workers.launch import plan_workers
    from bridge.workers.supervisor import Supervisor

    settings = load(path, os.environ)
    logs.set_up(settings.log.level, settings.log.format)

    async def supervise() -> int:
        async with _beside(console, path):
            return await Supervisor(settings, plan_workers(settings, path, workers), workers).run()

    sys.exit(asyncio.run(supervise()))
