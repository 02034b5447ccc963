"""Build the parts of an endpoint for several events in one request, and for compressed requests."""

from __future__ import annotations

from bridge.rendering.batch import BatchForm
from bridge.rendering.compression import Compression
from bridge.settings import EndpointSettings
from bridge.settings.models.batch import BatchSettings

ANSWER_BYTES = 65_536
"""Of an answer, a transport keeps so many bytes."""
_NAME_BYTES = 128
"""What an answer needs to name one failed event, generously."""


def build_batch_form(batch: BatchSettings, endpoint: EndpointSettings) -> BatchForm:
    """Build what joins the events of a request."""
    return BatchForm(batch.form, cloudevents=endpoint.body == "cloudevents")


def build_compression(endpoint: EndpointSettings) -> Compression | None:
    """Build the compression of an endpoint's requests; None if they are not compressed."""
    if endpoint.compress is None:
        return None
    return Compression(endpoint.compress, endpoint.compress_above_bytes)


def largest_answer_bytes(endpoint: EndpointSettings) -> int:
    """Return how much of an answer is kept: with batches, enough for the names of all failed events."""
    events = 0 if endpoint.batch is None else endpoint.batch.max_events
    return max(ANSWER_BYTES, events * _NAME_BYTES)
