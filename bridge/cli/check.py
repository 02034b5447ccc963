"""``hookferry check``: every mistake in a configuration, before it runs."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from bridge.app.exit_codes import ExitCode
from bridge.cli.run import file_or_option


@click.command(short_help="Say every mistake in a configuration, with its remedy.")
@file_or_option
def check(path: Path) -> None:
    """Say every mistake in a configuration FILE at once, with file:line:column, cause and remedy.

    FILE is the configuration, as with --config.

    Exits 0 when there is none, 2 otherwise. Reads the environment for ${env:NAME} and for
    HOOKFERRY_ overrides, as `hookferry run` would; asks neither Kafka nor any endpoint. Templates are
    tried with a sample of every event type that their endpoint wants and whose fields are known; so
    are the fields that filters name.
    """
    import os

    from bridge.errors import ConfigError
    from bridge.preflight import files
    from bridge.preflight.filter_fields import misspelt
    from bridge.preflight.templates import rehearse
    from bridge.settings import check as problems_of
    from bridge.settings import load, tree_of
    from bridge.wiring.decoders import build_decoders, build_registries

    problems = problems_of(path, os.environ, files.RULES)
    if not problems:
        try:
            settings = load(path, os.environ)
            build_registries(settings.sources, build_decoders(settings))
            tree = tree_of(path, os.environ)
            problems = [*rehearse(settings, tree.place), *misspelt(settings, tree)]
        except ConfigError as exc:
            problems = list(exc.problems)
    for problem in problems:
        click.echo(problem)
    if problems:
        plural = "s" if len(problems) > 1 else ""
        click.echo(f"{len(problems)} problem{plural} in {path}", err=True)
        sys.exit(ExitCode.USAGE)
    click.echo(f"{path}: no problems")
