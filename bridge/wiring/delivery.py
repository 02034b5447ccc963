"""Build what delivers the events of one endpoint, from its settings: requests, limits, retries, worker.

Each part receives only the values that it needs, never the settings as a whole.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from bridge.clock import Clock
from bridge.core.backoff import RetrySchedule, SharedRetrySchedule
from bridge.core.batches import BatchLimits
from bridge.core.limits import AdaptiveLimit, Breaker, Gate, ParkLimit, RateWindows
from bridge.core.memory_budget import MemoryBudget
from bridge.core.signature_failure import SignatureFailures
from bridge.core.signing import (
    Signer,
)
from bridge.dead_letters.lane_holds import HeldLanes
from bridge.dead_letters.park import DeadLetterWriter
from bridge.history.attempt import MASK
from bridge.http import Transport
from bridge.http.authorized import HEADER
from bridge.pipeline.attempt import EndpointClient
from bridge.pipeline.attempt_log import AttemptLog
from bridge.pipeline.batch_attempt import BatchClient
from bridge.pipeline.batch_dispatcher import BatchDispatcher
from bridge.pipeline.delivery_parts import DeliveryParts, Settles
from bridge.pipeline.dispatcher import EndpointDispatcher
from bridge.pipeline.parking import EventParking
from bridge.pipeline.signature_watch import SignatureWatch
from bridge.pipeline.target import KeepsAttempts, Target
from bridge.settings import EndpointSettings, Settings
from bridge.settings.models.request import TemplateSettings
from bridge.telemetry.metrics import EndpointMetrics, Metrics
from bridge.telemetry.scrub import scrub
from bridge.telemetry.spans import SpanSink
from bridge.wiring.batches import build_batch_form, build_compression
from bridge.wiring.endpoints import (
    build_sealed_renderer,
    build_shown_url,
    build_signer,
    build_stored_renderer,
)
from bridge.wiring.tracing import build_tracer


def build_signature_watch(
    name: str, endpoint: EndpointSettings, signer: Signer, metrics: EndpointMetrics
) -> SignatureWatch:
    """Build the part that counts the answers about a wrong signature."""
    chosen = endpoint.signature_failures
    failures = SignatureFailures(frozenset(chosen.statuses), chosen.texts)
    return SignatureWatch(name, failures, lambda: signer.newest_key, metrics.signature_failures)


def build_gate(endpoint: EndpointSettings) -> Gate:
    """Build the limits of an endpoint: rates, adaptive limit, and breaker."""
    breaker = endpoint.breaker
    return Gate(
        RateWindows(endpoint.rate_windows, 1.0),
        AdaptiveLimit(endpoint.concurrency),
        Breaker(
            failures=breaker.failures,
            window_s=breaker.window_s,
            open_s=breaker.open_s,
            max_open_s=breaker.max_open_s,
            concurrency=endpoint.concurrency,
        ),
        retry_after_cap_s=endpoint.retry.retry_after_cap_s,
    )


def build_park_limit(endpoint: EndpointSettings) -> ParkLimit | None:
    """Build the limit on dead letters; None if it is off."""
    limit = endpoint.park_limit
    if limit == "off":
        return None
    return ParkLimit(events=limit.events, share=limit.share, window_s=limit.window_s)


def build_target(name: str, endpoint: EndpointSettings, settings: Settings) -> Target:
    """Build the values that all requests of an endpoint share.

    Raises ``ConfigError`` for templates that cannot be used.
    """
    history = settings.history
    return Target(
        endpoint=name,
        headers=tuple((key.encode(), value.encode()) for key, value in endpoint.header_pairs),
        secret_headers=frozenset(header.encode() for header in endpoint.secret_header_names),
        timeout_s=endpoint.timeout_s,
        log_successes=settings.log.attempts == "all",
        kept_success=history.max_body_bytes if history.bodies == "all" else -1,
        kept_failure=history.max_body_bytes if history.bodies != "none" else -1,
        body_secret=endpoint.body_secret,
        shown_url=build_shown_url(endpoint),
        scrub_bodies=_body_has_secrets(endpoint),
        added=((HEADER, MASK),) if endpoint.oauth2 else (),
    )


def _body_has_secrets(endpoint: EndpointSettings) -> bool:
    """Return True if a template inserts a secret by reference: only such bodies are searched for it."""
    if not isinstance(endpoint.body, TemplateSettings):
        return False
    source = endpoint.body.source()
    return scrub(source) != source


def build_delivery(
    name: str,
    endpoint: EndpointSettings,
    settings: Settings,
    *,
    transport: Transport,
    history: KeepsAttempts,
    metrics: EndpointMetrics,
    clock: Clock,
    spans: SpanSink | None = None,
    gate: Gate | None = None,
    park_limit: ParkLimit | None = None,
    same_receiver: bool = False,
) -> DeliveryParts:
    """Build what the configuration decides about the deliveries of one endpoint.

    ``gate``: the one in use, if its settings are the same. ``park_limit``: in place of the endpoint's own.
    Raises ``ConfigError``.
    """
    gate, retry, signer = gate or build_gate(endpoint), endpoint.retry, build_signer(endpoint)
    target, park_limit = build_target(name, endpoint, settings), park_limit or build_park_limit(endpoint)
    delivered = None if park_limit is None else lambda count: park_limit.delivered(clock.monotonic(), count)
    attempt_log = AttemptLog(target, history, metrics, delivered)
    return DeliveryParts(
        concurrency=endpoint.concurrency,
        gate=gate,
        client=_client(endpoint)(
            target,
            renderer=build_sealed_renderer(endpoint),
            stored=build_stored_renderer(endpoint),
            signer=signer,
            gate=gate,
            transport=transport,
            log=attempt_log,
            clock=clock,
            own_verdict=endpoint.chosen.judge,
            retry_on=frozenset(retry.retry_on),
            park_limit=park_limit,
            signatures=build_signature_watch(name, endpoint, signer, metrics),
            tracer=build_tracer(name, endpoint, settings, spans),
            compression=build_compression(endpoint),
        ),
        attempt_log=attempt_log,
        schedule=(RetrySchedule if endpoint.batch is None else SharedRetrySchedule)(
            base_s=retry.base_s,
            cap_s=retry.cap_s,
            max_attempts=retry.max_attempts,
            max_age_s=retry.max_age_s,
            retry_after_cap_s=retry.retry_after_cap_s,
        ),
        park_limit=park_limit,
        same_receiver=same_receiver,
    )


def _client(endpoint: EndpointSettings) -> Callable[..., EndpointClient]:
    """Return what makes the client: with ``batch``, one for several events in one request."""
    if endpoint.batch is None:
        return EndpointClient
    limits = BatchLimits(endpoint.batch.max_events, endpoint.batch.max_bytes, endpoint.batch.max_wait_s)
    return partial(BatchClient, form=build_batch_form(endpoint.batch, endpoint), limits=limits)


def build_dispatcher(
    name: str,
    endpoint: EndpointSettings,
    settings: Settings,
    *,
    transport: Transport,
    parks: DeadLetterWriter,
    history: KeepsAttempts,
    metrics: Metrics,
    clock: Clock,
    checkpoints: Settles,
    may_send: Callable[[], bool],
    turn_off: Callable[[str, str], None],
    budget: MemoryBudget | None = None,
    held: HeldLanes | None = None,
    gate: Gate | None = None,
    park_limit: ParkLimit | None = None,
    bound: EndpointMetrics | None = None,
    spans: SpanSink | None = None,
) -> EndpointDispatcher:
    """Build the delivering half of the path for one endpoint. Raises ``ConfigError``.

    ``gate``, ``park_limit`` and ``bound``: those of a replay, in place of the endpoint's own.
    """
    bound = bound or metrics.endpoint(name)
    parts = build_delivery(
        name, endpoint, settings, transport=transport, history=history, metrics=bound, clock=clock,
        spans=spans, gate=gate, park_limit=park_limit,
    )  # fmt: skip
    dispatcher = EndpointDispatcher if endpoint.batch is None else BatchDispatcher
    return dispatcher(
        name,
        parts=parts,
        parking=EventParking(name, parks, bound.parked, clock, held),
        metrics=bound,
        clock=clock,
        checkpoints=checkpoints,
        may_send=may_send,
        turn_off=turn_off,
        budget=budget,
    )
