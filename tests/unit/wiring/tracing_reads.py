"""The rows of ``READS`` for the export of traces."""

from __future__ import annotations

from typing import Any

from bridge.pipeline.attempt_trace import AttemptTracer
from tests.support.parts import part
from tests.unit.wiring.built import Built, Read


def collector(built: Built) -> Any:
    """Return where the spans are sent."""
    return built.edges.spans.collector  # type: ignore[union-attr]  # the fake of ``build_example``


TRACING_READS: dict[str, tuple[Any, Read]] = {
    "tracing.endpoint": ("https://collector.test/v1/traces", lambda b: collector(b).url),
    "tracing.headers": ({"X-Glue-Login": "tracing-login"}, lambda b: collector(b).headers),
    "tracing.ca_file": ("collector-ca.pem", lambda b: collector(b).ca_file),
    "tracing.service_name": ("glue-service", lambda b: collector(b).service_name),
    "tracing.timeout_s": (4.25, lambda b: collector(b).timeout_s),
    "tracing.sample_ratio": (0.375, lambda b: part(b.dispatcher(), AttemptTracer)._ratio),
}
