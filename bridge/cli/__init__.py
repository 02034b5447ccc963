"""The command ``hookferry`` and its subcommands."""

from __future__ import annotations

import errno
import logging
import sys

import click

from bridge import __version__
from bridge.app.exit_codes import ExitCode
from bridge.cli.check import check
from bridge.cli.completion import completion
from bridge.cli.cursors import cursors
from bridge.cli.demo import demo
from bridge.cli.endpoints import endpoints
from bridge.cli.events import events
from bridge.cli.inspect import inspect
from bridge.cli.parked import parked
from bridge.cli.render import render
from bridge.cli.route import route
from bridge.cli.run import run
from bridge.cli.schemas import schemas
from bridge.cli.send import send
from bridge.errors import ConfigError, HookferryError

_DISK_TROUBLE = {errno.ENOSPC, errno.EDQUOT}


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def cli() -> None:
    """Carry outbox events from Kafka to HTTP receivers as signed webhooks: in order per entity, none lost.

    \b
    hookferry demo                           see it work, with nothing but this command
    hookferry inspect --topic orders         which format records are in, and a source to start with
    hookferry schemas import JAR             the schemas of your Fineract
    hookferry check bridge.yaml              every mistake in a configuration, with line and remedy
    hookferry route event.json               which endpoints get an event, and why the others do not
    hookferry render -e crm -s order.json    the request that an event becomes; `send` sends it
    hookferry run -c bridge.yaml             carry events until SIGTERM, then drain and commit
    hookferry parked list                    what could not be delivered, and why
    """  # noqa: D301 - a real backspace is how click is told to keep the lines


@cli.command()
def version() -> None:
    """Print the version."""
    click.echo(f"hookferry {__version__}")


for command in (
    run, check, inspect, route, render, send, parked, endpoints, events, cursors, schemas, demo, completion,
):  # fmt: skip
    cli.add_command(command)


def main() -> None:
    """Run the command; a user's mistake ends in its message and exit code 2, never in a traceback."""
    # a command says itself what is wrong; `run` sets up a log, which hears aiokafka too
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())
    try:
        cli(prog_name="hookferry")
    except ConfigError as exc:
        for problem in exc.problems:
            click.echo(problem, err=True)
        sys.exit(ExitCode.USAGE)
    except HookferryError as exc:
        click.echo(f"hookferry: {exc}", err=True)
        sys.exit(ExitCode.FAILURE)
    except OSError as exc:
        if exc.errno not in _DISK_TROUBLE:
            raise
        click.echo(f"hookferry: cannot write: {exc.strerror}; make room on that disk", err=True)
        sys.exit(ExitCode.FAILURE)
