"""Settings of what all endpoints share: egress, dedupe, history, admin port, log. Pure models.

Invariant: each has defaults with which a process can run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr

from bridge.settings.models.base import (
    HostName,
    Network,
    Port,
    Seconds,
    Section,
    Text,
    Whole,
)


class EgressSettings(Section):
    """Addresses to which requests may be sent."""

    allow: tuple[Network, ...] = Field(
        default=(),
        description="Networks, such as 10.1.0.0/16, to which requests may be sent although they are"
        " private, loopback or otherwise reserved. By default such addresses are refused, so that a URL"
        " cannot reach internal systems. With a proxy, the URL's host is checked too.",
    )
    proxies: tuple[Network, ...] = Field(
        default=(),
        description="Networks in which proxies may be although they are private, such as 10.0.0.5/32. They"
        " are allowed for the proxy of an endpoint only, not for its url.",
    )
    ports: tuple[Port, ...] = Field(
        default=(),
        max_length=1000,
        description="The only ports to which requests may be sent, such as [443, 8443]. Empty: all ports. The"
        " port of a proxy itself does not count.",
    )
    unresolved: Literal["refuse", "proxy"] = Field(
        default="refuse",
        description="What happens with a proxy if the name of a receiver cannot be resolved here, as in"
        " networks where only the proxy resolves public names. refuse: nothing is sent. proxy: the proxy"
        " decides, so its own rules must refuse internal addresses. Names for private use, such as"
        " x.internal, are refused in any case.",
    )


class DedupeSettings(Section):
    """How long repetitions by a producer are recognized."""

    window_s: Seconds = Field(
        default=3600.0,
        ge=1,
        le=604_800,
        description="Seconds during which an event with the same id is dropped as a repetition. A start"
        " without a dedupe index reads this much of each partition again, so a long window makes it slower.",
    )
    max_keys: Whole = Field(
        default=1_000_000,
        ge=1000,
        le=100_000_000,
        description="Ids remembered per partition. Above it, the oldest are forgotten and their"
        " repetitions are delivered.",
    )


class HistorySettings(Section):
    """The history of attempts, in the topic <group>.attempts."""

    retention_s: Seconds = Field(
        default=604_800.0,
        ge=60,
        le=315_360_000,
        description="Seconds that the topic of the history keeps attempts, if the bridge creates it. The"
        " default is seven days. For an existing topic, change its retention.ms.",
    )
    bodies: Literal["all", "failures", "none"] = Field(
        default="all",
        description="Which requests the history keeps with their body and the beginning of the answer: all,"
        " only those that did not deliver (failures), or none. Without its body, a request can be found, but"
        " not be sent again as it was.",
    )
    max_body_bytes: Whole = Field(
        default=65_536,
        ge=0,
        le=1_048_576,
        description="Size of a request's body, in bytes, above which the history keeps its size and its"
        " SHA-256 instead.",
    )


class AdminTlsSettings(Section):
    """The certificate of the admin port."""

    cert_file: Path = Field(
        description="PEM file with the certificate and its chain. It is read again when it changes."
    )
    key_file: Path = Field(description="PEM file with the private key of cert_file.")
    key_password: SecretStr | None = Field(
        default=None, description="Password of key_file, if it is encrypted."
    )


class AdminSettings(Section):
    """The port for health checks and metrics."""

    host: Text = Field(
        default="127.0.0.1",
        description="Address to listen on. 127.0.0.1 accepts only this machine, 0.0.0.0 every network. The"
        " container image listens on 0.0.0.0 unless this is set, because probes come from outside.",
    )
    port: Whole = Field(
        default=8080, ge=0, le=65_535, description="Port to listen on; 0 selects any free port."
    )
    hosts: tuple[HostName, ...] = Field(
        default=(),
        max_length=100,
        description="Names by which clients reach this port, such as the name of a Kubernetes Service. A"
        " request that names another host is refused, because a web page could send it (DNS rebinding)."
        " IP addresses, localhost and the host name of the machine are always accepted.",
    )
    tls: AdminTlsSettings | None = Field(
        default=None, description="Serve the port over TLS, with this certificate."
    )


class LogSettings(Section):
    """What is written to standard output."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least important level that is written."
    )
    format: Literal["auto", "json", "console"] = Field(
        default="auto",
        description="json for machines, console for people; auto selects console on a terminal and json"
        " elsewhere.",
    )
    attempts: Literal["all", "failures"] = Field(
        default="all",
        description="Log every attempt (all), or only those that did not deliver (failures). Lines about"
        " deliveries are written in groups, at most 50 ms later.",
    )
