"""``hookferry send``: send one sample event to a receiver, the way the bridge sends events."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bridge.app.exit_codes import ExitCode
from bridge.cli.render import build_trial, endpoint_option, head, sample_option
from bridge.cli.run import config_option
from bridge.cli.streams import echo_secrets

if TYPE_CHECKING:
    from bridge.cli.render import Trial
    from bridge.errors import TransportError
    from bridge.model import Response

_SHOWN_BYTES = 2000


@click.command(short_help="Send a sample event to an endpoint and show the answer.")
@endpoint_option
@sample_option
@click.option("--show-secrets", is_flag=True, help="Show the whole URL and all header values.")
@config_option
def send(path: Path, endpoint: str, sample: str, show_secrets: bool) -> None:
    """Send one sample event, signed, with the endpoint's connection settings, and show the answer.

    Each call uses a new webhook-id, unless the sample file contains an id. Does not connect to Kafka and
    does not retry. Exits with 0 if the event was delivered, with 1 if it was not or cannot be rendered,
    and with 2 for a mistake in the configuration or the sample.
    """
    import time
    import uuid

    from bridge.cli import parked_output
    from bridge.core.verdict import Judgement, judge
    from bridge.model import Verdict
    from bridge.pipeline.shown_reason import without_secrets
    from bridge.telemetry import logs

    logs.set_up("error", "console", sys.stderr)
    trial = build_trial(path, endpoint, sample, id=str(uuid.uuid4()))
    echo = echo_secrets if show_secrets else click.echo
    echo(head(trial, show_secrets=show_secrets))
    echo("")
    began = time.monotonic()
    answer = asyncio.run(_send(trial))
    took_ms = (time.monotonic() - began) * 1000

    def judged(answer: Response | TransportError) -> Judgement:
        return judge(answer, time.time(), trial.endpoint.chosen.judge)

    judgement = judged(answer)
    if not show_secrets:
        judgement = without_secrets(judgement, answer, judged)
    for line in _answer_lines(answer, show_secrets=show_secrets):
        echo(parked_output.one_line(line))
    reason = f": {parked_output.one_line(judgement.reason)}" if judgement.reason else ""
    echo(f"{judgement.verdict.value} after {took_ms:.0f} ms{reason}")
    if judgement.verdict is not Verdict.DELIVERED:
        sys.exit(ExitCode.FAILURE)


async def _send(trial: Trial) -> Response | TransportError:
    from bridge.errors import TransportError
    from bridge.http.tls import SystemTls
    from bridge.wiring.endpoints import build_egress, build_transport

    transport = build_transport(trial.name, trial.endpoint, build_egress(trial.settings), SystemTls())
    try:
        return await transport.send(trial.request, trial.endpoint.timeout_s)
    except TransportError as exc:
        return exc
    finally:
        await transport.close()


def _answer_lines(answer: Response | TransportError, *, show_secrets: bool) -> list[str]:
    """Return the answer in lines, with the beginning of its body."""
    from bridge.errors import TransportError
    from bridge.telemetry.scrub import in_force

    if isinstance(answer, TransportError):
        return [f"no answer: {answer}"]
    headers = [f"{name.decode('latin-1')}: {value.decode('latin-1')}" for name, value in answer.headers]
    shown = answer.body[:_SHOWN_BYTES] if show_secrets else in_force.head(answer.body, _SHOWN_BYTES)
    body = shown.decode("utf-8", "replace").splitlines()
    return [f"status {answer.status}", *headers, "", *body, *([""] if body else [])]
