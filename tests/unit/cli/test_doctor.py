"""``hookferry doctor`` tries what it can although a part is broken, and its exit code says what failed."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bridge.cli import cli
from tests.support.ports import free_port
from tests.support.settings_example import SECRET


def doctor(folder: Path, endpoints: str, *more: str, env: dict[str, str] | None = None) -> Result:
    file = folder / "bridge.yaml"
    file.write_text(f"""\
kafka: {{bootstrap_servers: ["127.0.0.1:{free_port()}"]}}
sources: {{orders: {{topics: [orders], format: json, id: id, type: type}}}}
egress: {{allow: [127.0.0.0/8]}}
endpoints: {endpoints}
""")
    return CliRunner().invoke(cli, ["doctor", str(file), *more], env=env or {})


def findings(result: Result) -> dict[str, list[tuple[str, str]]]:
    document = json.loads(result.stdout)
    found: dict[str, list[tuple[str, str]]] = {}
    for one in document["findings"]:
        found.setdefault(one["part"], []).append((one["level"], one["text"]))
    return found


def test_a_broker_that_is_down_fails_and_the_receivers_are_tried_all_the_same(tmp_path: Path) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        result = doctor(tmp_path, f'{{crm: {{url: "{url}"}}}}', "-o", "json")
    assert result.exit_code == 1, result.output
    found = findings(result)
    assert found["configuration"][0][0] == "ok"
    assert found["brokers"][0][0] == "error"
    assert found["endpoint crm"] == [("ok", f"{url.removeprefix('http://').rstrip('/')} accepts connections")]


def test_a_missing_secret_is_named_and_the_rest_is_tried(tmp_path: Path) -> None:
    endpoints = f'{{crm: {{url: "http://127.0.0.1:{free_port()}/", secrets: ["${{env:CRM_SECRET}}"]}}}}'
    result = doctor(tmp_path, endpoints, "-o", "json")
    assert result.exit_code == 2, "the configuration has a mistake"
    found = findings(result)
    ((level, text),) = found["secrets"]
    assert (level, "CRM_SECRET is not set" in text) == ("error", True)
    assert found["endpoint crm"][0][0] == "error"
    assert "cannot connect" in found["endpoint crm"][0][1]


def test_the_table_has_a_line_per_finding_with_its_remedy(tmp_path: Path) -> None:
    result = doctor(tmp_path, f'{{crm: {{url: "http://127.0.0.1:{free_port()}/"}}}}')
    lines = result.stdout.splitlines()
    assert lines[0].startswith("ok       configuration: ")
    assert lines[-1] == "2 things to repair"
    assert any(line.startswith("error    brokers: ") for line in lines)


def test_check_online_asks_brokers_and_receivers_too(tmp_path: Path) -> None:
    doctor(tmp_path, f'{{crm: {{url: "http://127.0.0.1:{free_port()}/"}}}}')
    file = str(tmp_path / "bridge.yaml")
    result = CliRunner().invoke(cli, ["check", file, "--online"])
    assert result.exit_code == 1
    assert "error    brokers: " in result.stdout
    assert "error    endpoint crm: " in result.stdout
    assert (
        len(json.loads(CliRunner().invoke(cli, ["check", file, "--online", "--json"]).stdout)["online"]) >= 2
    )


def test_no_stand_in_for_a_missing_secret_is_sent_to_a_token_server(tmp_path: Path) -> None:
    with socket.socket() as receiver, socket.socket() as tokens:
        for server in (receiver, tokens):
            server.bind(("127.0.0.1", 0))
            server.listen()
        tokens.setblocking(False)
        place = f"http://127.0.0.1:{tokens.getsockname()[1]}/token"
        login = f'{{oauth2: {{token_url: "{place}", client_id: c, client_secret: "${{env:CRM_SECRET}}"}}}}'
        url = f"http://127.0.0.1:{receiver.getsockname()[1]}/"
        result = doctor(tmp_path, f'{{crm: {{url: "{url}", auth: {login}}}}}', "-o", "json")
        with pytest.raises(BlockingIOError):
            tokens.accept()
    found = findings(result)
    assert "CRM_SECRET is not set" in found["secrets"][0][1]
    assert [level for level, _ in found["endpoint crm"]] == ["ok"], "the connection is tried all the same"


def test_a_key_that_is_missing_is_not_shown_as_the_key_that_signs(tmp_path: Path) -> None:
    endpoints = f'{{crm: {{url: "http://127.0.0.1:{free_port()}/", secrets: ["${{env:CRM_SECRET}}"]}}}}'
    assert "signed with" not in doctor(tmp_path, endpoints).stdout
    assert "signed with 1 key" in doctor(tmp_path, endpoints, env={"CRM_SECRET": SECRET}).stdout
