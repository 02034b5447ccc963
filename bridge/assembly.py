"""From settings to parts: the small value objects and rules that the path is made of.

Pure but for reading schema folders and TLS files. Every function takes one group of the settings,
so that no part ever sees the whole.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping

from bridge.clock import Clock
from bridge.core.backoff import RetrySchedule
from bridge.core.completion_map import Failures
from bridge.core.cursor import Cursor
from bridge.core.filter import Filter
from bridge.core.limits import Breaker, Pace, RateWindows, SlowDown
from bridge.core.routing import Router, Subscription
from bridge.core.signing import Signer, Silent
from bridge.core.switches import EventTypes, Switches
from bridge.dead_letters.hold import Holds
from bridge.dead_letters.lane_holds import HeldLanes, Register
from bridge.dead_letters.park import Parks
from bridge.errors import ConfigError
from bridge.formats import Decoder
from bridge.formats.avro.schema_set import SchemaSet
from bridge.formats.fineract import FineractDecoder
from bridge.formats.resent import AgainDecoder
from bridge.http import Transport
from bridge.http.egress_policy import Egress
from bridge.http.httpx_transport import proxied
from bridge.http.lean import LeanTransport
from bridge.http.tls import context_of, why_not
from bridge.http.token import ClientCredentials
from bridge.kafka.client import KafkaOptions
from bridge.kafka.control_topic import Control, control_topic
from bridge.kafka.group_reader import Membership
from bridge.pipeline.attempt import Deliverer, Target
from bridge.pipeline.cursor_start import CursorPolicy
from bridge.pipeline.dispatcher import Outlet
from bridge.receivers import STANDARD
from bridge.rendering import MakeBody, Renderer
from bridge.rendering.body_secret import SealedRenderer
from bridge.rendering.named import named
from bridge.rendering.request import TargetTemplate
from bridge.rendering.request import renderer as request_renderer
from bridge.rendering.sandbox import TemplateMistake
from bridge.rendering.template import TemplateBody
from bridge.schemas.folder import SchemaFolder, read_folder
from bridge.schemas.registry.learn import Registries
from bridge.settings import (
    EndpointSettings,
    FineractSource,
    KafkaSettings,
    Settings,
    SourceSettings,
)
from bridge.storage.attempt_history import History
from bridge.telemetry.metrics import Metrics
from bridge.wiring import decoders as formats


def kafka_options(kafka: KafkaSettings) -> KafkaOptions:
    """How the brokers are reached. Raises ``ConfigError`` for TLS files that do not load."""
    sasl = kafka.sasl
    fetch_token = None
    if sasl is not None and sasl.mechanism == "OAUTHBEARER" and sasl.token_url and sasl.client_id:
        secret = sasl.client_secret.get_secret_value() if sasl.client_secret else ""
        fetch_token = ClientCredentials(sasl.token_url, sasl.client_id, secret, sasl.scope).token
    return KafkaOptions(
        bootstrap_servers=tuple(kafka.bootstrap_servers),
        security_protocol=kafka.security_protocol,
        ssl_context=_kafka_tls(kafka) if kafka.security_protocol.endswith("SSL") else None,
        sasl_mechanism=sasl.mechanism if sasl else "PLAIN",
        sasl_username=sasl.username if sasl else None,
        sasl_password=sasl.password.get_secret_value() if sasl and sasl.password else None,
        fetch_token=fetch_token,
    )


def _kafka_tls(kafka: KafkaSettings) -> ssl.SSLContext:
    tls = kafka.tls
    try:
        password = tls.key_password.get_secret_value() if tls.key_password else None
        context = context_of(tls.ca_file, tls.cert_file, tls.key_file, password)
    except (OSError, ValueError) as exc:
        raise ConfigError(
            [f"kafka.tls: the files do not load ({why_not(exc)}); check ca_file, cert_file and key_file"]
        ) from exc
    context.check_hostname = tls.check_hostname
    return context


def membership(settings: Settings) -> Membership:
    """How this process is a member of the group."""
    kafka = settings.kafka
    return Membership(
        group=settings.group,
        topics=(*topics(settings), again_topic(settings)),
        session_timeout_s=kafka.session_timeout_s,
        heartbeat_interval_s=kafka.heartbeat_interval_s,
        rebalance_timeout_s=kafka.rebalance_timeout_s,
        instance_id=kafka.group_instance_id,
    )


def registries(settings: Settings, decoders: Mapping[str, Decoder]) -> Registries:
    """The schema registries of the sources. Raises ``ConfigError`` for TLS files that do not load."""
    return formats.registries(settings.sources, decoders)


def control(
    settings: Settings, switches: Switches[str], event_types: Switches[EventTypes], who: str
) -> Control:
    """What follows and writes the control topic."""
    options, topic = kafka_options(settings.kafka), control_topic(settings.group)
    return Control(options, topic, switches, event_types, who)


def holding(settings: Settings) -> frozenset[str]:
    """The endpoints that hold the lane of a parked event."""
    return frozenset(name for name, endpoint in settings.endpoints.items() if endpoint.on_park == "hold")


def held_lanes(
    name: str, endpoint: EndpointSettings, holds: Holds, register: Register, clock: Clock
) -> HeldLanes | None:
    """What holds an endpoint's lanes after a parking; None where it goes on."""
    return HeldLanes(name, holds, register, clock) if endpoint.on_park == "hold" else None


def topics(settings: Settings) -> tuple[str, ...]:
    """All source topics."""
    return tuple(topic for source in settings.sources.values() for topic in source.topics)


def parked_topic(settings: Settings) -> str:
    """The dead-letter topic of the group."""
    return f"{settings.group}.parked"


def again_topic(settings: Settings) -> str:
    """The topic of what is to be sent again."""
    return f"{settings.group}.again"


def decoders(settings: Settings) -> dict[str, Decoder]:
    """The decoder of each topic that is read. Raises ``ConfigError`` for schema files that do not load."""
    of_sources: dict[str, Decoder] = {
        topic: made
        for name, source in settings.sources.items()
        for made in (_decoder(name, source),)
        for topic in source.topics
    }
    return of_sources | {again_topic(settings): AgainDecoder(of_sources, settings.endpoints)}


def _decoder(name: str, source: SourceSettings) -> Decoder:
    if isinstance(source, FineractSource):
        return FineractDecoder(
            name,
            SchemaFolder(source.schemas),
            max_value_bytes=source.max_value_bytes,
            split_bulk=source.bulk == "split",
        )
    return formats.decoder(name, source)


def subscription(endpoint: EndpointSettings) -> Subscription:
    """What an endpoint wants."""
    return Subscription(
        endpoint.wanted,
        frozenset(endpoint.sources) if endpoint.sources else None,
        topics=endpoint.topics,
        tenants=() if endpoint.tenants == ("*",) else endpoint.tenants,
        record_headers=endpoint.record_headers,
        when=Filter(endpoint.when) if endpoint.when is not None else None,
    )


def router(settings: Settings) -> Router[str]:
    """Which endpoint wants what."""
    return Router({name: subscription(endpoint) for name, endpoint in settings.endpoints.items()})


def cursor_policy(endpoint: EndpointSettings) -> CursorPolicy:
    """How its cursors begin, and how much they may hold."""
    return CursorPolicy(endpoint.start_at, endpoint.window, endpoint.window_bytes)


def transport(
    endpoint: EndpointSettings,
    egress: Egress,
    tls: ssl.SSLContext,
    may_write: Callable[[], bool] = lambda: True,
) -> Transport:
    """Lean connections; or httpx, where a proxy stands between."""
    if endpoint.proxy is not None:
        return proxied(endpoint.proxy.get_secret_value(), endpoint.concurrency, tls)
    return LeanTransport(egress, endpoint.concurrency, tls, may_write=may_write)


def renderer(endpoint: EndpointSettings) -> Renderer:
    """What makes its requests, but for a secret that is put into the body when it is sent.

    Raises ``ConfigError`` for templates that cannot be used.
    """
    try:
        url = target_template(endpoint) or endpoint.target
        return request_renderer(endpoint.method, url, endpoint.header_templates, _body(endpoint))
    except TemplateMistake as exc:
        raise ConfigError([f"endpoint {endpoint.target.origin}: {exc}"]) from exc


def target_template(endpoint: EndpointSettings) -> TargetTemplate | None:
    """Its URL where that changes with the event. Raises ``TemplateMistake``."""
    expressions = endpoint.url_expressions
    return TargetTemplate(endpoint.target, expressions) if expressions else None


def schema_sets(settings: Settings) -> dict[str, SchemaSet]:
    """The schemas of the Fineract sources, by source. Raises ``ConfigError``."""
    return {
        name: read_folder(source.schemas)
        for name, source in settings.sources.items()
        if isinstance(source, FineractSource)
    }


def _body(endpoint: EndpointSettings) -> MakeBody | None:
    body, preset = endpoint.body, endpoint.chosen
    if not endpoint.has_own_body:
        return None if preset is STANDARD else preset.render
    if isinstance(body, str):
        return None if body == "standard" else named(body)
    return TemplateBody({}, body.source(), body.content_type, escape=preset.escape)


def sealed(endpoint: EndpointSettings) -> Renderer:
    """What makes its requests as they are sent. Raises ``ConfigError``."""
    secret = endpoint.body_secret
    return renderer(endpoint) if secret is None else SealedRenderer(renderer(endpoint), secret)


def signer(endpoint: EndpointSettings) -> Signer:
    """What signs its requests; a receiver that has no use for an id and an instant gets none."""
    keys = endpoint.signing_keys
    return Signer(keys) if keys or endpoint.chosen.verifies else Silent()


def _pace(endpoint: EndpointSettings) -> Pace:
    breaker = endpoint.breaker
    return Pace(
        RateWindows(endpoint.rate_windows, 1.0),
        SlowDown(),
        Breaker(
            failures=breaker.failures,
            window_s=breaker.window_s,
            open_s=breaker.open_s,
            max_open_s=breaker.max_open_s,
            concurrency=endpoint.concurrency,
        ),
        retry_after_cap_s=endpoint.retry.retry_after_cap_s,
    )


def target(name: str, endpoint: EndpointSettings, settings: Settings) -> Target:
    """What is the same in all its requests."""
    return Target(
        endpoint=name,
        headers=tuple((key.encode(), value.encode()) for key, value in endpoint.header_pairs),
        secret_headers=frozenset(key.lower().encode() for key in endpoint.headers),
        timeout_s=endpoint.timeout_s,
        keep_bodies=settings.history.bodies,
        log_successes=settings.log.attempts == "all",
        body_secret=endpoint.body_secret,
    )


def outlet(
    name: str,
    endpoint: EndpointSettings,
    settings: Settings,
    *,
    transport: Transport,
    parks: Parks,
    history: History,
    metrics: Metrics,
    clock: Clock,
    settle: Callable[[Cursor[Failures], int, int, int], None],
    may_send: Callable[[], bool],
    turn_off: Callable[[str, str], None],
    held: HeldLanes | None = None,
) -> Outlet:
    """The delivering half of the path for one endpoint."""
    bound = metrics.endpoint(name)
    retry = endpoint.retry
    return Outlet(
        name,
        concurrency=endpoint.concurrency,
        renderer=sealed(endpoint),
        deliverer=Deliverer(target(name, endpoint, settings), transport, history, bound, clock),
        signer=signer(endpoint),
        schedule=RetrySchedule(
            base_s=retry.base_s,
            cap_s=retry.cap_s,
            max_attempts=retry.max_attempts,
            max_age_s=retry.max_age_s,
            retry_after_cap_s=retry.retry_after_cap_s,
        ),
        pace=_pace(endpoint),
        own_verdict=endpoint.chosen.judge,
        parks=parks,
        metrics=bound,
        clock=clock,
        settle=settle,
        may_send=may_send,
        turn_off=turn_off,
        held=held,
    )
