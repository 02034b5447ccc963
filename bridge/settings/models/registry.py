"""Settings of a schema registry, for sources whose records refer to schemas in it. Pure models."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from bridge.settings.models.base import Seconds, Section, Text


class RegistrySettings(Section):
    """A schema registry and the login for it. Private addresses need no egress.allow."""

    url: Text = Field(
        description="Where the API of the registry begins: http://registry:8081,"
        " https://apicurio/apis/ccompat/v7, https://apicurio/apis/registry/v3. Private addresses are"
        " allowed here."
    )
    api: Literal["confluent", "apicurio"] | None = Field(
        default=None,
        description="The API of the registry. confluent is also offered by Karapace, Redpanda and"
        " Apicurio's /apis/ccompat. Default: apicurio if the URL contains /apis/registry/, else confluent.",
    )
    username: Text | None = Field(default=None, description="User name, or API key. Needs password.")
    password: SecretStr | None = Field(default=None, description="Password, or API secret. Needs username.")
    token: SecretStr | None = Field(
        default=None, description="Bearer token, instead of username and password."
    )
    ca_file: Path | None = Field(
        default=None,
        description="PEM file with the certificate authorities that signed the certificate of the"
        " registry. Default: the system's.",
    )
    cert_file: Path | None = Field(
        default=None,
        description="PEM file with Hookferry's own certificate, if the registry requires one. Needs"
        " key_file.",
    )
    key_file: Path | None = Field(default=None, description="PEM file with the private key of cert_file.")
    key_password: SecretStr | None = Field(
        default=None, description="Password of key_file, if it is encrypted."
    )
    timeout_s: Seconds = Field(
        default=10.0,
        ge=0.1,
        le=120,
        description="Time for one request in seconds. Then the partition waits and the request is"
        " repeated every second.",
    )

    @property
    def speaks(self) -> Literal["confluent", "apicurio"]:
        """The API in use."""
        return self.api or ("apicurio" if "/apis/registry/" in self.url else "confluent")
