"""The command ``hookferry`` and its subcommands. Errors end in a message, not in a traceback."""

from __future__ import annotations

import errno
import logging
import sys
from pathlib import Path

import click

from bridge import __version__
from bridge.app.exit_codes import ExitCode
from bridge.cli.check import check
from bridge.cli.completion import completion
from bridge.cli.console import console
from bridge.cli.cursors import cursors
from bridge.cli.demo import demo
from bridge.cli.doctor import doctor
from bridge.cli.endpoints import endpoints
from bridge.cli.events import events
from bridge.cli.history import history
from bridge.cli.inspect import inspect
from bridge.cli.jobs import jobs
from bridge.cli.keys import keys
from bridge.cli.listen import listen
from bridge.cli.moving import rewind, skip_to
from bridge.cli.output import Output, output_option, root_output_option, show
from bridge.cli.parked import parked
from bridge.cli.reload import reload
from bridge.cli.render import render
from bridge.cli.replay import replay
from bridge.cli.resend import resend
from bridge.cli.route import route
from bridge.cli.run import root_config_option, run
from bridge.cli.schemas import schemas
from bridge.cli.send import send
from bridge.cli.status import status
from bridge.cli.streams import scrub_streams
from bridge.cli.verify import verify
from bridge.errors import ConfigError, HookferryError

_DISK_FULL = {errno.ENOSPC, errno.EDQUOT}


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@root_config_option
@root_output_option
@click.version_option(__version__, "--version", "-V", message="hookferry %(version)s")
def cli(path: Path | None, output: str | None) -> None:
    """Deliver outbox events from Kafka to HTTP receivers as signed webhooks: in order per entity, none lost.

    \b
    hookferry demo                           see it work; needs no Kafka and no receiver
    hookferry inspect --topic orders         find the format of the records, and get a source to start with
    hookferry schemas import JAR             import the schemas of your Fineract
    hookferry check bridge.yaml              list every mistake in a configuration, with line and remedy
    hookferry route event.json               show which endpoints get an event, and why the others do not
    hookferry render -e crm -s order.json    show the request that an event becomes; `send` sends it
    hookferry run -c bridge.yaml             deliver events until SIGTERM, then drain and commit
    hookferry status                         show the endpoints, their lag, and what needs attention
    hookferry doctor                         try the configuration: brokers, topics, rights, receivers
    hookferry console                        pages and an API with every attempt, switches and lag
    hookferry history --entity 4711          find what was sent, when, and what was answered
    hookferry resend --event 4711-a          send it again as it was; `jobs` shows bulk re-sends
    hookferry parked list                    list what could not be delivered, and why
    hookferry replay start -e crm --from 2h  send what was sent in the last two hours again
    hookferry verify request.http -e crm     find out why a receiver refuses a signature

    -c and -o may also follow the command, where they take precedence.
    """  # noqa: D301 - a real backspace makes click keep the line breaks


@cli.command()
@output_option
def version(output: Output) -> None:
    """Print the version."""
    show(output, {"version": __version__}, lambda: [f"hookferry {__version__}"])


for command in (
    run, console, check, doctor, status, inspect, route, render, send, history, resend, jobs, replay, listen,
    parked, endpoints, events, cursors, rewind, skip_to, reload, keys, verify, schemas, demo, completion,
):  # fmt: skip
    cli.add_command(command)


def main() -> None:
    """Run the command. A mistake of the user ends in its message and exit code 2, not in a traceback."""
    # commands print their own errors; only `run` sets up a log, which includes that of aiokafka
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())
    scrub_streams()
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
        if exc.errno not in _DISK_FULL:
            raise
        click.echo(f"hookferry: cannot write: {exc.strerror}; free some space on that disk", err=True)
        sys.exit(ExitCode.FAILURE)
