"""The settings as a whole: ``Settings`` and its small groups. Pure models.

``Settings`` is a pydantic-settings class whose sources ``check`` lays over one another: what is
given at construction lowest, then the YAML file, then the environment. Made directly, as tests do,
it reads neither file nor environment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Literal

from pydantic import Field
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from bridge.settings.models.base import Group, Name, Network, Seconds, Section, Text, Whole
from bridge.settings.models.endpoints import EndpointSettings
from bridge.settings.models.kafka import KafkaSettings
from bridge.settings.models.sources import SourceSettings

ENV_PREFIX = "HOOKFERRY_"
ENV_DELIMITER = "__"

_layers: ContextVar[tuple[Mapping[str, Any], ...]] = ContextVar("settings_layers", default=())


class EgressSettings(Section):
    """Which addresses may be dialled."""

    allow: tuple[Network, ...] = Field(
        default=(),
        description="Networks that may be dialled although they are private, loopback or otherwise reserved,"
        " which is refused by default.",
    )


class DedupeSettings(Section):
    """How far back a producer's repetition is recognised."""

    window_s: Seconds = Field(
        default=3600.0,
        ge=1,
        le=604_800,
        description="A repeated id within this time is dropped. On start this much is read again.",
    )
    max_keys: Whole = Field(
        default=1_000_000,
        ge=1000,
        le=100_000_000,
        description="Ids remembered at most per partition; beyond it the oldest are forgotten.",
    )


class HistorySettings(Section):
    """The record of attempts each pod keeps."""

    retention_s: Seconds = Field(
        default=604_800.0, ge=60, le=31_536_000, description="How long attempts are kept."
    )
    max_bytes: Whole = Field(
        default=1_073_741_824,
        ge=1_048_576,
        le=1_099_511_627_776,
        description="Size of the history on disk at which the oldest attempts are dropped.",
    )
    bodies: bool = Field(
        default=True,
        description="Whether request bodies are kept, so that a request can be looked at and sent again.",
    )


class AdminSettings(Section):
    """The port for health and metrics."""

    host: Text = Field(
        default="0.0.0.0",  # noqa: S104 - probes come from outside the pod
        description="Address to listen on; 127.0.0.1 for this machine only.",
    )
    port: Whole = Field(default=8080, ge=0, le=65_535, description="Port to listen on; 0 takes any free one.")


class LogSettings(Section):
    """What is written to standard output."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least important level shown."
    )
    format: Literal["auto", "json", "console"] = Field(
        default="auto",
        description="json for machines, console for people; auto looks whether a terminal is there.",
    )
    attempts: Literal["all", "failures"] = Field(
        default="all",
        description="Whether every attempt is logged or only those that did not deliver. Lines about "
        "deliveries are written in groups, at most 50 ms later.",
    )


class Layer(PydanticBaseSettingsSource):
    """One settings source whose values have been read already."""

    def __init__(self, settings_cls: type[BaseSettings], values: Mapping[str, Any]) -> None:
        super().__init__(settings_cls)
        self._values = dict(values)

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return the value of one field, its name, and that it needs no decoding."""
        return self._values.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        """All values of this source, known keys or not: unknown ones are mistakes to report."""
        return self._values


class Settings(BaseSettings):
    """Everything Hookferry can be told."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        env_prefix=ENV_PREFIX,
        env_nested_delimiter=ENV_DELIMITER,
    )

    group: Group = Field(
        default="hookferry",
        description="Consumer group of all pods. An endpoint's place is committed as <group>.<endpoint>, "
        "parked events go to <group>.parked, redriven ones to "
        "<group>.again. Change it and every endpoint begins anew.",
    )
    kafka: KafkaSettings = Field(description="The brokers and how to reach them.")
    sources: dict[Name, SourceSettings] = Field(
        min_length=1, description="The topics to read, by a name of your choice."
    )
    endpoints: dict[Name, EndpointSettings] = Field(
        min_length=1,
        description="The receivers, by a name of your choice; it shows in metrics and group ids.",
    )
    egress: EgressSettings = Field(
        default_factory=EgressSettings, description="Which addresses may be dialled."
    )
    dedupe: DedupeSettings = Field(
        default_factory=DedupeSettings, description="How far back a producer's repetition is recognised."
    )
    history: HistorySettings = Field(
        default_factory=HistorySettings, description="The record of attempts each pod keeps."
    )
    commit_interval_s: Seconds = Field(
        default=0.2,
        ge=0.01,
        le=60,
        description="Time between two commits; a kill may repeat what was delivered since the last.",
    )
    drain_timeout_s: Seconds = Field(
        default=20.0,
        ge=0.1,
        le=600,
        description="Time for requests in flight to finish at shutdown and when partitions move.",
    )
    state_dir: Path = Field(
        default=Path("state"),
        description="Folder for what a process keeps on disk, its own alone; from the working directory.",
    )
    admin: AdminSettings = Field(
        default_factory=AdminSettings, description="The port for health and metrics."
    )
    log: LogSettings = Field(default_factory=LogSettings, description="What is written to standard output.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        *_args: Any,
        **_others: Any,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Name the layers laid by ``layered``, strongest first, then what the constructor was given."""
        return (*(Layer(settings_cls, values) for values in _layers.get()), init_settings)


@contextmanager
def layered(*layers: Mapping[str, Any]) -> Iterator[None]:
    """Within it, a ``Settings`` made takes its values from these layers too, strongest first."""
    token = _layers.set(layers)
    try:
        yield
    finally:
        _layers.reset(token)
