"""Settings of TLS for requests: to an endpoint, and to its token server. Pure models."""

from __future__ import annotations

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, WithJsonSchema

from bridge.settings.models.base import Section, mistake

_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,253}}$){_LABEL}(\.{_LABEL})*")


def _version(value: object) -> object:
    """Accept ``1.2`` without quotes, which is a number in YAML."""
    return str(value) if isinstance(value, float) else value


def _server_name(name: str) -> str:
    if _NAME.fullmatch(name):
        return name
    try:
        return str(ip_address(name))
    except ValueError:
        raise mistake(
            "is not a host name", "write the name in the certificate, without https:// and without a port"
        ) from None


TlsVersion = Annotated[
    Literal["1.2", "1.3"], BeforeValidator(_version), WithJsonSchema({"enum": ["1.2", "1.3", 1.2, 1.3]})
]
ServerName = Annotated[str, AfterValidator(_server_name)]


class RequestTlsSettings(Section):
    """TLS to a token server. The files are read again when they change."""

    ca_file: Path | None = Field(
        default=None,
        description="PEM file with the certificate authorities that signed the certificate of the server."
        " They replace those of the system, which are the default.",
    )
    cert_file: Path | None = Field(
        default=None,
        description="PEM file with Hookferry's own certificate and its chain, for mutual TLS. Needs"
        " key_file.",
    )
    key_file: Path | None = Field(default=None, description="PEM file with the private key of cert_file.")
    key_password: SecretStr | None = Field(
        default=None, description="Password of key_file, if it is encrypted."
    )
    min_version: TlsVersion = Field(
        default="1.2", description="The oldest version of TLS that is used: 1.2 or 1.3."
    )


class EndpointTlsSettings(RequestTlsSettings):
    """TLS to an endpoint. The files are read again when they change."""

    server_name: ServerName | None = Field(
        default=None,
        description="The name that is sent to the server (SNI), and that its certificate must contain."
        " Default: the host of the url.",
    )
