"""The chart accepts no secret in clear, wherever the settings or a receiver have one.

The table of the places is made from the settings and is checked everywhere. helm runs the templates that read
it, where helm is installed.
"""
# ruff: noqa: E501 - a table of values is easier to compare with each on its own line

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from bridge.receivers import PRESETS
from tests.support.helm import HELM, needs_helm
from tools import chart_secrets

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "helm" / "hookferry"
WEBHOOK = "https://crm.example.com/hooks"
SLACK = "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXX12345678XXXX"
KEY = "0123456789abcdef0123456789abcdef"


def test_the_table_contains_every_secret_of_the_settings() -> None:
    paths = {"/".join(path) for path in chart_secrets.secret_paths()}
    assert {
        "kafka/sasl/password",
        "sources/*/registry/token",
        "endpoints/*/secrets",
        "endpoints/*/url",
    } <= paths
    table = chart_secrets.table()
    for path in paths - {"/".join(path) for path in chart_secrets.OWN_RULES}:
        example = path.replace("*", "crm")
        assert any(re.match(pattern, example) for pattern in table["secrets"]), path


def test_every_preset_is_known_to_have_a_secret_url_or_none() -> None:
    """A new preset must be decided: add it to SECRET_URL_PRESETS, or here."""
    assert set(PRESETS) == {*chart_secrets.SECRET_URL_PRESETS, "standard", "fineract-hook", "pagerduty"}


@pytest.mark.parametrize(
    "url",
    [
        SLACK, "HTTPS://HOOKS.SLACK.COM/x", "https://hooks.slack.com:443/services/a", "https://hooks.zapier.com/hooks/catch/1/a/",
        "https://discord.com/api/webhooks/1/a", "https://acme.webhook.office.com/webhookb2/a",
        "https://prod-12.westeurope.logic.azure.com:443/workflows/a", "https://hook.eu2.make.com/abc",
        "https://default1.environment.api.powerplatform.com/powerautomate/a",
    ],
)  # fmt: skip
def test_receivers_whose_url_is_the_secret_are_recognized(url: str) -> None:
    assert re.search(chart_secrets.table()["secretUrlHosts"], url)


@pytest.mark.parametrize(
    "url", [WEBHOOK, "https://hooks.slack.com.example.com/a", "https://example.com/hooks.slack.com/a"]
)
def test_other_receivers_are_not(url: str) -> None:
    assert not re.search(chart_secrets.table()["secretUrlHosts"], url)


def values(**changes: Any) -> dict[str, Any]:
    config = {
        "sources": {"orders": {"topics": ["o"], "format": "cloudevents"}},
        "endpoints": {"crm": {"url": WEBHOOK}},
    }
    return {**changes, "config": {**config, **changes.get("config", {})}}


def endpoint(**settings: Any) -> dict[str, Any]:
    return values(config={"endpoints": {"crm": {"url": WEBHOOK, **settings}}})


def env(name: str, value: str, **settings: Any) -> dict[str, Any]:
    return {**endpoint(**settings), "env": [{"name": name, "value": value}]}


def check(document: dict[str, Any]) -> str:
    """Return the text of the check that fails for these values, or an empty text."""
    command = [HELM, "template", "ferry", str(CHART), "--namespace", "hooks", "--values", "-"]
    done = subprocess.run(
        command, input=json.dumps(document), capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode == 0:
        return ""
    failed = re.search(r"^Error: execution error at \(.*?\): (.*)$", done.stderr, re.MULTILINE)
    return failed[1] if failed else f"not a check of the chart: {done.stderr}"


IN_CLEAR: dict[str, tuple[dict[str, Any], str]] = {
    "signing secret": (endpoint(secrets=["whsec_abc"]), "endpoints.crm.secrets"),
    "next to a reference": (endpoint(secrets=["${env:OLD}", "whsec_abc"]), "endpoints.crm.secrets"),
    "Authorization": (endpoint(headers={"authorization": "Bearer abc"}), "endpoints.crm.headers.authorization"),
    "Cookie": (endpoint(headers={"Cookie": "session=1"}), "endpoints.crm.headers.Cookie"),
    "X-Auth-Token": (endpoint(headers={"X-Auth-Token": "abc"}), "endpoints.crm.headers.X-Auth-Token"),
    "X-Api-Key": (endpoint(headers={"X-Api-Key": "abc"}), "endpoints.crm.headers.X-Api-Key"),
    "an unknown header": (endpoint(headers={"X-Anything": "abc"}), "endpoints.crm.headers.X-Anything"),
    "a header beside an expression": (endpoint(headers={"X-A": "abc {{ entity }}"}), "endpoints.crm.headers.X-A"),
    "Slack by its preset": (endpoint(url="https://slack.test/services/T0/B0/x", preset="slack"), "endpoints.crm.url"),
    "Slack by its host": (endpoint(url=SLACK), "endpoints.crm.url"),
    "Zapier": (endpoint(url="https://hooks.zapier.com/hooks/catch/1/ab", preset="zapier"), "endpoints.crm.url"),
    "Zapier without a preset": (endpoint(url="https://hooks.zapier.com/hooks/catch/1/ab"), "endpoints.crm.url"),
    "Teams": (endpoint(url="https://acme.webhook.office.com/webhookb2/a"), "endpoints.crm.url"),
    "Discord": (endpoint(url="https://discord.com/api/webhooks/1/a", preset="discord"), "endpoints.crm.url"),
    "a reference beside the secret": (endpoint(url=SLACK + "?x=${env:X}"), "endpoints.crm.url"),
    "a reference with a default": (endpoint(url="https://hooks.slack.com/${env:X:-services/T/B/x}"), "endpoints.crm.url"),
    "a default of a password": (endpoint(secrets=["${env:X:-whsec_abc}"]), "endpoints.crm.secrets"),
    "an escaped reference": (endpoint(secrets=["$${env:X}"]), "endpoints.crm.secrets"),
    "a token in a query": (endpoint(url=WEBHOOK + "?access_token=abc"), "endpoints.crm.url"),
    "a signature in a query": (endpoint(url=WEBHOOK + "?v=1&sig=abc"), "endpoints.crm.url"),
    "PagerDuty": (endpoint(preset="pagerduty", routing_key=KEY), "endpoints.crm.routing_key"),
    "a proxy's password": (endpoint(proxy="http://user:pass@proxy:3128"), "endpoints.crm.proxy"),
    "a proxy's password beside a reference": (endpoint(proxy="http://${env:U}:pass@proxy:3128"), "endpoints.crm.proxy"),
    "Kafka": (values(config={"kafka": {"sasl": {"password": "p"}}}), "kafka.sasl.password"),
    "Kafka's OAuth": (values(config={"kafka": {"sasl": {"client_secret": "p"}}}), "kafka.sasl.client_secret"),
    "a key's password": (values(config={"kafka": {"tls": {"key_password": "p"}}}), "kafka.tls.key_password"),
    "a registry's token": (
        values(config={"sources": {"a": {"registry": {"url": "https://r.test", "token": "p"}}}}), "sources.a.registry.token",
    ),
    "a registry's login in its URL": (
        values(config={"sources": {"a": {"registry": {"url": "https://u:p@r.test"}}}}), "sources.a.registry.url",
    ),
    "a registry's key in its URL": (
        values(config={"sources": {"a": {"registry": {"url": "https://r.test?apikey=p"}}}}), "sources.a.registry.url",
    ),
    "a variable": (env("HOOKFERRY_KAFKA__SASL__PASSWORD", "p"), "kafka.sasl.password"),
    "a variable with JSON": (env("HOOKFERRY_ENDPOINTS__CRM__SECRETS", '["whsec_abc"]'), "endpoints.crm.secrets"),
    "a variable with a mapping": (env("HOOKFERRY_ENDPOINTS", json.dumps({"crm": {"url": SLACK}})), "endpoints.crm.url"),
}  # fmt: skip
BY_REFERENCE: dict[str, dict[str, Any]] = {
    "defaults": values(),
    "signing secrets": endpoint(secrets=["${env:OLD}", "whsec_${file:/run/new}"]),
    "headers": endpoint(headers={"Authorization": "Bearer ${file:/run/token}", "Cookie": "s=${env:S}", "X-Key": "${env:K}"}),
    "expressions": endpoint(headers={"X-Account": "{{ data.accountNo }}", "X-B": "{{ a }} {{ b }}"}),
    "harmless headers": endpoint(headers={"Accept": "text/plain", "User-Agent": "x", "x-request-id": "1"}),
    "a header named in the values": {**endpoint(headers={"X-Branch": "nairobi"}), "harmlessHeaders": ["x-branch"]},
    "Slack": endpoint(url="https://hooks.slack.com/services/T00000000/B00000000/${env:SLACK}", preset="slack"),
    "Slack, all of it": endpoint(url="${file:/run/slack-url}", preset="slack"),
    "Zapier": endpoint(url="https://hooks.zapier.com/hooks/catch/${env:ZAP}/", preset="zapier"),
    "an ordinary URL": endpoint(url=WEBHOOK + "/webhook-deliveries-2026/{{ entity }}?tenant={{ tenant }}&v=1"),
    "a token by reference": endpoint(url=WEBHOOK + "?access_token=${env:T}&key={{ entity }}"),
    "a proxy without a login": endpoint(proxy="http://ec2-54-123-12-9.example.com:3128"),
    "a proxy with one": endpoint(proxy="http://user:${env:P}@proxy:3128"),
    "Kafka": values(config={"kafka": {"sasl": {"username": "u", "password": "${env:P}"}}}),
    "a secret from a Secret": {
        **endpoint(secrets=["${env:S}"]),
        "env": [{"name": "S", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}, {"name": "TZ", "value": "UTC"}],
    },
    "null": values(config={"kafka": {"bootstrap_servers": ["k:9092"], "sasl": None}, "history": None}),
    "the minimal example": {
        **values(), **yaml.safe_load((CHART / "ci" / "minimal-values.yaml").read_text()),
    },
    "the full example": {
        **values(), **yaml.safe_load((CHART / "ci" / "full-values.yaml").read_text()),
    },
}  # fmt: skip


@needs_helm
@pytest.mark.parametrize(("document", "place"), IN_CLEAR.values(), ids=IN_CLEAR)
def test_a_secret_in_clear_is_refused_with_its_place_and_never_shown(
    document: dict[str, Any], place: str
) -> None:
    failed = check(document)
    assert failed.startswith(f"config.{place}: a secret in clear")
    assert not any(secret in failed for secret in ("abc", ":pass@", "XXXX", KEY))


@needs_helm
@pytest.mark.parametrize("document", BY_REFERENCE.values(), ids=BY_REFERENCE)
def test_references_and_values_that_are_no_secrets_are_accepted(document: dict[str, Any]) -> None:
    assert check(document) == ""


@needs_helm
@pytest.mark.parametrize(
    "document",
    [
        env("S", "x", secrets=["${env:S}"]),
        env("S", "x", headers={"X-A": "${env:S}"}),
        env("S", "x", url=WEBHOOK + "/${env:S}"),
        env("S", "x", proxy="http://u:${env:S}@p:1"),
    ],
    ids=["secrets", "header", "url", "proxy"],
)
def test_a_variable_that_a_secret_refers_to_must_come_from_a_secret(document: dict[str, Any]) -> None:
    assert check(document).startswith("env: S is a secret, and its value would be readable")
