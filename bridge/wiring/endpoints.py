"""Build the parts of one endpoint from its settings.

Each part receives only the values that it needs, never the settings as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from bridge.clock import Clock
from bridge.core.filter import Filter
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
from bridge.core.url import parse_proxy
from bridge.dead_letters.hold import Holds
from bridge.dead_letters.lane_holds import HeldLanes, HoldWriter
from bridge.errors import ConfigError
from bridge.history.attempt import MASK
from bridge.http import Transport
from bridge.http.authorized import AuthorizedTransport
from bridge.http.egress_policy import EgressPolicy
from bridge.http.lean import LeanTransport
from bridge.http.proxy import Proxy
from bridge.http.reloaded_tls import ReloadedTls
from bridge.http.tls import ClientTls
from bridge.http.token_request import TokenClient
from bridge.pipeline.cursor_start import CursorPolicy
from bridge.receivers import STANDARD
from bridge.rendering import MakeBody, Renderer
from bridge.rendering.body_secret import BodySecretRenderer
from bridge.rendering.named import named_body
from bridge.rendering.request import TargetTemplate, build_request_renderer
from bridge.rendering.sandbox import TemplateMistake
from bridge.rendering.stored import StoredRenderer
from bridge.rendering.template import TemplateBody
from bridge.settings import EndpointSettings, Settings
from bridge.settings.models.auth import OAuth2Settings
from bridge.wiring.batches import ANSWER_BYTES, largest_answer_bytes
from bridge.wiring.tokens import build_endpoint_tokens, build_token_client


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


def build_egress(settings: Settings) -> EgressPolicy:
    """Build the address policy, which all endpoints share."""
    egress = settings.egress
    return EgressPolicy(
        egress.allow, proxies=egress.proxies, ports=egress.ports, unresolved=egress.unresolved
    )


def build_endpoint_tls(name: str, endpoint: EndpointSettings, system: ClientTls) -> ClientTls:
    """Build the TLS of an endpoint; ``system`` if it has no settings. Raises ``ConfigError``."""
    tls = endpoint.tls
    if tls is None:
        return system
    return ReloadedTls(f"endpoints.{name}.tls", tls, tls.min_version, tls.server_name)


def build_transport(
    name: str,
    endpoint: EndpointSettings,
    egress: EgressPolicy,
    system: ClientTls,
    may_write: Callable[[], bool] = lambda: True,
) -> Transport:
    """Build the transport of an endpoint, which adds an access token if the endpoint has OAuth 2.

    ``system`` is the TLS of endpoints without settings for it.
    Raises ``ConfigError`` for TLS files that do not load.
    """
    proxy, tls = build_proxy(endpoint, system), build_endpoint_tls(name, endpoint, system)
    most = largest_answer_bytes(endpoint)
    transport = _plain_transport(endpoint, egress, proxy, endpoint.concurrency, tls, may_write, most)
    if endpoint.oauth2 is None:
        return transport
    open_token_transport = _token_transports(name, endpoint, endpoint.oauth2, egress, system)
    tokens = build_endpoint_tokens(name, endpoint.oauth2, open_token_transport)
    return AuthorizedTransport(transport, tokens, may_write)


def build_login(
    name: str, endpoint: EndpointSettings, egress: EgressPolicy, system: ClientTls
) -> TokenClient | None:
    """Build what requests one access token for an endpoint; None if it uses none. Raises ``ConfigError``."""
    if endpoint.oauth2 is None:
        return None
    open_transport = _token_transports(name, endpoint, endpoint.oauth2, egress, system)
    return build_token_client(name, endpoint.oauth2, open_transport)


def _plain_transport(
    endpoint: EndpointSettings,
    egress: EgressPolicy,
    proxy: Proxy | None,
    connections: int,
    tls: ClientTls,
    may_write: Callable[[], bool] = lambda: True,
    max_body_bytes: int = ANSWER_BYTES,
) -> Transport:
    """Build direct connections, or connections through the endpoint's proxy."""
    return LeanTransport(
        egress,
        connections,
        tls,
        may_write=may_write,
        proxy=proxy,
        source_address=endpoint.source_address,
        max_body_bytes=max_body_bytes,
    )


def build_proxy(endpoint: EndpointSettings, system: ClientTls) -> Proxy | None:
    """Build the proxy of an endpoint, if it has one; ``system`` is for the connection to the proxy itself."""
    if endpoint.proxy is None:
        return None
    return Proxy(*parse_proxy(endpoint.proxy.get_secret_value()), system)


def _token_transports(
    name: str, endpoint: EndpointSettings, oauth2: OAuth2Settings, egress: EgressPolicy, system: ClientTls
) -> Callable[[], Transport]:
    """Build the function that opens a transport to the token server of an endpoint."""
    files, tls = oauth2.tls, system
    if files is not None:
        tls = ReloadedTls(f"endpoints.{name}.auth.oauth2.tls", files, files.min_version)
    proxy = build_proxy(endpoint, system) if oauth2.use_proxy else None
    return lambda: _plain_transport(endpoint, egress, proxy, 1, tls)


def build_renderer(endpoint: EndpointSettings) -> Renderer:
    """Build the renderer of an endpoint's requests, without the secret that belongs into the body.

    Raises ``ConfigError`` for templates that cannot be used.
    """
    with _usable_templates(endpoint):
        url = build_target_template(endpoint) or endpoint.target
        return build_request_renderer(endpoint.method, url, endpoint.header_templates, _body(endpoint))


@contextmanager
def _usable_templates(endpoint: EndpointSettings) -> Iterator[None]:
    """Map ``TemplateMistake`` to ``ConfigError``."""
    try:
        yield
    except TemplateMistake as exc:
        raise ConfigError([f"endpoint {endpoint.target.origin}: {exc}"]) from exc


def build_shown_url(endpoint: EndpointSettings) -> TargetTemplate | None:
    """Build the template of the URL with masks for what the configuration has; None if it is constant."""
    with _usable_templates(endpoint):
        template = build_target_template(endpoint)
        return None if template is None else template.masked(MASK.decode())


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


def build_stored_renderer(endpoint: EndpointSettings) -> Renderer:
    """Build the renderer of requests that are sent again as they were. Raises ``ConfigError``."""
    with _usable_templates(endpoint):
        return StoredRenderer(build_target_template(endpoint) or endpoint.target, MASK.decode())


def build_signer(endpoint: EndpointSettings) -> Signer:
    """Build the signer; without keys, it adds id and timestamp only if the receiver can use them.

    The id of a batch is sent in any case: the history recognizes the entries of one request by it.
    """
    keys, form = endpoint.signing_keys, endpoint.signing_form
    if not keys:
        return IdOnly() if endpoint.chosen.verifies or endpoint.batch else NoSignature()
    if isinstance(form, HmacForm):
        return HmacSigner(form, keys)
    return MessageSigner(keys) if form == MESSAGE_SIGNATURES else StandardSigner(keys)


def build_key_set(settings: Settings) -> Callable[[float], Mapping[str, object]]:
    """Build the function that returns the public keys of all endpoints at a Unix second, as a JWKS."""
    keys = [key for endpoint in settings.endpoints.values() for key in endpoint.signing_keys]
    return lambda at_s: key_set(keys, at_s)
