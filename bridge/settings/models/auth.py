"""Settings of the login to an endpoint: Basic, a bearer token, an API key, or OAuth 2. Pure models.

Exactly one of the four is set; ``rules/auth.py`` checks that. What is constant becomes a header or a query
parameter here. A token of OAuth 2 is fetched while the bridge runs.
"""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr

from bridge.settings.models.base import Section, Text, mistake
from bridge.settings.models.tls import RequestTlsSettings
from bridge.settings.models.values import header_name, header_value

METHODS = ("basic", "bearer", "api_key", "oauth2")
AUTHORIZATION = "Authorization"

_BEARER = re.compile(r"[\x21-\x7e]+")
_PARAMETER = re.compile(r"[A-Za-z0-9._~-]{1,100}")


def _username(name: str) -> str:
    if ":" in name:
        raise mistake("contains a colon, which ends a user name in Basic", "correct the user name")
    if not name.isprintable():
        raise mistake("contains control characters", "correct the user name")
    return name


def _password(value: SecretStr) -> SecretStr:
    if not value.get_secret_value().isprintable():
        raise mistake("contains a line break or control characters", "write only the password")
    return value


def _bearer(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if text.lower().startswith("bearer "):
        raise mistake("begins with the word Bearer, which is added to the token", "remove the word")
    if not _BEARER.fullmatch(text):
        raise mistake("contains spaces, line breaks or characters outside ASCII", "write only the token")
    return value


def _key_header(name: str) -> str:
    if name.lower() == "content-type":
        raise mistake("is set by body", "name the header of the key, such as X-Api-Key")
    return header_name(name)


def _key_value(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not text:
        raise mistake("is empty", "set the key")
    header_value(text)
    return value


def _parameter(name: str) -> str:
    if not _PARAMETER.fullmatch(name):
        raise mistake("is not the name of a query parameter", "use letters, digits, dot, _, ~ and -")
    return name


class BasicAuthSettings(Section):
    """Basic authentication (RFC 7617)."""

    username: Annotated[Text, AfterValidator(_username)] = Field(description="User name.")
    password: Annotated[SecretStr, AfterValidator(_password)] = Field(description="Password.")


class BearerAuthSettings(Section):
    """A constant bearer token (RFC 6750)."""

    token: Annotated[SecretStr, AfterValidator(_bearer)] = Field(
        description="The token, without the word Bearer."
    )


class ApiKeySettings(Section):
    """A constant key, in a header or in the query of the URL: set header or query."""

    header: Annotated[str, AfterValidator(_key_header)] | None = Field(
        default=None, description="Name of the header with the key, such as X-Api-Key."
    )
    query: Annotated[str, AfterValidator(_parameter)] | None = Field(
        default=None,
        description="Name of the query parameter with the key. Prefer a header if the receiver takes one:"
        " queries are often logged.",
    )
    value: Annotated[SecretStr, AfterValidator(_key_value)] = Field(
        description="The key, with any word that the receiver expects before it."
    )


class PrivateKeySettings(Section):
    """The key of an OAuth 2 client that logs in with signed statements (RFC 7523)."""

    key_file: Path = Field(
        description="PEM file with the private key: RSA, P-256 or Ed25519. It is read for each token."
    )
    key_password: SecretStr | None = Field(
        default=None, description="Password of key_file, if it is encrypted."
    )
    key_id: Text | None = Field(
        default=None, description="Id of the key at the token server (kid), if it requires one."
    )
    rsa_algorithm: Literal["PS256", "RS256"] = Field(
        default="PS256", description="How an RSA key signs. RS256 is for servers that do not accept PS256."
    )


class OAuth2Settings(Section):
    """An access token that a token server issues (OAuth 2, client credentials grant)."""

    token_url: Text = Field(
        description="URL of the token server's token endpoint. It must be https, unless the host is loopback"
        " or in egress.allow; a private address must be in egress.allow."
    )
    client_id: Text = Field(description="Client id at the token server.")
    client_secret: SecretStr | None = Field(
        default=None, description="Client secret at the token server, for auth_style basic and body."
    )
    scope: Text | None = Field(
        default=None, description="Scopes to request, separated by spaces. Default: those of the client."
    )
    audience: Text | None = Field(
        default=None, description="Value of the parameter audience, which some token servers require."
    )
    auth_style: Literal["basic", "body", "tls", "private_key_jwt"] = Field(
        default="basic",
        description="How the client logs in: with id and secret in the Authorization header (basic), or in"
        " the form (body), for servers that do not accept the header; or without a secret, with the client"
        " certificate of tls (tls, RFC 8705) or with private_key (private_key_jwt, RFC 7523).",
    )
    private_key: PrivateKeySettings | None = Field(
        default=None, description="The key of the client, for auth_style private_key_jwt."
    )
    use_proxy: bool = Field(
        default=True,
        description="Reach the token server through the proxy of the endpoint, if it has one.",
    )
    tls: RequestTlsSettings | None = Field(
        default=None, description="TLS to the token server, if it differs from the default."
    )


class AuthSettings(Section):
    """The login to an endpoint: set one of basic, bearer, api_key and oauth2."""

    basic: BasicAuthSettings | None = Field(default=None, description="User name and password.")
    bearer: BearerAuthSettings | None = Field(
        default=None, description="A constant token in the Authorization header."
    )
    api_key: ApiKeySettings | None = Field(
        default=None, description="A constant key in a header or in the query."
    )
    oauth2: OAuth2Settings | None = Field(
        default=None, description="A token that a token server issues, and that is renewed before it expires."
    )

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """The constant headers of the login, unmasked: for the request only."""
        if self.basic is not None:
            login = f"{self.basic.username}:{self.basic.password.get_secret_value()}"
            return ((AUTHORIZATION, f"Basic {base64.b64encode(login.encode()).decode()}"),)
        if self.bearer is not None:
            return ((AUTHORIZATION, f"Bearer {self.bearer.token.get_secret_value()}"),)
        if self.api_key is not None and self.api_key.header is not None:
            return ((self.api_key.header, self.api_key.value.get_secret_value()),)
        return ()

    @property
    def parameter(self) -> tuple[str, str] | None:
        """The query parameter of the login and its value, unmasked: for the request only."""
        if self.api_key is None or self.api_key.query is None:
            return None
        return self.api_key.query, self.api_key.value.get_secret_value()
