"""TLS files that the settings name: a failure names the setting, the reason and the remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.errors import ConfigError
from bridge.http.tls import load_configured_context
from bridge.settings import KafkaSettings, RegistrySettings
from bridge.wiring.kafka import build_kafka_options


def test_a_missing_file_is_a_config_error_that_names_the_setting(tmp_path: Path) -> None:
    settings = RegistrySettings(url="https://registry", ca_file=tmp_path / "away.pem")
    with pytest.raises(ConfigError) as caught:
        load_configured_context("sources.orders.registry", settings)
    (problem,) = caught.value.problems
    assert problem == (
        "sources.orders.registry: the TLS files cannot be loaded (No such file or directory);"
        " check ca_file, cert_file and key_file"
    )


def test_a_file_that_is_not_pem_is_a_config_error(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("not a certificate")
    settings = KafkaSettings.model_validate(
        {
            "bootstrap_servers": ["kafka:9093"],
            "security_protocol": "SSL",
            "tls": {"ca_file": str(tmp_path / "ca.pem")},
        }
    )
    with pytest.raises(ConfigError, match=r"^kafka\.tls: the TLS files cannot be loaded"):
        build_kafka_options(settings)
