"""What commands print contains no secret: messages of `check`, tracebacks, answers of receivers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support.canaries import find_canaries
from tests.support.cli import ROOT, hookferry
from tests.support.receiver import Receiver

CANARY = "canary_7f3a95c1e28d4b6"
ENVIRONMENT = {"SECRET": CANARY, "DASHED": f"type-{CANARY}", "QUOTED": f'{CANARY}"'}
CONFIG = """\
kafka: {{bootstrap_servers: [localhost:9]}}
sources:
  shop: {{format: json, topics: [o], id: id, type: type}}
  {source}
egress: {{allow: [127.0.0.0/8]}}
endpoints:
  crm:
    url: {url}
    {endpoint}
"""
REGISTRY = "reg: {{format: confluent, topics: [r], id: id, type: type, registry: {{url: '{}'}}}}"


def written(
    tmp_path: Path, *command: str, source: str = "", endpoint: str = "", url: str = "https://crm.test/hooks"
) -> str:
    """Return the output of a command with a configuration, errors included."""
    file = tmp_path / "bridge.yaml"
    file.write_text(CONFIG.format(source=source, endpoint=endpoint, url=url))
    done = hookferry(*command, "-c", str(file), env=ENVIRONMENT)
    output = done.stdout + done.stderr
    assert not find_canaries(output.encode(), [CANARY]), output
    return output


@pytest.mark.parametrize("url", [
    f"http://reg.test:8081/api?key={CANARY}", "http://reg.test:8081/api?key=${env:SECRET}",
    f"ftp://reg.test/api?key={CANARY}", f"http://user:{CANARY}@reg.test", f"http://reg.test/#{CANARY}",
])  # fmt: skip
def test_check_does_not_show_the_query_or_the_login_of_a_registry(tmp_path: Path, url: str) -> None:
    assert "registry.url" in written(tmp_path, "check", source=REGISTRY.format(url))


@pytest.mark.parametrize("endpoint", [
    'headers: {X-Key: "{{ ${env:DASHED} }}"}',
        'headers: {X-Key: "{{ ${env:SECRET} }}"}',
    'headers: {X-Key: "{{ data.${env:SECRET} | ${env:SECRET} }}"}',
    'headers: {X-Key: "{{ \'${env:QUOTED}\' + 1 }}"}',
    "body: {template: '{\"key\": {{ ${env:SECRET} }}}'}",
    "body: {template: '{\"key\": \"{{ map(\"${env:SECRET}\").x }}\"}'}",
    'when: data.key == ${env:SECRET}',
    'when: data.key in ["${env:SECRET}", ${env:SECRET}.x',
    'rate: ["${env:SECRET}"]',
    'preset: ${env:SECRET}',
    'timeout_s: ${env:SECRET}',
    'events: ["[${env:SECRET}"]',
    f'routing_key: {CANARY}',
    f'proxy: ftp://user:{CANARY}@127.0.0.1',
    f'secrets: [whsec_{CANARY}]',
])  # fmt: skip
def test_check_does_not_show_the_value_of_a_reference_or_a_secret(tmp_path: Path, endpoint: str) -> None:
    assert "problem" in written(tmp_path, "check", endpoint=endpoint)


def test_a_traceback_contains_no_secret(tmp_path: Path) -> None:
    """A bug in any command ends in a traceback, which quotes values."""
    script = f"""
import sys
from bridge import cli
from bridge.telemetry.scrub import in_force
from bridge.telemetry.secret_forms import Secret
import click

@cli.cli.command()
def crash():
    in_force.learn([Secret({CANARY!r})])
    import warnings
    warnings.warn({CANARY!r} + " is deprecated")
    raise RuntimeError("got " + {CANARY!r})

sys.argv = ["hookferry", "crash"]
cli.main()
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, cwd=ROOT, check=False
    )
    assert "RuntimeError: got ***" in done.stderr
    assert "*** is deprecated" in done.stderr
    assert CANARY not in done.stdout


def test_send_shows_the_answer_without_secrets_unless_they_are_asked_for(
    tmp_path: Path, receiver: Receiver
) -> None:
    receiver.control("/hooks", status=401, body=f"Bearer {CANARY} is wrong", headers={"X-Echo": CANARY})
    settings = {"endpoint": "headers: {Authorization: 'Bearer ${env:SECRET}'}", "url": receiver.url("/hooks")}
    shown = written(tmp_path, "send", "-e", "crm", "-s", "order.paid", **settings)
    assert "status 401: *** is wrong" in shown
    command = ("send", "-e", "crm", "-s", "order.paid", "--show-secrets", "-c", str(tmp_path / "bridge.yaml"))
    asked = hookferry(*command, env={"SECRET": CANARY}).stdout
    assert f"Authorization: Bearer {CANARY}" in asked
    assert f"Bearer {CANARY} is wrong" in asked


def test_render_shows_a_body_without_the_secret_that_its_template_inserts(tmp_path: Path) -> None:
    body = 'body: {template: \'{"key": "${env:SECRET}", "type": "{{ type }}"}\'}'
    shown = written(tmp_path, "render", "-e", "crm", "-s", "order.paid", endpoint=body)
    assert '{"key": "***", "type": "order.paid"}' in shown


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_a_document_has_no_secret_and_is_whole_unless_secrets_are_asked_for(
    tmp_path: Path, receiver: Receiver, form: str
) -> None:
    receiver.control("/hooks", status=401, body=f"Bearer {CANARY}\n\nis wrong", headers={"X-Echo": CANARY})
    settings = {"endpoint": "headers: {Authorization: 'Bearer ${env:SECRET}'}", "url": receiver.url("/hooks")}
    words = ("send", "-e", "crm", "-s", "order.paid", "-o", form)
    written(tmp_path, *words, **settings)
    arguments = (*words, "-c", str(tmp_path / "bridge.yaml"))
    document = yaml.safe_load(hookferry(*arguments, env=ENVIRONMENT).stdout)
    assert document["reason"].startswith("status 401: ***")
    assert document["answer"]["body"] == "***\n\nis wrong"
    asked = yaml.safe_load(hookferry(*arguments, "--show-secrets", env=ENVIRONMENT).stdout)
    assert asked["answer"]["body"] == f"Bearer {CANARY}\n\nis wrong"
    assert ["Authorization", f"Bearer {CANARY}"] in asked["request"]["headers"]


@pytest.mark.parametrize("form", ["table", "json", "yaml"])
def test_the_doctor_shows_no_secret(tmp_path: Path, receiver: Receiver, form: str) -> None:
    proxy = f"proxy: 'http://user:${{env:SECRET}}@{receiver.url('').removeprefix('http://')}'"
    endpoint = f"{proxy}\n    secrets: ['${{env:ABSENT}}']\n    headers: {{X-Key: '${{env:SECRET}}'}}"
    shown = written(tmp_path, "doctor", "-o", form, endpoint=endpoint, url=receiver.url("/hooks"))
    assert "accepts connections" in shown
    assert "ABSENT is not set" in shown
