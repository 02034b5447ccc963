"""Settings of the connection to Kafka. Pure models; checks that span several keys are in ``rules``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, StringConstraints

from bridge.settings.models.base import (
    AWS_REGION,
    Group,
    HostPort,
    Seconds,
    Section,
    Text,
    Whole,
    mistake,
)

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", "AWS_MSK_IAM"]


def _copies(value: int) -> int:
    if value == 0:
        raise mistake("is 0, and a topic needs at least one copy", "set -1 for three copies, or 1 and more")
    return value


class TlsSettings(Section):
    """Certificates for security_protocol SSL and SASL_SSL."""

    ca_file: Path | None = Field(
        default=None,
        description="PEM file with the certificate authorities that signed the certificates of the"
        " brokers. Default: the system's.",
    )
    cert_file: Path | None = Field(
        default=None,
        description="PEM file with Hookferry's own certificate, if the brokers require one. Needs key_file.",
    )
    key_file: Path | None = Field(default=None, description="PEM file with the private key of cert_file.")
    key_password: SecretStr | None = Field(
        default=None, description="Password of key_file, if it is encrypted."
    )
    check_hostname: bool = Field(
        default=True,
        description="Require that the certificate of a broker contains the host name that was connected"
        " to. Leave it on: without it, anybody with a certificate from the same authority can pose as the"
        " broker.",
    )


class SaslSettings(Section):
    """The login of Hookferry, for security_protocol SASL_PLAINTEXT and SASL_SSL."""

    mechanism: Mechanism = Field(
        description="The login method of the brokers. AWS_MSK_IAM is Amazon MSK with IAM; it needs the"
        " package hookferry[msk]. See docs/how-to/cloud-kafka.md."
    )
    username: Text | None = Field(default=None, description="User name; for PLAIN and SCRAM.")
    password: SecretStr | None = Field(default=None, description="Password; for PLAIN and SCRAM.")
    token_url: Text | None = Field(
        default=None,
        description="URL of the server that issues access tokens (client credentials grant); for"
        " OAUTHBEARER. It must be https, unless the host is loopback or in egress.allow.",
    )
    client_id: Text | None = Field(default=None, description="OAuth client id; for OAUTHBEARER.")
    client_secret: SecretStr | None = Field(default=None, description="OAuth client secret; for OAUTHBEARER.")
    scope: Text | None = Field(default=None, description="OAuth scope to request; optional, for OAUTHBEARER.")
    token_ca_file: Path | None = Field(
        default=None,
        description="PEM file with the certificate authorities that signed the certificate of the token"
        " server; for OAUTHBEARER. Default: the system's.",
    )
    aws_region: Annotated[str, StringConstraints(pattern=AWS_REGION)] | None = Field(
        default=None, description="AWS region of the brokers, such as eu-central-1; for AWS_MSK_IAM."
    )


class KafkaSettings(Section):
    """The brokers, and the timing of the consumer group."""

    bootstrap_servers: tuple[HostPort, ...] = Field(
        min_length=1,
        description="Brokers to connect to first, as host:port. The other brokers are discovered through"
        " them, so two or three are enough.",
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
        description="Login; required with security_protocol SASL_PLAINTEXT and SASL_SSL, and not allowed"
        " with the others.",
    )
    session_timeout_s: Seconds = Field(
        default=10.0,
        ge=1,
        le=1800,
        description="A pod that sends no heartbeat for this many seconds loses its partitions to the"
        " other pods, and is not ready if the broker accepts none of its heartbeats for so long. A short"
        " time moves partitions sooner after a crash, a long one survives pauses. The broker"
        " limits it too (group.min.session.timeout.ms, group.max.session.timeout.ms).",
    )
    heartbeat_interval_s: Seconds = Field(
        default=1.0,
        ge=0.1,
        le=600,
        description="Seconds between two heartbeats of a pod; less than a third of session_timeout_s, so"
        " that two may be lost. A pod learns of a rebalance with its next heartbeat, and the other pods"
        " wait for it.",
    )
    rebalance_timeout_s: Seconds = Field(
        default=60.0,
        ge=1,
        le=3600,
        description="Seconds that the group waits for a pod to finish its requests and hand over"
        " partitions. More than drain_timeout_s, otherwise partitions move too early and events are sent"
        " twice.",
    )
    group_instance_id: Group | None = Field(
        default=None,
        description="A name of this pod that stays the same across restarts, so that a restart after a"
        " crash, within session_timeout_s, moves no partitions. It must differ between pods: of two with"
        " one name, the first stops delivering. Default: the host name, and a digest of the state"
        " directory's random id and path.",
    )
    replication_factor: Annotated[Whole, AfterValidator(_copies)] = Field(
        default=-1,
        ge=-1,
        le=100,
        description="Copies of each topic that Hookferry creates. -1: three, or one per broker if there"
        " are fewer brokers.",
    )
    compression: Literal["zstd", "gzip"] = Field(
        default="zstd",
        description="How dead letters, redrives and the records of <group>.control are compressed. zstd is"
        " smaller, and needs Kafka 2.1; Azure Event Hubs accepts gzip only.",
    )
    create_topics: bool = Field(
        default=True,
        description="Create Hookferry's own topics (<group>.parked, .again, .control and .attempts) if they"
        " are missing. If false, a start without them fails with the commands that create them.",
    )
