"""``hookferry render``: show the request that an event becomes, without sending it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from bridge.cli.output import Output, output_option, show
from bridge.cli.run import config_option
from bridge.cli.shell_names import endpoint_names, event_types

if TYPE_CHECKING:
    from bridge.model import Event, Request
    from bridge.settings import EndpointSettings, Settings

endpoint_option = click.option(
    "--endpoint",
    "-e",
    metavar="NAME",
    required=True,
    shell_complete=endpoint_names,
    help="Name of the endpoint.",
)
sample_option = click.option(
    "--sample",
    "-s",
    required=True,
    metavar="TYPE|FILE.json",
    shell_complete=event_types,
    help="An event type, such as LoanApprovedBusinessEvent, or a JSON file with type, data, and so on.",
)


class Trial(NamedTuple):
    """A request rendered from a sample, and what it was rendered from. ``sent`` may be compressed."""

    settings: Settings
    name: str
    endpoint: EndpointSettings
    event: Event
    request: Request
    sent: Request


@click.command(short_help="Show the request that a sample event becomes.")
@endpoint_option
@sample_option
@click.option(
    "--pretty", is_flag=True, help="Indent a JSON body. The bridge sends it without the added spaces."
)
@click.option(
    "--show-secrets", is_flag=True, help="Show the whole URL, all header values and the routing key."
)
@output_option
@config_option
def render(path: Path, endpoint: str, sample: str, pretty: bool, show_secrets: bool, output: Output) -> None:
    """Show the request that a sample event becomes: method, URL, headers, signature and body.

    Of an endpoint with batch, it is a batch of this event alone. Sends nothing. Exits with 0 if there is a
    request, with 1 if the event cannot be rendered (it would be parked), and with 2 for a mistake in the
    configuration or the sample.
    """
    trial = build_trial(path, endpoint, sample)
    show(
        output,
        request_document(trial, show_secrets=show_secrets),
        lambda: [
            head(trial, show_secrets=show_secrets),
            "",
            shown_body(trial, pretty=pretty, show_secrets=show_secrets),
        ],
        show_secrets=show_secrets,
    )


def build_trial(path: Path, name: str, sample_name: str, id: str | None = None) -> Trial:
    """Render the request for a sample. Raises ``ConfigError``, ``RenderError``, ``DecodeError``."""
    import time

    from bridge.cli.names import require_endpoint
    from bridge.cli.terminal import read_settings
    from bridge.settings import uses
    from bridge.settings.names import require_type
    from bridge.settings.rules.rendering import selects
    from bridge.wiring.batches import build_trial_request
    from bridge.wiring.delivery import build_target
    from bridge.wiring.endpoints import build_sealed_renderer, build_signer

    settings = read_settings(path, uses.sending(name))
    require_endpoint(path, name, settings.endpoints)
    endpoint = settings.endpoints[name]
    event = _sample(settings, endpoint, sample_name, id)
    require_type(event.type, [settings.sources[one] for one in endpoint.sources or settings.sources])
    if not selects(endpoint.wanted, event.type):
        click.echo(f"note: {name} gets no events of type {event.type}; see events in its settings", err=True)
    rendered = build_sealed_renderer(endpoint).render(event)
    target, signer = build_target(name, endpoint, settings), build_signer(endpoint)
    readable, sent = build_trial_request(endpoint, target, signer, event, rendered, int(time.time()))
    return Trial(settings, name, endpoint, event, readable, sent)


def _sample(settings: Settings, endpoint: EndpointSettings, name: str, id: str | None) -> Event:
    """Build the sample; for an endpoint with templates, with every field of its Fineract schema."""
    from bridge.preflight.samples import sample
    from bridge.schemas.folder import read_folder
    from bridge.settings import FineractSource
    from bridge.wiring.topics import build_selection

    sources = endpoint.sources or tuple(settings.sources)
    if name.endswith(".json"):
        return _from_file(settings, sources, Path(name), id)
    for source in sources:
        source_settings = settings.sources[source]
        if name.endswith("BusinessEvent") and isinstance(source_settings, FineractSource):
            schemas = read_folder(source_settings.schemas) if endpoint.has_templates else None
            topic = build_selection(settings).example(source)
            return sample(name, source=source, topic=topic, schemas=schemas, id=id)
    return sample(name, source=sources[0], id=id)


def _from_file(settings: Settings, sources: Sequence[str], file: Path, id: str | None) -> Event:
    """Build the sample in a file, with the types that its source decodes. Raises ``ConfigError``."""
    from bridge.preflight.samples import sample
    from bridge.preflight.samples.delivered import type_as_delivered
    from bridge.settings import FineractSource
    from bridge.settings.names import require_known

    event = sample(file, source="")
    fineract = [name for name in sources if isinstance(settings.sources[name], FineractSource)]
    source = event.source or [*(fineract if event.type.endswith("BusinessEvent") else ()), *sources][0]
    require_known(f"{file}: the configuration has no source", source, settings.sources, "the sources are")
    event = sample(file, source=source, id=id)
    if note := type_as_delivered(event, settings.sources[source], file):
        click.echo(f"note: {source}: {note}", err=True)
    return event


def head(trial: Trial, *, show_secrets: bool) -> str:
    """Return the request line and the headers, with secrets masked unless ``show_secrets``."""
    request = request_document(trial, show_secrets=show_secrets)
    lines = [f"{name}: {value}" for name, value in request["headers"]]
    return "\n".join([f"{request['method']} {request['url']}", *lines])


def request_document(trial: Trial, *, show_secrets: bool) -> dict[str, Any]:
    """Return the request as JSON values, with secrets masked unless ``show_secrets``."""
    from bridge.wiring.delivery import build_target

    url, target = trial.request.url, build_target(trial.name, trial.endpoint, trial.settings)
    headers = trial.request.headers
    shown = f"{url.origin}{url.target}"
    if not show_secrets:
        headers, shown = target.masked(headers), target.shown(trial.event, url)
    return {
        "endpoint": trial.name,
        "method": trial.request.method,
        "url": shown,
        "headers": [
            [name.decode(), value.decode("utf-8", "replace")] for name, value in (*headers, *target.added)
        ],
        "body": shown_body(trial, pretty=False, show_secrets=show_secrets),
    }


def shown_body(trial: Trial, *, pretty: bool, show_secrets: bool) -> str:
    """Return the body as text; ``pretty`` indents it if it is JSON."""
    import orjson

    from bridge.wiring.delivery import build_target

    body = trial.request.body
    if not show_secrets:
        body = build_target(trial.name, trial.endpoint, trial.settings).shown_body(body)
    if pretty:
        with suppress(orjson.JSONDecodeError):
            body = orjson.dumps(orjson.loads(body), option=orjson.OPT_INDENT_2)
    return body.decode("utf-8", "replace")
