"""Try the collector of OpenTelemetry: it gets an export without a single span.

Invariant: nothing is recorded there. The headers of the request are shown nowhere.
"""

from __future__ import annotations

from importlib.util import find_spec
from urllib.parse import urlsplit

from bridge.errors import TransportError
from bridge.http.single_post import post_once
from bridge.preflight.probes.finding import Finding, failed, ok, warning
from bridge.settings.models.tracing import TracingSettings

_LONGEST_S = 5.0
_PART = "tracing"
_DELIVERIES = "deliveries go on without traces"
_EMPTY = b""
"""An ExportTraceServiceRequest of protobuf without spans."""


async def probe_collector(tracing: TracingSettings | None) -> list[Finding]:
    """Return what the collector answers; nothing if no traces are configured."""
    if tracing is None:
        return []
    if not _is_installed():
        text = "needs the packages of OpenTelemetry, which are not installed; the bridge does not start"
        return [failed(_PART, text, "install hookferry[otel], or remove tracing")]
    headers = {name: value.get_secret_value() for name, value in tracing.headers.items()}
    try:
        status = await post_once(
            tracing.endpoint,
            {**headers, "content-type": "application/x-protobuf"},
            _EMPTY,
            ca_file=tracing.ca_file,
            timeout_s=min(tracing.timeout_s, _LONGEST_S),
        )
    except TransportError as exc:
        text = f"{_shown(tracing)} does not answer: {exc.detail}; {_DELIVERIES}"
        return [warning(_PART, text, "check tracing.endpoint, tracing.ca_file, and that the collector runs")]
    return [_judge(tracing, status)]


def _is_installed() -> bool:
    try:
        return find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ModuleNotFoundError:
        return False


def _judge(tracing: TracingSettings, status: int) -> Finding:
    if 200 <= status < 300:
        return ok(_PART, f"{_shown(tracing)} accepts traces")
    remedies = {
        401: "correct tracing.headers: the collector requires a login",
        403: "correct tracing.headers: the login may not send traces",
        404: "correct the path of tracing.endpoint: it is usually /v1/traces",
        405: "correct the path of tracing.endpoint: it is usually /v1/traces",
    }
    remedy = remedies.get(status, "check tracing.endpoint, and the log of the collector")
    return warning(_PART, f"{_shown(tracing)} answers with status {status}; {_DELIVERIES}", remedy)


def _shown(tracing: TracingSettings) -> str:
    """Return the origin of the collector: its path or query may contain a key."""
    parts = urlsplit(tracing.endpoint)
    return f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")
