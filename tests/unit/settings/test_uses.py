"""A command stops only at mistakes in the settings that it uses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from bridge.errors import ConfigError
from bridge.settings import load_for, uses
from bridge.settings.load import read
from tests.support.settings_example import SECRET

KEY = "R0utingKeyR0utingKeyR0utingKey00"
CONFIG = """\
kafka:
  bootstrap_servers: ["k:9092"]
  security_protocol: SASL_SSL
  sasl: {mechanism: PLAIN, username: "${env:KAFKA_USER}", password: "${env:KAFKA_PASSWORD}"}
  group_instance_id: ${env:POD_NAME}
sources:
  orders: {topics: [orders], format: json, id: id, type: type}
  cards:
    topics: [cards]
    format: confluent
    id: id
    registry: {url: "${env:REGISTRY_URL}", username: "${env:REG_USER}", password: "${env:REG_PASSWORD}"}
endpoints:
  crm:
    url: ${env:CRM_URL}
    secrets: ["${env:CRM_SECRET}", "${file:crm.key}"]
    headers: {Authorization: "Bearer ${env:CRM_TOKEN}"}
    proxy: ${env:CRM_PROXY}
  pager: {url: "https://events.pagerduty.com/v2/enqueue", preset: pagerduty, routing_key: "${env:PAGER_KEY}"}
"""
KAFKA = {"KAFKA_USER": "ann", "KAFKA_PASSWORD": "pw-of-kafka"}
CRM = {
    "CRM_URL": "https://crm.example.com/x",
    "CRM_SECRET": SECRET,
    "CRM_TOKEN": "t0ken",
    "CRM_PROXY": "http://p:1",
}
REST = {
    "POD_NAME": "pod-1",
    "REGISTRY_URL": "https://r",
    "REG_USER": "reg-login",
    "REG_PASSWORD": "pw-of-reg",
    "PAGER_KEY": KEY,
}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "bridge.yaml"
    path.write_text(CONFIG)
    return path


def test_kafka_commands_need_the_login_of_kafka_and_no_other_secret(config: Path) -> None:
    settings = load_for(config, KAFKA, uses.KAFKA)
    assert settings.kafka.sasl is not None
    assert settings.kafka.sasl.password is not None
    assert settings.kafka.sasl.password.get_secret_value() == "pw-of-kafka"
    assert list(settings.endpoints) == ["crm", "pager"], "every endpoint keeps its name"
    assert settings.kafka.group_instance_id is None, "a command is no pod"


def test_a_missing_secret_that_is_used_is_an_error_that_lists_every_mistake(config: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        load_for(config, {}, uses.KAFKA)
    assert "KAFKA_PASSWORD" in str(raised.value)
    assert "CRM_SECRET" in str(raised.value)


def test_sending_to_an_endpoint_needs_its_secrets_alone(config: Path) -> None:
    (config.parent / "crm.key").write_text("whsec_" + "B" * 32)
    settings = load_for(config, CRM, uses.sending("crm"))
    assert len(settings.endpoints["crm"].signing_keys) == 2
    with pytest.raises(ConfigError, match="PAGER_KEY"):
        load_for(config, CRM, uses.sending("pager"))
    for name in CRM:
        with pytest.raises(ConfigError, match=name):
            load_for(config, {key: value for key, value in CRM.items() if key != name}, uses.sending("crm"))


@pytest.mark.parametrize("used", [uses.ROUTING, uses.reading("orders"), uses.showing("orders", "crm")])
def test_what_neither_sends_nor_asks_a_registry_needs_no_secret_of_them(
    config: Path, used: uses.Uses
) -> None:
    load_for(config, KAFKA, used)


def test_decoding_needs_the_login_of_a_registry(config: Path) -> None:
    with pytest.raises(ConfigError, match="REG_PASSWORD"):
        load_for(config, KAFKA, uses.reading("cards"))


def test_a_stand_in_is_never_the_value_of_a_setting_without_a_mistake(config: Path) -> None:
    (config.parent / "crm.key").write_text("whsec_" + "B" * 32)
    environ = KAFKA | CRM | REST
    whole = read(config, environ).settings
    assert whole is not None
    for name in (*CRM, *REST):
        if name.startswith("REG_"):
            continue  # half of a login is a mistake of the other half
        less = {key: value for key, value in environ.items() if key != name}
        partial = load_for(config, less, uses.KAFKA).model_dump()
        for path, value in _leaves(whole.model_dump()):
            other = _at(partial, path)
            if other != value:
                assert environ[name] in str(getattr(value, "get_secret_value", lambda v=value: v)()), path


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[tuple[Any, ...], Any]]:
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in _leaves(inner, (*path, key))]
    return [(path, value)] if not isinstance(value, list | tuple) else [
        leaf for at, inner in enumerate(value) for leaf in _leaves(inner, (*path, at))
    ]  # fmt: skip


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


@pytest.mark.parametrize(
    "change",
    [
        {"crm": {"concurrency": 0}},
        {"crm": {"url": "ftp://x"}},
        {"crm": {"unknown": 1}},
        {"crm": {"secrets": ["short"]}},
        {"crm": {"body": {"template_file": "absent.txt"}}},
        {"crm": {"when": "data."}},
        {"crm": {"rate": ["x"]}},
        {"crm": {"headers": {"Host": "x"}}},
        {"pager": {"routing_key": None}},
    ],
)
def test_a_mistake_in_an_endpoint_does_not_stop_switching_another(
    config: Path, change: dict[str, Any]
) -> None:
    (config.parent / "crm.key").write_text("whsec_" + "B" * 32)
    document = yaml.safe_load(CONFIG)
    for name, keys in change.items():
        document["endpoints"][name] |= keys
    config.write_text(yaml.safe_dump(document))
    environ = KAFKA | CRM | REST
    assert read(config, environ).settings is None, "it is a mistake"
    settings = load_for(config, environ, uses.KAFKA)
    assert list(settings.endpoints) == ["crm", "pager"]


def test_a_missing_schema_folder_does_not_stop_a_command_that_decodes_nothing(config: Path) -> None:
    text = CONFIG.replace(
        "sources:\n", "sources:\n  bank: {topics: [e], format: fineract, schemas: absent}\n"
    )
    config.write_text(text)
    assert "bank" in load_for(config, KAFKA, uses.KAFKA).sources
    with pytest.raises(ConfigError, match="absent"):
        load_for(config, KAFKA | REST, uses.reading("bank"))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("kafka: [", "bridge.yaml"),
        (CONFIG.replace("sources:", "sorces:"), "sorces"),
        (CONFIG.replace('["k:9092"]', "[]"), "bootstrap_servers"),
        (CONFIG + "group: ''\n", "group"),
    ],
)
def test_a_mistake_in_what_is_used_stops_every_command(config: Path, wrong: str, said: str) -> None:
    config.write_text(wrong)
    with pytest.raises(ConfigError, match=said):
        load_for(config, KAFKA | CRM | REST, uses.KAFKA)
