"""Sources of every format: the YAML in the how-to pages is valid, and rules across keys are checked."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from bridge.cli import cli
from bridge.settings import ConfluentSource, check, load
from bridge.settings.models.registry import RegistrySettings
from tools import config_schema

PAGES = sorted((config_schema.ROOT / "docs" / "how-to" / "formats").glob("*.md"))
BLOCKS = [
    pytest.param(text, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, text in enumerate(re.findall(r"```yaml\n(.*?)```", page.read_text("utf-8"), re.DOTALL))
]
ENV = {"REGISTRY_KEY": "k", "APICURIO_TOKEN": "t"}
HEAD = "kafka: {bootstrap_servers: [k:9092]}\nendpoints: {crm: {url: https://crm.example.com/}}\n"
AVSC = '{"type": "record", "name": "shop.Paid", "fields": [{"name": "eventId", "type": "string"}]}'


def write(folder: Path, sources: str | dict[str, Any]) -> Path:
    text = sources if isinstance(sources, str) else yaml.safe_dump({"sources": sources})
    file = folder / "bridge.yaml"
    file.write_text(HEAD + text, "utf-8")
    (folder / "order-paid.avsc").write_text(AVSC, "utf-8")
    return file


def problems(folder: Path, **keys: Any) -> list[str]:
    lines = check(write(folder, {"orders": {"topics": ["orders"], **keys}}), {})
    return [line.partition(": ")[2] for line in lines]


@pytest.mark.parametrize("text", BLOCKS)
def test_the_sources_in_the_pages_pass_check(text: str, tmp_path: Path) -> None:
    (tmp_path / "registry").write_text("secret\n", "utf-8")
    file = write(tmp_path, text.replace("/run/secrets/registry", str(tmp_path / "registry")))
    result = CliRunner(env=ENV).invoke(cli, ["check", str(file)])
    assert result.exit_code == 0, result.output


def test_every_format_has_a_page() -> None:
    listed = (PAGES[0].parent / "README.md").read_text("utf-8")
    from bridge.settings.models.sources import SOURCE_MODELS

    for name in SOURCE_MODELS:
        assert f"| `{name}` |" in listed


def confluent(**registry: Any) -> dict[str, Any]:
    return {"format": "confluent", "id": "id", "registry": {"url": "https://r.example.com", **registry}}


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (confluent(url="ftp://r"), "registry.url \"ftp://r\": is not an http or https URL"),
        (confluent(url="https://u:p@r.example.com"), "registry.url: contains a user name or password"),
        (confluent(url="https://r.example.com/?a=1"), "has a query or a fragment"),
        (confluent(username="u"), "registry.username: is set without password; add password"),
        (confluent(password="p"), "registry.password: is set without username"),
        (confluent(username="u", password="p", token="t"), "registry.token: is set together with username"),
        (confluent(url="http://r", token="t"), "would send the password or token unencrypted"),
        (confluent(cert_file="order-paid.avsc"), "registry.cert_file: is set without key_file"),
        (confluent(ca_file="none.pem"), "there is no such file"),
        (confluent(api="apicurio"), "registry.api \"apicurio\": is Apicurio's own API"),
        (confluent(url="https://r/apis/registry/v3"), "use its /apis/ccompat/v7 as registry.url"),
        (confluent(tmeout_s=1), "did you mean \"timeout_s\"?"),
        ({"format": "confluent", "id": "id"}, "sources.orders.registry: is missing; add registry"),
        ({"format": "avro", "id": "id"}, "sources.orders.schema_file: is missing"),
        ({"format": "avro", "id": "id", "schema_file": "no.avsc"}, "there is no such file; correct the path"),
        ({"format": "modulith", "id": "record:ofset"}, "does not name a part of a record; write one of"),
        ({"format": "modulith", "id": "header:"}, "does not name a header; write header:NAME"),
        ({"format": "modulith"}, "sources.orders.id: is missing"),
        ({"format": "debezium", "registy": 1}, "registy"),
        ({"format": "debezum"}, "did you mean \"debezium\"?"),
        ({"format": "eventuate", "id": "x"}, "is not a key of a source with format eventuate"),
    ],
)  # fmt: skip
def test_a_mistake_is_reported_with_its_remedy(keys: dict[str, Any], message: str, tmp_path: Path) -> None:
    lines = problems(tmp_path, **keys)
    assert any(message in line for line in lines), lines
    assert "u:p@" not in str(lines)


def test_credentials_may_be_sent_unencrypted_to_an_address_in_egress_allow(tmp_path: Path) -> None:
    keys = {"topics": ["orders"], **confluent(url="http://10.0.0.1:8081", token="t")}
    file = write(tmp_path, yaml.safe_dump({"sources": {"orders": keys}, "egress": {"allow": ["10.0.0.0/8"]}}))
    assert check(file, {}) == []


def test_a_registry_token_can_come_from_the_environment_and_is_not_shown(tmp_path: Path) -> None:
    file = write(tmp_path, {"orders": {"topics": ["orders"], **confluent()}})
    settings = load(file, {"HOOKFERRY_SOURCES__ORDERS__REGISTRY__TOKEN": "t0ken"})
    assert "t0ken" not in repr(settings)
    source = settings.sources["orders"]
    assert isinstance(source, ConfluentSource)
    registry = source.registry
    assert registry.token is not None
    assert registry.token.get_secret_value() == "t0ken"


@pytest.mark.parametrize(
    ("url", "api"),
    [
        ("https://r/apis/registry/v3", "apicurio"),
        ("https://r/apis/ccompat/v7", "confluent"),
        ("https://r", "confluent"),
    ],
)
def test_the_url_determines_the_api(url: str, api: str) -> None:
    assert RegistrySettings(url=url).speaks == api


def test_check_reports_tls_files_that_cannot_be_loaded(tmp_path: Path) -> None:
    file = write(tmp_path, {"orders": {"topics": ["orders"], **confluent(ca_file="order-paid.avsc")}})
    result = CliRunner().invoke(cli, ["check", str(file)])
    assert result.exit_code == 2
    assert 'sources.orders.registry.ca_file "' in result.output
    assert 'order-paid.avsc": cannot be used (' in result.output


def test_check_reports_a_schema_file_that_is_not_json(tmp_path: Path) -> None:
    file = write(
        tmp_path, {"orders": {"topics": ["o"], "format": "avro", "id": "id", "schema_file": "x.avsc"}}
    )
    (tmp_path / "x.avsc").write_text('{"type": "record"', "utf-8")
    result = CliRunner().invoke(cli, ["check", str(file)])
    assert result.exit_code == 2
    assert "x.avsc:1:18: is not JSON" in result.output
