"""How each setting of batches and of compressed requests is read back."""

from __future__ import annotations

from typing import Any

from bridge.core.batches import BatchLimits
from bridge.rendering.batch import BatchForm
from bridge.rendering.compression import Compression
from tests.support.parts import part, parts
from tests.unit.wiring.built import Built, Read


def read_limits(b: Built) -> set[BatchLimits]:
    """Return the limits of the client and of the queue; crm has none."""
    return {*parts(b.dispatcher("many"), BatchLimits), *parts(b.dispatcher("crm"), BatchLimits)}


BATCH_READS: dict[str, tuple[Any, Read]] = {
    "endpoints.batch.max_events": (
        ({19}, 65_536),
        lambda b: (
            {limits.max_events for limits in read_limits(b)},
            b.edges.transports["many"]._limits.max_body_bytes,
        ),
    ),
    "endpoints.batch.max_bytes": ({70_019}, lambda b: {limits.max_bytes for limits in read_limits(b)}),
    "endpoints.batch.max_wait_s": ({0.19}, lambda b: {limits.max_wait_s for limits in read_limits(b)}),
    "endpoints.batch.as": ("ndjson", lambda b: part(b.dispatcher("many"), BatchForm).kind),
    "endpoints.compress": (
        ("zstd", []),
        lambda b: (part(b.dispatcher("many"), Compression).coding, parts(b.dispatcher("crm"), Compression)),
    ),
    "endpoints.compress_above_bytes": (
        1919,
        lambda b: part(b.dispatcher("many"), Compression).above_bytes,
    ),
}
