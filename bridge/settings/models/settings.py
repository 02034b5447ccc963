"""``Settings`` and its small groups. Pure models.

``Settings`` is a pydantic-settings class. Its sources, from weakest to strongest: constructor arguments, the
YAML file, the environment. Created directly, as tests do, it reads neither file nor environment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from bridge.settings.models.base import (
    Group,
    HostName,
    Name,
    Network,
    Port,
    Seconds,
    Section,
    Text,
    Whole,
)
from bridge.settings.models.console import ConsoleSettings
from bridge.settings.models.endpoints import EndpointSettings
from bridge.settings.models.kafka import KafkaSettings
from bridge.settings.models.sources import SourceSettings
from bridge.settings.models.tracing import TracingSettings
from bridge.settings.models.values import memory_size

MemorySize = Annotated[str, AfterValidator(memory_size)]
ReloadMode = Annotated[
    Literal["watch", "signal", "off"],
    BeforeValidator(lambda mode: "off" if mode is False else mode),  # YAML reads a bare off as false
]
ENV_PREFIX = "HOOKFERRY_"
ENV_DELIMITER = "__"

_layers: ContextVar[tuple[Mapping[str, Any], ...]] = ContextVar("settings_layers", default=())


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


class Layer(PydanticBaseSettingsSource):
    """A settings source whose values were read before."""

    def __init__(self, settings_cls: type[BaseSettings], values: Mapping[str, Any]) -> None:
        super().__init__(settings_cls)
        self._values = dict(values)

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return the value of one field, its name, and that it needs no decoding."""
        return self._values.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return all values of this source, including unknown keys, which validation reports."""
        return self._values


class Settings(BaseSettings):
    """All settings of Hookferry."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        env_prefix=ENV_PREFIX,
        env_nested_delimiter=ENV_DELIMITER,
    )

    group: Group = Field(
        default="hookferry",
        description="Consumer group of all pods. The position of an endpoint is committed as"
        " <group>.<endpoint>; parked events are written to <group>.parked, redriven events to"
        " <group>.again, and attempts to <group>.attempts. After a change every endpoint begins again, as a"
        " new one does.",
    )
    kafka: KafkaSettings = Field(description="The brokers and how to connect to them.")
    sources: dict[Name, SourceSettings] = Field(
        min_length=1, description="The topics to read, by names of your choice."
    )
    endpoints: dict[Name, EndpointSettings] = Field(
        min_length=1,
        description="The receivers, by names of your choice. A name appears in metrics and in the names"
        " of consumer groups; a renamed endpoint begins again, as a new one does.",
    )
    egress: EgressSettings = Field(
        default_factory=EgressSettings, description="Addresses to which requests may be sent."
    )
    dedupe: DedupeSettings = Field(
        default_factory=DedupeSettings, description="How long repetitions by a producer are recognized."
    )
    history: HistorySettings = Field(
        default_factory=HistorySettings, description="The history of attempts, in the topic <group>.attempts."
    )
    park_oversize: Literal["wait", "stub"] = Field(
        default="wait",
        description="What happens to an event that must be parked and is larger than <group>.parked accepts,"
        " although it is compressed. wait: its offset waits until the limit of the topic is raised; the log"
        " has the command. stub: its place, size, SHA-256, key, headers and first bytes are parked. A stub"
        " can be redriven while its record is in the source topic.",
    )
    commit_interval_s: Seconds = Field(
        default=0.2,
        ge=0.01,
        le=60,
        description="Seconds between two commits. A killed process that also loses its journal"
        " (state_dir) repeats what it delivered since the last commit. Each commit takes at most as many"
        " endpoints as 50 requests per second allow; those that changed first come first.",
    )
    drain_timeout_s: Seconds = Field(
        default=20.0,
        ge=0.1,
        le=600,
        description="Seconds that requests in flight have to finish at shutdown and when partitions move."
        " Those that do not finish are sent again by the next owner.",
    )
    memory_budget: MemorySize = Field(
        default="70%",
        description="Memory that the process may use, at rest and for the events that wait: a percentage of"
        " the memory limit of its container (of the machine without one), or a size such as 300MiB. When an"
        " endpoint has used its share, its events wait in Kafka. Endpoints that deliver nothing have the"
        " smallest shares. The rest is for what the budget does not count, so leave at least a quarter.",
    )
    state_dir: Path = Field(
        default=Path("state"),
        description="Folder for the files of one process: dedupe index and journal. Two"
        " processes must not share it. A relative path begins at the working directory.",
    )
    admin: AdminSettings = Field(
        default_factory=AdminSettings, description="The port for health checks and metrics."
    )
    console: ConsoleSettings = Field(
        default_factory=ConsoleSettings,
        description="The console: API and pages over what the topics contain (`hookferry console`).",
    )
    log: LogSettings = Field(default_factory=LogSettings, description="What is written to standard output.")
    reload: ReloadMode = Field(
        default="watch",
        description="When a changed configuration is taken over without a restart. watch: when this file, or"
        " a file that it names, has changed; also on SIGHUP and hookferry reload. signal: only on these two."
        " off: never. See docs/how-to/reload.md.",
    )
    tracing: TracingSettings | None = Field(
        default=None,
        description="Continue the trace of a record (traceparent) in its requests, and send a span per"
        " attempt to a collector. Without it, requests have no traceparent.",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        *_args: Any,
        **_others: Any,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the layers of ``layered``, strongest first, then the constructor arguments."""
        return (*(Layer(settings_cls, values) for values in _layers.get()), init_settings)


@contextmanager
def layered(*layers: Mapping[str, Any]) -> Iterator[None]:
    """Let every ``Settings`` created inside take its values from these layers too, strongest first."""
    token = _layers.set(layers)
    try:
        yield
    finally:
        _layers.reset(token)
