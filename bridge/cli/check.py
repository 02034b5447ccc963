"""``hookferry check``: find every mistake in a configuration before it runs."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from bridge.app.exit_codes import ExitCode
from bridge.cli.run import file_or_option


@click.command(short_help="List every mistake in a configuration, with its remedy.")
@file_or_option
def check(path: Path) -> None:
    """List every mistake in a configuration at once, with file:line:column, cause and remedy.

    FILE is the configuration, the same as --config.

    Exits with 0 if there is no mistake, else with 2; notes are no mistakes. Reads the environment for
    ${env:NAME} and for HOOKFERRY_ overrides, as `hookferry run` does. Connects neither to Kafka nor to any
    endpoint. Tries every template with a sample of each event type that its endpoint selects and whose
    fields are known, and checks the fields that filters name in the same way.
    """
    import os

    from bridge.errors import ConfigError
    from bridge.preflight import files
    from bridge.preflight.filter_fields import check_filter_fields
    from bridge.preflight.templates import check_templates
    from bridge.settings import check as problems_of
    from bridge.settings import load, notes, tree_of
    from bridge.wiring.decoders import build_decoders, build_registries

    problems = problems_of(path, os.environ, files.RULES)
    if not problems:
        try:
            settings = load(path, os.environ)
            build_registries(settings.sources, build_decoders(settings).by_source)
            tree = tree_of(path, os.environ)
            problems = [*check_templates(settings, tree.place), *check_filter_fields(settings, tree)]
        except ConfigError as exc:
            problems = list(exc.problems)
    for problem in problems:
        click.echo(problem)
    if problems:
        plural = "s" if len(problems) > 1 else ""
        click.echo(f"{len(problems)} problem{plural} in {path}", err=True)
        sys.exit(ExitCode.USAGE)
    for note in notes(path, os.environ):
        click.echo(f"note: {note}", err=True)
    click.echo(f"{path}: no problems")
