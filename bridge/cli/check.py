"""``hookferry check``: find every mistake in a configuration before it runs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bridge.app.exit_codes import ExitCode
from bridge.cli.output import Output, colored, output_option, show
from bridge.cli.run import file_or_option

if TYPE_CHECKING:
    from bridge.preflight.examine import Examined
    from bridge.settings.problem import Problem


@click.command(short_help="List every mistake in a configuration, with its remedy.")
@click.option("--online", is_flag=True, help="Also ask the brokers, and connect to each endpoint.")
@output_option
@file_or_option
def check(path: Path, online: bool, output: Output) -> None:
    """List every mistake in a configuration at once, with file:line:column, cause and remedy.

    FILE is the configuration, the same as --config.

    Exits with 0 if there is no mistake, else with 2. Warnings are listed too, and change nothing. Reads the
    environment for ${env:NAME} and for HOOKFERRY_ overrides, as `hookferry run` does. Tries every template
    with a sample of each event type that its endpoint selects and whose fields are known, and checks the
    fields that filters name in the same way.

    Connects neither to Kafka nor to any endpoint. With --online it does, sends nothing, and exits with 1 if
    one of them cannot be used; `hookferry doctor` shows that in full.
    """
    import os

    from bridge.cli.doctor import describe_finding, find_online
    from bridge.preflight.examine import examine
    from bridge.preflight.probes.finding import Level

    examined = examine(path, os.environ)
    problems = examined.lines
    found = find_online(examined) if online else []
    document: dict[str, Any] = {
        "file": str(path),
        "problems": [*map(_document, examined.problems), *map(_unplaced, examined.unplaced)],
        "warnings": list(map(_document, examined.warnings)),
        **({"online": [finding.as_json() for finding in found]} if online else {}),
    }

    def lines() -> Iterator[str]:
        yield from problems
        for finding in found:
            yield describe_finding(finding)
        if not problems:
            yield f"{path}: no problems"

    show(output, document, lines)
    _report(path, examined, len(problems), output)
    if problems:
        sys.exit(ExitCode.USAGE)
    if any(finding.level is Level.ERROR for finding in found):
        sys.exit(ExitCode.FAILURE)


def _report(path: Path, examined: Examined, problems: int, output: Output) -> None:
    """Print the warnings and the number of problems on standard error."""
    if output is Output.TABLE:
        for warning in examined.warnings:
            click.echo(f"{colored('warning', 'yellow')}: {warning}", err=True)
    if problems:
        click.echo(f"{problems} problem{'s' if problems > 1 else ''} in {path}", err=True)


def _unplaced(text: str) -> dict[str, Any]:
    """Return a mistake without a place in the file, in the same shape as the others."""
    cause, _, remedy = text.partition("; ")
    return {"place": None, "setting": None, "cause": cause, "remedy": remedy or None, "text": text}


def _document(problem: Problem) -> dict[str, Any]:
    from bridge.settings.problem import dotted

    return {
        "place": str(problem.place),
        "setting": dotted(problem.path) or None,
        "cause": problem.cause,
        "remedy": problem.remedy,
        "text": str(problem),
    }
