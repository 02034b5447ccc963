"""Configuration: one YAML file, overridden by ``HOOKFERRY_…`` variables, read once and frozen.

``load`` returns ``Settings`` or raises ``ConfigError`` with every mistake. ``check`` returns the mistakes as
text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from bridge.errors import ConfigError
from bridge.settings.load import read, read_for, tree_of, written_in
from bridge.settings.models.endpoints import EndpointSettings
from bridge.settings.models.failures import RetrySettings
from bridge.settings.models.kafka import KafkaSettings, SaslSettings, TlsSettings
from bridge.settings.models.process import (
    AdminSettings,
    AdminTlsSettings,
    DedupeSettings,
    EgressSettings,
    HistorySettings,
    LogSettings,
)
from bridge.settings.models.registry import RegistrySettings
from bridge.settings.models.settings import Settings
from bridge.settings.models.sources import (
    ApicurioSource,
    AvroSource,
    CloudEventsSource,
    ConfluentSource,
    DebeziumSource,
    EventuateSource,
    FineractSource,
    JsonSource,
    ModulithSource,
    SourceSettings,
)
from bridge.settings.reading.env_source import CONFIG_VARIABLE
from bridge.settings.rules.service import Rule
from bridge.settings.uses import Uses

__all__ = [
    "CONFIG_VARIABLE",
    "AdminSettings",
    "AdminTlsSettings",
    "ApicurioSource",
    "AvroSource",
    "CloudEventsSource",
    "ConfluentSource",
    "DebeziumSource",
    "DedupeSettings",
    "EgressSettings",
    "EndpointSettings",
    "EventuateSource",
    "FineractSource",
    "HistorySettings",
    "JsonSource",
    "KafkaSettings",
    "LogSettings",
    "ModulithSource",
    "RegistrySettings",
    "RetrySettings",
    "SaslSettings",
    "Settings",
    "SourceSettings",
    "TlsSettings",
    "check",
    "load",
    "load_for",
    "tree_of",
    "written_in",
]


def load(path: str | Path, environ: Mapping[str, str]) -> Settings:
    """Read the settings from ``path`` and ``environ``; raises ``ConfigError`` with every mistake."""
    reading = read(path, environ)
    if reading.settings is None:
        raise ConfigError(reading.lines)
    return reading.settings


def load_for(path: str | Path, environ: Mapping[str, str], uses: Uses) -> Settings:
    """Read the settings for a command that uses only some of them (``bridge/settings/uses.py``).

    Raises ``ConfigError`` with every mistake if one of them is in what it uses.
    """
    settings, problems = read_for(path, environ, uses)
    if settings is None:
        raise ConfigError(problems)
    return settings


def check(path: str | Path, environ: Mapping[str, str], also: Iterable[Rule] = ()) -> list[str]:
    """List every mistake, one line each: ``file:line:column: path "value": cause; remedy``.

    ``also``: further rules, from packages that this one must not import (``bridge/preflight/files.py``).
    """
    return read(path, environ, also).lines
