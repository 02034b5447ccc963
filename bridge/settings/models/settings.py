"""``Settings``: all groups together, and where their values come from. Pure models.

``Settings`` is a pydantic-settings class. Its sources, from weakest to strongest: constructor arguments, the
YAML file, the environment. Created directly, as tests do, it reads neither file nor environment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from bridge.settings.models.base import (
    Group,
    Name,
    Seconds,
)
from bridge.settings.models.console import ConsoleSettings
from bridge.settings.models.endpoints import EndpointSettings
from bridge.settings.models.kafka import KafkaSettings
from bridge.settings.models.process import (
    AdminSettings,
    DedupeSettings,
    EgressSettings,
    HistorySettings,
    LogSettings,
)
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
