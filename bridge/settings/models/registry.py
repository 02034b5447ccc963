"""Settings of a schema registry, for the sources whose records name their schemas there. Pure models."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from bridge.settings.models.base import Seconds, Section, Text


class RegistrySettings(Section):
    """A schema registry and how to log in to it. Private addresses need no egress.allow."""

    url: Text = Field(
        description="Where its API begins: http://registry:8081, https://apicurio/apis/ccompat/v7,"
        " https://apicurio/apis/registry/v3."
    )
    api: Literal["confluent", "apicurio"] | None = Field(
        default=None,
        description="Which API that is. confluent is also spoken by Karapace, Redpanda and Apicurio's"
        " /apis/ccompat. Without it apicurio where the URL has /apis/registry/, else confluent.",
    )
    username: Text | None = Field(default=None, description="User name, or API key. Needs password.")
    password: SecretStr | None = Field(default=None, description="Password, or API secret.")
    token: SecretStr | None = Field(
        default=None, description="Bearer token, instead of username and password."
    )
    ca_file: Path | None = Field(
        default=None,
        description="PEM file with the authorities that vouch for the registry; without it the system's.",
    )
    cert_file: Path | None = Field(
        default=None, description="PEM file with Hookferry's own certificate, where one is asked for."
    )
    key_file: Path | None = Field(default=None, description="PEM file with the private key of cert_file.")
    key_password: SecretStr | None = Field(
        default=None, description="Password of key_file, if it is encrypted."
    )
    timeout_s: Seconds = Field(
        default=10.0, ge=0.1, le=120, description="Time for one request; then it is tried again."
    )

    @property
    def speaks(self) -> Literal["confluent", "apicurio"]:
        """The API in use."""
        return self.api or ("apicurio" if "/apis/registry/" in self.url else "confluent")
