"""Settings of the connection to Kafka. Pure models; what spans several keys is in ``rules``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr

from bridge.settings.models.base import Group, HostPort, Seconds, Section, Text, Whole, mistake

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]


def _copies(value: int) -> int:
    if value == 0:
        raise mistake("asks for no copy at all", "give -1 for three, or 1 and more")
    return value


class TlsSettings(Section):
    """Certificates for security_protocol SSL and SASL_SSL."""

    ca_file: Path | None = Field(
        default=None,
        description="PEM file with the authorities that vouch for the brokers; without it the system's.",
    )
    cert_file: Path | None = Field(
        default=None,
        description="PEM file with Hookferry's own certificate, where brokers ask for one. Needs key_file.",
    )
    key_file: Path | None = Field(default=None, description="PEM file with the private key of cert_file.")
    key_password: SecretStr | None = Field(
        default=None, description="Password of key_file, if it is encrypted."
    )
    check_hostname: bool = Field(
        default=True,
        description="Whether a broker's certificate must name the host that was dialled. Leave it on.",
    )


class SaslSettings(Section):
    """How Hookferry logs in, for security_protocol SASL_PLAINTEXT and SASL_SSL."""

    mechanism: Mechanism = Field(description="The login method the brokers offer.")
    username: Text | None = Field(default=None, description="User name; for PLAIN and SCRAM.")
    password: SecretStr | None = Field(default=None, description="Password; for PLAIN and SCRAM.")
    token_url: Text | None = Field(
        default=None,
        description="Where an access token is fetched (client credentials grant); for OAUTHBEARER. https.",
    )
    client_id: Text | None = Field(default=None, description="OAuth client id; for OAUTHBEARER.")
    client_secret: SecretStr | None = Field(default=None, description="OAuth client secret; for OAUTHBEARER.")
    scope: Text | None = Field(
        default=None, description="OAuth scope to ask for; for OAUTHBEARER, and optional there."
    )


class KafkaSettings(Section):
    """The brokers, and the consumer group's timing."""

    bootstrap_servers: tuple[HostPort, ...] = Field(
        min_length=1, description="Brokers to ask first, as host:port; the others are learnt from them."
    )
    security_protocol: SecurityProtocol = Field(
        default="PLAINTEXT",
        description="Whether the connection is encrypted (SSL) and whether Hookferry logs in (SASL).",
    )
    tls: TlsSettings = Field(
        default_factory=TlsSettings, description="Certificates; only with security_protocol SSL or SASL_SSL."
    )
    sasl: SaslSettings | None = Field(
        default=None,
        description="Login; required with, and only with, security_protocol SASL_PLAINTEXT or SASL_SSL.",
    )
    session_timeout_s: Seconds = Field(
        default=45.0,
        ge=1,
        le=1800,
        description="A pod silent for this long loses its partitions. The broker bounds it too.",
    )
    heartbeat_interval_s: Seconds = Field(
        default=3.0,
        ge=0.1,
        le=600,
        description="How often a pod says it is alive; less than a third of session_timeout_s.",
    )
    rebalance_timeout_s: Seconds = Field(
        default=60.0,
        ge=1,
        le=3600,
        description="How long the group waits for a pod to hand over partitions; more than drain_timeout_s.",
    )
    group_instance_id: Group | None = Field(
        default=None,
        description="A name of this pod that survives restarts, so that a quick restart moves no partitions.",
    )
    replication_factor: Annotated[Whole, AfterValidator(_copies)] = Field(
        default=-1,
        ge=-1,
        le=100,
        description="Copies of the topics Hookferry creates; -1 for three, or as many as there are brokers.",
    )
    create_topics: bool = Field(
        default=True,
        description="Whether Hookferry creates its own topics (<group>.parked, .again and .control)"
        " if they are missing.",
    )
