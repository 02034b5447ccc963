"""``hookferry render`` and ``send``: the request as sent, with secrets masked, and the result."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from standardwebhooks.webhooks import Webhook

from bridge.cli import cli
from bridge.errors import ConfigError
from tests.support.cli import ROOT, hookferry
from tests.support.receiver import Receiver
from tests.support.settings_example import SECRET

CONFIG = """\
kafka: {{bootstrap_servers: [localhost:9]}}
sources: {{shop: {{format: json, topics: [o], id: id, type: type}}}}
egress: {{allow: [{allow}]}}
endpoints:
  crm:
    url: {url}/services/T0K3NT0K3N/{{{{ entity }}}}?sig=S1GS1G
    method: PATCH
    events: ["order.*"]
    secrets: [{secret}]
    headers: {{Authorization: Bearer abcdef123456, X-Id: "K3YK3Y-{{{{ data.id }}}}"}}
    body:
      template: '{{"text": "{{{{ type }}}} {{{{ data.amount }}}}"}}'
  plain:
    url: {url}/T0K3NT0K3N
    method: DELETE
    body: none
"""


@pytest.fixture
def config(tmp_path: Path, receiver: Receiver) -> Path:
    path = tmp_path / "bridge.yaml"
    path.write_text(CONFIG.format(url=receiver.url(""), allow="127.0.0.0/8", secret=SECRET))
    return path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, [*arguments])


def test_the_request_is_shown_as_sent_with_secrets_masked(config: Path, receiver: Receiver) -> None:
    result = run("render", "-c", str(config), "-e", "crm", "-s", "order.paid")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == f"PATCH http://127.0.0.1:{receiver.port}/***/***/1001?***=***"
    assert lines[-2:] == ["", '{"text": "order.paid 150000.00"}']
    headers = dict(line.split(": ", 1) for line in lines[1:-2])
    assert list(headers) == [
        "content-type", "X-Id", "webhook-id", "webhook-timestamp", "webhook-signature", "Authorization",
    ]  # fmt: skip
    assert (headers["X-Id"], headers["Authorization"]) == ("***", "***")
    Webhook(SECRET).verify(lines[-1], headers)
    assert not any(secret in result.output for secret in ("T0K3N", "S1G", "K3Y", "abcdef"))


def test_show_secrets_shows_the_secrets(config: Path, receiver: Receiver) -> None:
    result = run("render", "-c", str(config), "-e", "crm", "-s", "order.paid", "--show-secrets", "--pretty")
    assert f"PATCH http://127.0.0.1:{receiver.port}/services/T0K3NT0K3N/1001?sig=S1GS1G\n" in result.stdout
    assert "X-Id: K3YK3Y-1001\n" in result.stdout
    assert "Authorization: Bearer abcdef123456\n" in result.stdout
    assert result.stdout.endswith('{\n  "text": "order.paid 150000.00"\n}\n')


def test_a_request_without_a_body_ends_after_its_headers(config: Path, receiver: Receiver) -> None:
    result = run("render", "-c", str(config), "-e", "plain", "-s", "order.paid")
    assert result.stdout.startswith(f"DELETE http://127.0.0.1:{receiver.port}/***\nwebhook-id: ")
    assert result.stdout.endswith("\n\n\n")


def test_a_type_that_the_endpoint_does_not_select_is_rendered_with_a_note(config: Path) -> None:
    result = run("render", "-c", str(config), "-e", "crm", "-s", "stock.moved")
    assert result.exit_code == 0
    assert "note: crm gets no events of type stock.moved" in result.stderr


def test_an_unknown_fineract_type_is_an_error_with_the_most_similar_one(tmp_path: Path) -> None:
    schemas = ROOT / "bridge" / "demo" / "schemas"
    path = tmp_path / "bank.yaml"
    path.write_text(f"""\
kafka: {{bootstrap_servers: ["127.0.0.1:1"]}}
sources: {{bank: {{topics: [external-events], format: fineract, schemas: "{schemas}"}}}}
endpoints: {{crm: {{url: "https://crm.example/hooks"}}}}
""")
    result = run("render", "-c", str(path), "-e", "crm", "-s", "LoanAprovedBusinessEvent")
    assert isinstance(result.exception, ConfigError)
    assert 'did you mean "LoanApprovedBusinessEvent"?' in str(result.exception)
    result = run("render", "-c", str(path), "-e", "crm", "-s", "LoanApprovedBusinessEvent")
    assert "did you mean" not in result.stderr


def test_a_sample_can_come_from_a_file(config: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    file.write_text('{"type": "order.paid", "entity": "a/b", "data": {"id": 1, "amount": "5\\"0"}}')
    result = run("render", "-c", str(config), "-e", "crm", "-s", str(file))
    assert "/***/***/a%2Fb?***=***" in result.stdout
    assert result.stdout.endswith('{"text": "order.paid 5\\"0"}\n')


def process(*arguments: str) -> subprocess.CompletedProcess[str]:
    done = hookferry(*arguments)
    assert "Traceback" not in done.stderr
    return done


def test_an_event_that_cannot_be_rendered_exits_with_1_and_a_mistake_with_2(
    config: Path, tmp_path: Path
) -> None:
    file = tmp_path / "mine.json"
    file.write_text('{"type": "order.paid", "entity": "..", "data": {}}')
    for command in ("render", "send"):
        done = process(command, "-c", str(config), "-e", "crm", "-s", str(file))
        assert done.returncode == 1
        assert done.stderr == 'hookferry: the body\'s template, line 1: there is no "amount"\n'
        for arguments, said in (
            (("-e", "crn", "-s", "order.paid"), f'{config} has no endpoint "crn"; did you mean "crm"?'),
            (("-e", "crm", "-s", "a b"), "'a b' is not an event type"),
            (("-e", "crm", "-s", "none.json"), "none.json: cannot be read"),
        ):
            done = process(command, "-c", str(config), *arguments)
            assert done.returncode == 2
            assert done.stderr.startswith(said)


def test_a_sample_is_sent_signed_and_the_verdict_is_printed(config: Path, receiver: Receiver) -> None:
    done = process("send", "-c", str(config), "-e", "crm", "-s", "order.paid")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("PATCH http://127.0.0.1:")
    assert '{"text": "order.paid 150000.00"}' in lines, "the request is shown with its body"
    assert lines.index('{"text": "order.paid 150000.00"}') < lines.index("status 200")
    assert lines[-2] == "verdict: delivered"
    assert re.fullmatch(r"took:    [0-9]+ ms", lines[-1])
    (one,) = receiver.records("/services/T0K3NT0K3N/1001?sig=S1GS1G")
    assert (one["method"], one["body"]) == ("PATCH", '{"text": "order.paid 150000.00"}')
    assert one["headers"]["authorization"] == "Bearer abcdef123456"
    assert one["headers"]["x-id"] == "K3YK3Y-1001"
    Webhook(SECRET).verify(one["body"], one["headers"])
    process("send", "-c", str(config), "-e", "crm", "-s", "order.paid")
    ids = {row["webhook_id"] for row in receiver.records("/services/T0K3NT0K3N/1001?sig=S1GS1G")}
    assert len(ids) == 2, "a receiver that drops what it has seen would drop the second one"


def test_a_refusal_exits_with_1_and_prints_the_reason_without_secrets(
    config: Path, receiver: Receiver
) -> None:
    path = "/services/T0K3NT0K3N/1001?sig=S1GS1G"
    receiver.control(path, status=400, body="no hook at /services/T0K3NT0K3N/1001")
    done = process("send", "-c", str(config), "-e", "crm", "-s", "order.paid")
    assert done.returncode == 1
    verdict, reason, took = done.stdout.splitlines()[-3:]
    assert verdict == "verdict: park"
    assert reason.startswith("reason:  status 400")
    assert took.startswith("took:    ")
    assert "T0K3N" not in done.stdout


def test_no_answer_exits_with_1(config: Path) -> None:
    config.write_text(
        config.read_text().replace("127.0.0.0/8", "10.0.0.0/8").replace("127.0.0.1", "localhost")
    )
    done = process("send", "-c", str(config), "-e", "crm", "-s", "order.paid")
    assert done.returncode == 1
    assert "no answer: refused_address" in done.stdout
    assert "verdict: again" in done.stdout.splitlines()
    assert "egress.allow" in done.stdout


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_internal_address_is_not_reached_through_a_proxy_either(
    config: Path, receiver: Receiver, scheme: str
) -> None:
    """Neither as a literal, which is a mistake in the settings, nor as a name."""
    written = config.read_text().replace("127.0.0.0/8", "").replace(receiver.url(""), f"{scheme}://TARGET")
    proxied = "allow_http: true\n    proxy: " + receiver.url("").replace("127.0.0.1", "localhost")
    written = written.replace("egress: {", "egress: {proxies: [127.0.0.0/8, '::1/128'], ")
    written = written.replace("method:", f"{proxied}\n    method:")
    for host, status, said in (
        ("2852039166", 2, "has the address 169.254.169.254, to which nothing is sent (link-local"),
        ("localhost", 1, "refused_address: localhost has the address"),
    ):
        config.write_text(written.replace("TARGET", f"{host}:{receiver.port}"))
        done = process("send", "-c", str(config), "-e", "crm", "-s", "order.paid")
        assert done.returncode == status, done.stdout + done.stderr
        assert said in done.stdout + done.stderr
        assert "egress.allow" in done.stdout + done.stderr
    assert receiver.records("/services/T0K3NT0K3N/1001?sig=S1GS1G") == []


def test_an_endpoint_with_batches_gets_a_compressed_batch_of_the_sample(
    config: Path, receiver: Receiver
) -> None:
    """The signature is that of the bytes as sent, and the body is shown as it can be read."""
    text = config.read_text().replace(
        "  plain:", "  many:\n    url: {}\n    batch: {{}}\n    secrets: [{}]\n    compress: gzip\n"
        "    compress_above_bytes: 0\n  plain:".format(receiver.url("/many"), SECRET)
    )  # fmt: skip
    config.write_text(text)
    shown = run("render", "-c", str(config), "-e", "many", "-s", "order.paid")
    assert shown.exit_code == 0, shown.output
    assert "content-encoding: gzip" in shown.stdout
    assert shown.stdout.splitlines()[-1].startswith('[{"webhook_id":"')
    result = run("send", "-c", str(config), "-e", "many", "-s", "order.paid")
    assert result.exit_code == 0, result.output
    assert receiver.count("/many")["accepted"] == 1
