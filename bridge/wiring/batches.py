"""Build the parts of an endpoint for several events in one request, and for compressed requests."""

from __future__ import annotations

from typing import NamedTuple

from bridge.core.batches import batch_id
from bridge.core.signing import Signer
from bridge.model import Event, Request
from bridge.pipeline.target import Target
from bridge.rendering import Rendered
from bridge.rendering.batch import BatchForm
from bridge.rendering.compression import Compression
from bridge.settings import EndpointSettings
from bridge.settings.models.batch import BatchSettings

ANSWER_BYTES = 65_536
"""Of an answer, a transport keeps so many bytes."""
_NAME_BYTES = 128
"""What an answer needs to name one failed event, generously."""


def build_batch_form(batch: BatchSettings, endpoint: EndpointSettings) -> BatchForm:
    """Build what joins the events of a request. With ``raw``, data that is text is sent unchanged."""
    body = endpoint.body
    return BatchForm(batch.form, cloudevents=body == "cloudevents", any_text=body == "raw")


def with_most_events(endpoint: EndpointSettings, most: int | None) -> EndpointSettings:
    """Return an endpoint whose requests have at most so many events; None: as many as it is set to."""
    if endpoint.batch is None or most is None or endpoint.batch.max_events <= most:
        return endpoint
    return endpoint.model_copy(update={"batch": endpoint.batch.model_copy(update={"max_events": most})})


def build_compression(endpoint: EndpointSettings) -> Compression | None:
    """Build the compression of an endpoint's requests; None if they are not compressed."""
    if endpoint.compress is None:
        return None
    return Compression(endpoint.compress, endpoint.compress_above_bytes)


def largest_answer_bytes(endpoint: EndpointSettings) -> int:
    """Return how much of an answer is kept: with batches, enough for the names of all failed events."""
    events = 0 if endpoint.batch is None else endpoint.batch.max_events
    return max(ANSWER_BYTES, events * _NAME_BYTES)


class Trial(NamedTuple):
    """One request for a sample: with its body as it can be read, and as it is sent."""

    readable: Request
    sent: Request


def build_trial_request(
    endpoint: EndpointSettings, target: Target, signer: Signer, event: Event, rendered: Rendered, at_s: int
) -> Trial:
    """Build the request that the bridge would send now, with ``batch`` a batch of this event alone.

    Raises ``RenderError``.
    """
    id_ = event.webhook_id
    if endpoint.batch is not None:
        form = build_batch_form(endpoint.batch, endpoint)
        body = form.join([form.item(id_, rendered.body)])
        rendered, id_ = rendered._replace(headers=form.headers, body=body), batch_id([id_])
    compression = build_compression(endpoint)
    coding, body = ((), rendered.body) if compression is None else compression.of(rendered.body)
    signature = signer.headers(id_, at_s, body, rendered.method, rendered.url)
    headers = rendered.headers + coding + signature + target.headers
    readable = Request(rendered.method, rendered.url, headers, rendered.body)
    return Trial(readable, readable._replace(body=body))
