"""``hookferry listen``: show the attempts of an endpoint as they are made; forward them to a developer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bridge.cli import progress
from bridge.cli.output import Output, output_option, terminal_width, to_text
from bridge.cli.run import config_option
from bridge.cli.shared_options import InstantType
from bridge.cli.shell_names import endpoint_names
from bridge.cli.terminal import read_settings

if TYPE_CHECKING:
    from bridge.history.attempt import Kept
    from bridge.resend.forward import Forwarded, Forwarder
    from bridge.settings import Settings


@click.command(short_help="Show attempts live, and forward them to your machine.")
@click.option(
    "--endpoint",
    "-e",
    metavar="NAME",
    required=True,
    shell_complete=endpoint_names,
    help="The endpoint whose attempts are shown.",
)
@click.option("--forward", metavar="URL", help="Send each request to this URL, too: http://localhost:3000.")
@click.option("--since", type=InstantType(), help="Begin at 2h or 7d (ago), or at an instant; default: now.")
@output_option
@config_option
def listen(path: Path, endpoint: str, forward: str | None, since: int | None, output: Output) -> None:
    """Show each attempt of an endpoint in a line as it is made, until Ctrl-C.

    With --forward, the request is sent to that URL as well: method, body, and headers with the original
    signature, without those that the history masks. The receiver gets its own request from the bridge,
    whatever the other one answers. JSON and YAML are one document per attempt.
    """
    from bridge.cli.names import require_endpoint
    from bridge.resend.forward import forward_target
    from bridge.settings import uses

    settings = read_settings(path, uses.FOLLOWING)
    require_endpoint(path, endpoint, settings.endpoints)
    url = None if forward is None else forward_target(forward)
    click.echo(f"listening to {endpoint}; Ctrl-C ends it", err=True)
    try:
        progress.run(_listen(settings, endpoint, url, since, output), "waiting for the brokers")
    except KeyboardInterrupt:
        progress.clear()


async def _listen(settings: Settings, endpoint: str, url: Any, since: int | None, output: Output) -> None:
    from contextlib import AsyncExitStack

    from bridge.wiring.resend import build_forwarder, open_follower

    async with AsyncExitStack() as stack:
        forwarder = None
        if url is not None:
            forwarder = build_forwarder(settings, url)
            stack.push_async_callback(forwarder.close)
        follower = await stack.enter_async_context(open_follower(settings))
        async for attempts in follower.attempts(endpoint, since):
            progress.clear()
            for kept in attempts:
                await _show(kept, forwarder, output)


async def _show(kept: Kept, forwarder: Forwarder | None, output: Output) -> None:
    """Print an attempt, forward it, and print the answer."""
    from bridge.cli.history_output import document

    if output is Output.TABLE:
        click.echo(_line(kept))
    answer = None if forwarder is None else await forwarder.forward(kept)
    if output is not Output.TABLE:
        from bridge.telemetry.scrub import in_force

        shown = document(kept, bodies=True) | {"forwarded": None if answer is None else answer._asdict()}
        click.echo(to_text(output, in_force.scrub_value(shown)).encode())
    elif answer is not None:
        click.echo(_answer_line(answer))


def _line(kept: Kept) -> str:
    from bridge.cli.history_output import instant
    from bridge.cli.output import cut
    from bridge.cli.parked_output import one_line

    attempt = kept.attempt
    parts = [
        instant(attempt.sent_s), kept.id, one_line(attempt.type), one_line(attempt.entity or "-"),
        f"try {attempt.attempt}", attempt.status or "no answer", attempt.verdict, one_line(attempt.reason),
    ]  # fmt: skip
    return cut("  ".join(map(str, parts)).rstrip(), terminal_width())


def _answer_line(answer: Forwarded) -> str:
    from bridge.cli.parked_output import one_line

    took = f"status {answer.status}" if answer.status is not None else one_line(answer.failure)
    return f"    forwarded: {took}" + (f" ({answer.note})" if answer.note else "")
