"""``hookferry run``: the bridge itself."""

from __future__ import annotations

from pathlib import Path

import click

config_option = click.option(
    "--config",
    "-c",
    "path",
    type=click.Path(path_type=Path),
    envvar="HOOKFERRY_CONFIG",
    default="config/bridge.yaml",
    show_default=True,
    show_envvar=True,
    help="The configuration file.",
)


@click.command(short_help="Carry events until SIGTERM or Ctrl-C.")
@config_option
def run(path: Path) -> None:
    """Carry events until SIGTERM or Ctrl-C; then finish what is in flight, commit, and leave.

    Every setting can be overridden by a variable: HOOKFERRY_KAFKA__BOOTSTRAP_SERVERS='["k:9092"]'.
    """
    import os

    import uvloop

    from bridge.app import App
    from bridge.settings import load
    from bridge.telemetry import logs

    settings = load(path, os.environ)
    logs.set_up(settings.log.level, settings.log.format)

    async def carry() -> None:
        await App(settings).run()

    uvloop.run(carry())
