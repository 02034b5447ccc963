"""No command needs a secret that it does not use: on a machine without any, it gets as far as the brokers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bridge.cli import cli
from bridge.core.signing import StandardSigner
from bridge.core.signing.key_text import standard_key
from bridge.errors import ConfigError, KafkaUnavailable
from tests.support.ports import free_port
from tests.support.settings_example import SECRET

CONFIG = """\
kafka: {{bootstrap_servers: ["127.0.0.1:{port}"], group_instance_id: "${{env:POD_NAME}}"}}
sources:
  orders: {{topics: [orders], format: json, id: id, type: type}}
  cards:
    topics: [cards]
    format: confluent
    id: id
    registry: {{url: "https://r.example", username: u, password: "${{env:REG_PASSWORD}}", key_file: gone.pem,
               cert_file: gone.pem}}
  bank: {{topics: [bank], format: fineract, schemas: gone}}
endpoints:
  crm: {{url: "${{env:CRM_URL}}", secrets: ["${{env:CRM_SECRET}}"], sources: [orders]}}
  erp: {{url: "https://erp.example/", headers: {{Authorization: "${{file:erp.token}}"}}, sources: [orders]}}
  open: {{url: "https://open.example/", sources: [orders]}}
"""


@pytest.fixture
def config(tmp_path: Path) -> str:
    file = tmp_path / "bridge.yaml"
    file.write_text(CONFIG.format(port=free_port()))
    (tmp_path / "event.json").write_text(json.dumps({"type": "OrderPaid", "source": "orders", "data": {}}))
    return str(file)


def run(config: str, command: str, env: dict[str, str] | None = None) -> Result:
    words = command.replace("EVENT", str(Path(config).parent / "event.json")).split()
    return CliRunner().invoke(cli, [*words, "-c", config], env=env or {})


@pytest.mark.parametrize(
    "command",
    [
        "endpoints list", "endpoints on crm", "endpoints off crm", "events list",
        "events off OrderPaid --yes", "events on OrderPaid", "cursors list", "cursors prune --yes",
        "parked list", "parked show 0:1",
        "parked redrive -e crm --yes", "parked discard -e crm --reason x --yes", "status",
        "inspect --topic orders", "route EVENT --live", "history", "history show 3:1042:17",
        "resend 3:1042:17", "resend -e crm --yes", "jobs list", "jobs pause x", "jobs cancel x --yes",
        "listen -e crm",
    ],
)  # fmt: skip
def test_a_command_that_asks_only_kafka_needs_no_other_secret(config: str, command: str) -> None:
    result = run(config, command)
    assert isinstance(result.exception, KafkaUnavailable), f"{result.output}{result.exception!r}"


def test_routing_a_sample_needs_no_secret(config: str) -> None:
    result = run(config, "route EVENT")
    assert (result.exit_code, result.output.count("gets it")) == (0, 3)


def test_rendering_needs_the_secrets_of_its_endpoint_and_no_other(config: str) -> None:
    assert run(config, "render -e open -s OrderPaid").exit_code == 0
    missing = run(config, "render -e crm -s OrderPaid")
    assert isinstance(missing.exception, ConfigError)
    assert "CRM_SECRET" in str(missing.exception)
    env = {"CRM_URL": "https://crm.example/T0KEN", "CRM_SECRET": SECRET}
    assert run(config, "render -e crm -s OrderPaid", env).exit_code == 0


def test_signing_commands_need_the_keys_and_no_other_secret(config: str) -> None:
    for command in ("keys list", "keys jwks", "keys rotate crm"):
        missing = run(config, command)
        assert isinstance(missing.exception, ConfigError)
        assert "CRM_SECRET" in str(missing.exception)
        assert run(config, command, {"CRM_SECRET": SECRET}).exit_code == 0


def test_one_endpoint_is_verified_without_the_keys_of_the_others(config: str) -> None:
    text = Path(config).read_text()
    Path(config).write_text(text + '  old: {url: "https://o.example/", secrets: ["${env:OLD_SECRET}"]}\n')
    headers = StandardSigner([standard_key(SECRET)]).headers("evt_1", 1_800_000_000, b"{}")
    capture = Path(config).parent / "request.http"
    capture.write_bytes(b"".join(b"%b: %b\r\n" % header for header in headers) + b"\r\n{}")
    command = f"verify {capture} -e crm --at 2027-01-15T08:00:00Z"
    verified = run(config, command, {"CRM_SECRET": SECRET})
    assert (verified.exit_code, verified.stdout.splitlines()[-1]) == (0, "verified")
    assert "CRM_SECRET" in str(run(config, command).exception)


def test_a_misspelt_endpoint_is_answered_with_the_nearest(config: str) -> None:
    capture = Path(config).parent / "request.http"
    capture.write_bytes(b"webhook-id: evt_1\r\n\r\n{}")
    for command in ("keys rotate crn", f"verify {capture} -e crn"):
        refused = run(config, command, {"CRM_SECRET": SECRET})
        assert isinstance(refused.exception, ConfigError)
        assert 'has no endpoint "crn"; did you mean "crm"?' in str(refused.exception)


def test_run_and_check_need_all_of_them(config: str) -> None:
    for command in ("run", "check"):
        result = run(config, command)
        told = result.output + str(result.exception)
        for name in ("POD_NAME", "REG_PASSWORD", "CRM_URL", "CRM_SECRET", "erp.token"):
            assert name in told
