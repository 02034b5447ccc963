"""``hookferry render`` and ``send`` with every preset, to a simulated receiver on loopback."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bridge.cli import cli
from tests.support.receivers import SIMULATORS
from tests.support.receivers.__main__ import QUERIES
from tests.support.receivers.hooks import SECRET
from tests.support.receivers.served import served

KEY = "0123456789abcdef0123456789abcdef"
MORE = {"pagerduty": ", routing_key: '${env:KEY}'", "standard": ", secrets: ['${env:SECRET}']"}


def run(folder: Path, preset: str, origin: str, path: str, command: str) -> Any:
    file = folder / "bridge.yaml"
    file.write_text(
        "group: g\nkafka: {bootstrap_servers: ['k:9092']}\negress: {allow: [127.0.0.0/8]}\n"
        "sources: {bank: {topics: [b], format: json, id: id, type: type}}\n"
        f"endpoints: {{one: {{url: '{origin}{path}', preset: {preset}{MORE.get(preset, '')}}}}}\n"
    )
    arguments = [command, "-c", str(file), "-e", "one", "-s", "LoanApprovedBusinessEvent"]
    return CliRunner().invoke(cli, arguments, env={"KEY": KEY, "SECRET": SECRET, "HOOKFERRY_SHARED": None})


@pytest.mark.parametrize("preset", SIMULATORS)
def test_a_sample_is_rendered_and_sent(tmp_path, preset):
    simulator = SIMULATORS[preset]()
    with served(simulator) as origin:
        result = run(tmp_path, preset, origin, simulator.path + QUERIES.get(preset, ""), "send")
    assert result.exit_code == 0, result.output
    assert "verdict: delivered" in result.output
    assert len(simulator.shown) == 1
    assert KEY not in result.output


def test_send_judges_an_answer_like_the_endpoint(tmp_path):
    connector = SIMULATORS["teams-connector"]()
    connector.failing = 429
    with served(connector) as origin:
        result = run(tmp_path, "teams-connector", origin, connector.path, "send")
    assert result.exit_code == 1
    assert "verdict: again" in result.output
    assert "HTTP error 429" in result.output


def test_the_shown_request_does_not_contain_the_key(tmp_path):
    result = run(tmp_path, "pagerduty", "https://events.pagerduty.com", "/v2/enqueue", "render")
    assert result.exit_code == 0, result.output
    assert '{"routing_key":"***","event_action"' in result.output
    assert KEY not in result.output


def test_a_simulated_receiver_reports_that_its_port_is_in_use():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        result = subprocess.run(
            [sys.executable, "-m", "tests.support.receivers", "slack", "--port", port],
            capture_output=True, text=True, check=False, timeout=60, cwd=Path(__file__).parents[3],
        )  # fmt: skip
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith(f"cannot listen at port {port} (")
