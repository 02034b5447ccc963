"""Settings of the export of traces. Pure models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from bridge.settings.models.base import Seconds, Section, Text
from bridge.settings.models.values import header_name, header_value


def _header_value(value: SecretStr) -> SecretStr:
    header_value(value.get_secret_value())
    return value


class TracingSettings(Section):
    """Traces of the attempts, sent to a collector over OTLP. Needs the extra otel: hookferry[otel]."""

    endpoint: Text = Field(
        description="URL of the collector, with the path of traces: http://collector:4318/v1/traces. Private"
        " addresses are allowed here."
    )
    headers: dict[
        Annotated[str, AfterValidator(header_name)], Annotated[SecretStr, AfterValidator(_header_value)]
    ] = Field(
        default={},
        description="Headers of the requests to the collector, such as a login. Values are secret.",
    )
    ca_file: Path | None = Field(
        default=None,
        description="PEM file with the certificate authorities that signed the certificate of the collector."
        " Default: those of the package certifi.",
    )
    sample_ratio: Seconds = Field(
        default=1.0,
        ge=0,
        le=1,
        description="Share of the events whose attempts are recorded, from 0 to 1, if their record carries no"
        " traceparent. With one, it decides.",
    )
    service_name: Text = Field(default="hookferry", description="The service.name of the spans.")
    timeout_s: Seconds = Field(
        default=10.0, ge=0.1, le=120, description="Time for one request to the collector, in seconds."
    )
