"""How each setting of a login is read back: of endpoints with their TLS, and of the tokens for Kafka."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from typing import Any

from bridge.http.client_assertion import PrivateKeyJwt
from bridge.http.proxy import Proxy
from bridge.http.reloaded_tls import ReloadedTls
from bridge.http.token_request import ClientLogin, TokenClient
from bridge.kafka.client import KafkaOptions
from bridge.kafka.msk import MskSigner
from bridge.rendering import StandardRenderer
from tests.support.parts import part, parts
from tests.unit.wiring.built import Built, Read, read_basic, read_rendered, read_target
from tests.unit.wiring.example import TLS_FILES


def read_basic_login(b: Built) -> str:
    ((_, value),) = read_target(b, "basic").headers
    return value.decode()


def read_url(b: Built, name: str) -> str:
    return str(part(b.dispatcher(name), StandardRenderer)._url.target)


def read_token_login(options: KafkaOptions) -> ClientLogin:
    return part(options, ClientLogin)


def read_endpoint_login(b: Built) -> ClientLogin:
    return part(b.edges.transports["oauth"], ClientLogin)


def read_key(b: Built) -> PrivateKeyJwt:
    return part(b.edges.transports["keyed-oauth"], PrivateKeyJwt)


def read_token_proxies(b: Built) -> tuple[bool, ...]:
    """Return for each of two endpoints with a proxy whether the token server is reached through it."""
    clients = (part(b.edges.transports[f"oauth-{way}"], TokenClient) for way in ("direct", "through-proxy"))
    return tuple(bool(parts(client._open_transport(), Proxy)) for client in clients)


def read_tls(b: Built, section: str) -> ReloadedTls:
    """Return the TLS of an endpoint (``tls``), or that to its token server (``auth.oauth2.tls``)."""
    transport = b.edges.transports["oauth"]
    return part(transport._inner if section == "tls" else transport._tokens, ReloadedTls)  # type: ignore[attr-defined]


def tls_reads(section: str, wanted: dict[str, str]) -> Iterator[tuple[str, Any, Read]]:
    """Yield the name of each TLS setting, its value, and how it is read from the context."""

    def context(b: Built) -> Any:
        return read_tls(b, section)._context

    yield "ca_file", wanted["ca_file"], lambda b: context(b).ca_file.name
    yield "cert_file", wanted["cert_file"], lambda b: context(b).loaded[0].name
    yield "key_file", wanted["key_file"], lambda b: context(b).loaded[1].name
    yield "key_password", wanted["key_password"], lambda b: context(b).loaded[2]
    yield "min_version", ssl.TLSVersion.TLSv1_3, lambda b: context(b).minimum_version


LOGIN_READS: dict[str, tuple[Any, Read]] = {
    "kafka.sasl.token_url": ("https://login.test/token", lambda b: read_token_login(b.oauth).url),
    "kafka.sasl.client_id": ("oauth-client", lambda b: read_token_login(b.oauth).client_id),
    "kafka.sasl.client_secret": ("oauth-secret", lambda b: read_token_login(b.oauth).client_secret),
    "kafka.sasl.scope": ("oauth-scope", lambda b: read_token_login(b.oauth).scope),
    "kafka.sasl.token_ca_file": ("token-ca.pem", lambda b: str(b.oauth_context.ca_file)),
    "kafka.sasl.aws_region": ("eu-central-1", lambda b: part(b.msk, MskSigner)._region),
    "endpoints.headers": (
        ((b"X-Fixed", b"fixed-value"), b"made of Created", {b"x-fixed", b"x-made"}),
        lambda b: (
            *read_target(b).headers,
            dict(read_rendered(b).headers)[b"X-Made"],
            read_target(b).secret_headers,
        ),
    ),
    "endpoints.auth.basic.username": (read_basic("basic-user", "basic-password"), read_basic_login),
    "endpoints.auth.basic.password": (read_basic("basic-user", "basic-password"), read_basic_login),
    "endpoints.auth.bearer.token": (
        ((b"Authorization", b"Bearer bearer-token"),),
        lambda b: read_target(b, "bearer").headers,
    ),
    "endpoints.auth.api_key.header": (
        ((b"X-Glue-Key", b"key-value"),),
        lambda b: read_target(b, "keyed").headers,
    ),
    "endpoints.auth.api_key.value": (
        ((b"X-Glue-Key", b"key-value"), {b"x-glue-key"}),
        lambda b: (*read_target(b, "keyed").headers, read_target(b, "keyed").secret_headers),
    ),
    "endpoints.auth.api_key.query": ("/hooks?glue-key=query-key-value", lambda b: read_url(b, "queried")),
    "endpoints.auth.oauth2.token_url": (
        ("https://login.test/endpoint", ((b"authorization", b"***"),)),
        lambda b: (read_endpoint_login(b).url, read_target(b, "oauth").added),
    ),
    "endpoints.auth.oauth2.client_id": ("endpoint-client", lambda b: read_endpoint_login(b).client_id),
    "endpoints.auth.oauth2.client_secret": (
        "endpoint-secret",
        lambda b: read_endpoint_login(b).client_secret,
    ),
    "endpoints.auth.oauth2.scope": ("endpoint-scope", lambda b: read_endpoint_login(b).scope),
    "endpoints.auth.oauth2.audience": ("endpoint-audience", lambda b: read_endpoint_login(b).audience),
    "endpoints.auth.oauth2.auth_style": ("body", lambda b: read_endpoint_login(b).style),
    "endpoints.auth.oauth2.private_key.key_file": ("private.key", lambda b: read_key(b)._key_file.name),
    "endpoints.auth.oauth2.private_key.key_password": (
        "private-password",
        lambda b: read_key(b)._key_password,
    ),
    "endpoints.auth.oauth2.private_key.key_id": ("key-7", lambda b: read_key(b)._key_id),
    "endpoints.auth.oauth2.private_key.rsa_algorithm": ("RS256", lambda b: read_key(b)._rsa_padding),
    "endpoints.auth.oauth2.use_proxy": ((False, True), read_token_proxies),
    **{
        f"endpoints.{section}.{name}": (wanted, read)
        for section, values in TLS_FILES.items()
        for name, wanted, read in tls_reads(section, values)
    },
    "endpoints.tls.server_name": ("crm.internal.test", lambda b: read_tls(b, "tls").server_name),
}
