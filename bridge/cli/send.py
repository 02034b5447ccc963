"""``hookferry send``: send one sample event to a receiver, the way the bridge sends events."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bridge.app.exit_codes import ExitCode
from bridge.cli import progress
from bridge.cli.output import Output, colored, output_option, show
from bridge.cli.render import (
    build_trial,
    endpoint_option,
    head,
    request_document,
    sample_option,
    shown_body,
)
from bridge.cli.run import config_option

if TYPE_CHECKING:
    from bridge.cli.render import Trial
    from bridge.errors import TransportError
    from bridge.model import Response


@click.command(short_help="Send a sample event to an endpoint and show the answer.")
@endpoint_option
@sample_option
@click.option("--show-secrets", is_flag=True, help="Show the whole URL and all header values.")
@output_option
@config_option
def send(path: Path, endpoint: str, sample: str, show_secrets: bool, output: Output) -> None:
    """Send one sample event, signed, with the endpoint's connection settings; show request and answer.

    The verdict is what the bridge would do next: delivered, again (it retries), park (it writes a dead
    letter), or off (it turns the endpoint off). Each call uses a new webhook-id, unless the sample file
    contains an id. Does not connect to Kafka and does not retry. Exits with 0 if the event was delivered,
    with 1 if it was not or cannot be rendered, and with 2 for a mistake in the configuration or the sample.
    """
    import time
    import uuid

    from bridge.cli.parked_output import one_line
    from bridge.core.batches import judge_alone
    from bridge.core.verdict import Judgement, judge
    from bridge.errors import TransportError
    from bridge.model import Verdict
    from bridge.pipeline.shown_reason import without_secrets
    from bridge.telemetry import logs

    logs.set_up("error", "console", sys.stderr)
    trial = build_trial(path, endpoint, sample, id=str(uuid.uuid4()))
    began = time.monotonic()
    answer = progress.run(_send(trial), f"sending to {endpoint}")
    took_ms = (time.monotonic() - began) * 1000

    def judged(answer: Response | TransportError) -> Judgement:
        configured = trial.endpoint
        retried = frozenset(configured.retry.retry_on)
        judgement = judge(answer, time.time(), configured.chosen.judge, retried)
        if configured.batch is None or isinstance(answer, TransportError) or judgement.kind != "ok":
            return judgement
        return judge_alone(answer, trial.event.webhook_id, judgement)

    judgement = judged(answer)
    if not show_secrets:
        judgement = without_secrets(judgement, answer, judged)
    is_answered = not isinstance(answer, TransportError)
    document = {
        "request": request_document(trial, show_secrets=show_secrets),
        "answer": None if isinstance(answer, TransportError) else _answer(answer, show_secrets=show_secrets),
        "no_answer": None if is_answered else one_line(str(answer)),
        "verdict": judgement.verdict.value,
        "reason": one_line(judgement.reason) or None,
        "took_ms": round(took_ms),
    }
    show(
        output,
        document,
        lambda: _lines(trial, document, show_secrets=show_secrets),
        show_secrets=show_secrets,
    )
    if judgement.verdict is not Verdict.DELIVERED:
        sys.exit(ExitCode.FAILURE)


def _lines(trial: Trial, document: Mapping[str, Any], *, show_secrets: bool) -> Iterator[str]:
    yield head(trial, show_secrets=show_secrets)
    yield ""
    body = shown_body(trial, pretty=False, show_secrets=show_secrets)
    yield from [body, ""] if body else []
    answer = document["answer"]
    if answer is None:
        yield f"no answer: {document['no_answer']}"
    else:
        yield f"status {answer['status']}"
        yield from (f"{name}: {value}" for name, value in answer["headers"])
        yield from ["", *answer["body"].splitlines()] if answer["body"] else []
    yield ""
    verdict = document["verdict"]
    yield f"verdict: {colored(verdict, 'green' if verdict == 'delivered' else 'red')}"
    if document["reason"]:
        yield f"reason:  {document['reason']}"
    yield f"took:    {document['took_ms']} ms"


async def _send(trial: Trial) -> Response | TransportError:
    from bridge.errors import TransportError
    from bridge.http.tls import SystemTls
    from bridge.wiring.endpoints import build_egress, build_transport

    transport = build_transport(trial.name, trial.endpoint, build_egress(trial.settings), SystemTls())
    try:
        return await transport.send(trial.sent, trial.endpoint.timeout_s)
    except TransportError as exc:
        return exc
    finally:
        await transport.close()


def _answer(answer: Response, *, show_secrets: bool) -> dict[str, Any]:
    """Return an answer as JSON values. The body is searched for secrets before it is split into lines."""
    from bridge.cli.parked_output import one_line
    from bridge.telemetry.scrub import in_force

    body = answer.body if show_secrets else in_force.scrub_bytes(answer.body)
    return {
        "status": answer.status,
        "headers": [
            [one_line(name.decode("latin-1")), one_line(value.decode("latin-1"))]
            for name, value in answer.headers
        ],
        "body": "\n".join(map(one_line, body.decode("utf-8", "replace").splitlines())),
    }
