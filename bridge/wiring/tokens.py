"""Build the parts that fetch access tokens: for the login to Kafka, and for endpoints."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from ipaddress import ip_network

from bridge.http import Transport
from bridge.http.egress_policy import EgressPolicy
from bridge.http.lean import LeanTransport
from bridge.http.tls import ClientTls, FixedTls, SystemTls, load_context, unloadable
from bridge.http.token import TokenSource
from bridge.http.token_request import TIMEOUT_S, ClientLogin, TokenClient
from bridge.kafka.msk import SETTING as MSK_SETTING
from bridge.kafka.msk import MskSigner
from bridge.settings import SaslSettings
from bridge.settings.models.auth import OAuth2Settings

_EVERYWHERE = (ip_network("0.0.0.0/0"), ip_network("::/0"))
"""The token server of the brokers is the operator's, as the brokers are: private addresses are usual."""


def build_kafka_token(sasl: SaslSettings) -> Callable[[], Awaitable[str]] | None:
    """Build the function that returns a token for each login; None if the mechanism uses none.

    Raises ``ConfigError`` for a file that does not load, or a signer that is not installed.
    """
    source = _kafka_tokens(sasl)
    if source is None:
        return None

    async def fetch_token() -> str:
        """Return a valid token. Raises ``TokenUnavailable``."""
        return (await source.get(TIMEOUT_S)).text

    return fetch_token


def _kafka_tokens(sasl: SaslSettings) -> TokenSource | None:
    if sasl.mechanism == "AWS_MSK_IAM" and sasl.aws_region:
        return TokenSource(MSK_SETTING, MskSigner(sasl.aws_region).fetch)
    if sasl.mechanism != "OAUTHBEARER" or not sasl.token_url or not sasl.client_id:
        return None
    secret = sasl.client_secret.get_secret_value() if sasl.client_secret else ""
    login, tls = ClientLogin(sasl.token_url, sasl.client_id, secret, sasl.scope), _token_server_tls(sasl)

    def open_transport() -> Transport:
        return LeanTransport(EgressPolicy(_EVERYWHERE), 1, tls)

    setting = "kafka.sasl.token_url"
    return TokenSource(setting, TokenClient(setting, login, open_transport).fetch)


def _token_server_tls(sasl: SaslSettings) -> ClientTls:
    if sasl.token_ca_file is None:
        return SystemTls()
    try:
        return FixedTls(load_context(sasl.token_ca_file, None, None, None))
    except (OSError, ValueError) as exc:
        raise unloadable("kafka.sasl", exc, "token_ca_file") from exc


def build_endpoint_tokens(
    name: str, oauth2: OAuth2Settings, open_transport: Callable[[], Transport]
) -> TokenSource:
    """Build the tokens of one endpoint. Raises ``ConfigError`` for a key that cannot be used."""
    client = build_token_client(name, oauth2, open_transport)
    return TokenSource(f"endpoints.{name}.auth.oauth2.token_url", client.fetch)


def build_token_client(
    name: str, oauth2: OAuth2Settings, open_transport: Callable[[], Transport]
) -> TokenClient:
    """Build what requests one token for an endpoint. Raises ``ConfigError`` for a key that cannot be used."""
    section = f"endpoints.{name}.auth.oauth2"
    setting, key = f"{section}.token_url", oauth2.private_key
    sign_statement = None
    if key is not None:
        from bridge.http.client_assertion import PrivateKeyJwt  # noqa: PLC0415 - it loads cryptography

        password = key.key_password.get_secret_value() if key.key_password else None
        sign_statement = PrivateKeyJwt(
            f"{section}.private_key.key_file",
            oauth2.client_id,
            oauth2.token_url,
            key.key_file,
            password,
            key.key_id,
            key.rsa_algorithm,
        ).sign
    login = ClientLogin(
        oauth2.token_url,
        oauth2.client_id,
        oauth2.client_secret.get_secret_value() if oauth2.client_secret else "",
        oauth2.scope,
        oauth2.audience,
        oauth2.auth_style,
        sign_statement,
    )
    return TokenClient(setting, login, open_transport)
