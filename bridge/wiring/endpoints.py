"""Build the parts of one endpoint from its settings.

Each part receives only the values that it needs, never the settings as a whole.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping

from bridge.clock import Clock
from bridge.core.backoff import RetrySchedule
from bridge.core.completion_map import Failures
from bridge.core.cursor import Cursor
from bridge.core.filter import Filter
from bridge.core.limits import AdaptiveLimit, Breaker, Gate, ParkLimit, RateWindows
from bridge.core.memory_budget import MemoryBudget
from bridge.core.routing import Router, Subscription
from bridge.core.signing import (
    HmacForm,
    HmacSigner,
    IdOnly,
    MessageSigner,
    NoSignature,
    Signer,
    StandardSigner,
)
from bridge.core.signing.forms import MESSAGE_SIGNATURES
from bridge.core.signing.jwks import key_set
from bridge.dead_letters.hold import Holds
from bridge.dead_letters.lane_holds import HeldLanes, HoldWriter
from bridge.dead_letters.park import DeadLetterWriter
from bridge.errors import ConfigError
from bridge.http import Transport
from bridge.http.egress_policy import EgressPolicy
from bridge.http.httpx_transport import build_proxied_transport
from bridge.http.lean import LeanTransport
from bridge.pipeline.attempt import EndpointClient
from bridge.pipeline.attempt_log import AttemptLog, Target
from bridge.pipeline.cursor_start import CursorPolicy
from bridge.pipeline.dispatcher import EndpointDispatcher
from bridge.pipeline.parking import EventParking
from bridge.receivers import STANDARD
from bridge.rendering import MakeBody, Renderer
from bridge.rendering.body_secret import BodySecretRenderer
from bridge.rendering.named import named_body
from bridge.rendering.request import TargetTemplate, build_request_renderer
from bridge.rendering.sandbox import TemplateMistake
from bridge.rendering.template import TemplateBody
from bridge.settings import (
    EndpointSettings,
    Settings,
)
from bridge.storage.attempt_history import History
from bridge.telemetry.metrics import Metrics


def holding_endpoints(settings: Settings) -> frozenset[str]:
    """Return the endpoints that hold the lane of a parked event."""
    return frozenset(name for name, endpoint in settings.endpoints.items() if endpoint.on_park == "hold")


def build_lane_holds(
    name: str, endpoint: EndpointSettings, holds: Holds, register: HoldWriter, clock: Clock
) -> HeldLanes | None:
    """Build the part that holds lanes after an event was parked; None with ``on_park: continue``."""
    return HeldLanes(name, holds, register, clock) if endpoint.on_park == "hold" else None


def build_subscription(endpoint: EndpointSettings) -> Subscription:
    """Build the selection of an endpoint: sources, patterns, and filter."""
    return Subscription(
        endpoint.wanted,
        frozenset(endpoint.sources) if endpoint.sources else None,
        topics=endpoint.topics,
        tenants=() if endpoint.tenants == ("*",) else endpoint.tenants,
        record_headers=endpoint.record_headers,
        when=Filter(endpoint.when) if endpoint.when is not None else None,
    )


def build_router(settings: Settings) -> Router[str]:
    """Build the router over the selections of all endpoints."""
    return Router({name: build_subscription(endpoint) for name, endpoint in settings.endpoints.items()})


def build_cursor_policy(endpoint: EndpointSettings) -> CursorPolicy:
    """Build the policy of an endpoint's cursors: where they begin, and how much they may hold."""
    return CursorPolicy(endpoint.start_at, endpoint.window, endpoint.window_bytes, endpoint.on_lost_offset)


def build_transport(
    endpoint: EndpointSettings,
    egress: EgressPolicy,
    tls: ssl.SSLContext,
    may_write: Callable[[], bool] = lambda: True,
) -> Transport:
    """Build the transport of an endpoint: lean connections, or httpx for a proxy."""
    if endpoint.proxy is not None:
        return build_proxied_transport(endpoint.proxy.get_secret_value(), endpoint.concurrency, tls)
    return LeanTransport(egress, endpoint.concurrency, tls, may_write=may_write)


def build_renderer(endpoint: EndpointSettings) -> Renderer:
    """Build the renderer of an endpoint's requests, without the secret that belongs into the body.

    Raises ``ConfigError`` for templates that cannot be used.
    """
    try:
        url = build_target_template(endpoint) or endpoint.target
        return build_request_renderer(endpoint.method, url, endpoint.header_templates, _body(endpoint))
    except TemplateMistake as exc:
        raise ConfigError([f"endpoint {endpoint.target.origin}: {exc}"]) from exc


def build_target_template(endpoint: EndpointSettings) -> TargetTemplate | None:
    """Build the template of the URL; None if the URL is constant. Raises ``TemplateMistake``."""
    expressions = endpoint.url_expressions
    return TargetTemplate(endpoint.target, expressions) if expressions else None


def _body(endpoint: EndpointSettings) -> MakeBody | None:
    body, preset = endpoint.body, endpoint.chosen
    if not endpoint.has_own_body:
        return None if preset is STANDARD else preset.render
    if isinstance(body, str):
        return None if body == "standard" else named_body(body)
    return TemplateBody({}, body.source(), body.content_type, escape=preset.escape)


def build_sealed_renderer(endpoint: EndpointSettings) -> Renderer:
    """Build the renderer of requests with the secret in the body. Raises ``ConfigError``."""
    secret = endpoint.body_secret
    return (
        build_renderer(endpoint) if secret is None else BodySecretRenderer(build_renderer(endpoint), secret)
    )


def build_signer(endpoint: EndpointSettings) -> Signer:
    """Build the signer; without keys, it adds id and timestamp only if the receiver can use them."""
    keys, form = endpoint.signing_keys, endpoint.signing_form
    if not keys:
        return IdOnly() if endpoint.chosen.verifies else NoSignature()
    if isinstance(form, HmacForm):
        return HmacSigner(form, keys)
    return MessageSigner(keys) if form == MESSAGE_SIGNATURES else StandardSigner(keys)


def build_key_set(settings: Settings) -> Callable[[float], Mapping[str, object]]:
    """Build the function that returns the public keys of all endpoints at a Unix second, as a JWKS."""
    keys = [key for endpoint in settings.endpoints.values() for key in endpoint.signing_keys]
    return lambda at_s: key_set(keys, at_s)


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
    """Build the values that all requests of an endpoint share."""
    return Target(
        endpoint=name,
        headers=tuple((key.encode(), value.encode()) for key, value in endpoint.header_pairs),
        secret_headers=frozenset(key.lower().encode() for key in endpoint.headers),
        timeout_s=endpoint.timeout_s,
        keep_bodies=settings.history.bodies,
        log_successes=settings.log.attempts == "all",
        body_secret=endpoint.body_secret,
    )


def build_dispatcher(
    name: str,
    endpoint: EndpointSettings,
    settings: Settings,
    *,
    transport: Transport,
    parks: DeadLetterWriter,
    history: History,
    metrics: Metrics,
    clock: Clock,
    settle: Callable[[Cursor[Failures], int, int, int], None],
    may_send: Callable[[], bool],
    turn_off: Callable[[str, str], None],
    budget: MemoryBudget | None = None,
    held: HeldLanes | None = None,
) -> EndpointDispatcher:
    """Build the delivering half of the path for one endpoint."""
    bound, gate, target = metrics.endpoint(name), build_gate(endpoint), build_target(name, endpoint, settings)
    retry, park_limit = endpoint.retry, build_park_limit(endpoint)
    attempt_log = AttemptLog(
        target,
        history,
        bound,
        None if park_limit is None else lambda count: park_limit.delivered(clock.monotonic(), count),
    )
    return EndpointDispatcher(
        name,
        concurrency=endpoint.concurrency,
        gate=gate,
        client=EndpointClient(
            target,
            renderer=build_sealed_renderer(endpoint),
            signer=build_signer(endpoint),
            gate=gate,
            transport=transport,
            log=attempt_log,
            clock=clock,
            own_verdict=endpoint.chosen.judge,
            retry_on=frozenset(retry.retry_on),
            park_limit=park_limit,
        ),
        attempt_log=attempt_log,
        park_limit=park_limit,
        schedule=RetrySchedule(
            base_s=retry.base_s,
            cap_s=retry.cap_s,
            max_attempts=retry.max_attempts,
            max_age_s=retry.max_age_s,
            retry_after_cap_s=retry.retry_after_cap_s,
        ),
        parking=EventParking(name, parks, bound.parked, clock, held),
        metrics=bound,
        clock=clock,
        settle=settle,
        may_send=may_send,
        turn_off=turn_off,
        budget=budget,
    )
