"""Presets in the settings: what they set, which settings win over them, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.errors import RenderError
from bridge.receivers import PRESETS
from bridge.rendering.body_secret import BodySecret
from bridge.settings import EndpointSettings, check, load
from bridge.wiring.endpoints import build_renderer, build_sealed_renderer, build_signer, build_subscription
from tests.support.preset_events import event_of

KEY = "0123456789abcdef0123456789abcdef"
HEAD = """\
group: g
kafka: {bootstrap_servers: ["k:9092"]}
sources: {orders: {topics: [orders], format: json, id: id, type: type}}
endpoints:
"""


@pytest.fixture
def problems(tmp_path: Path):
    def of(endpoint: str) -> list[str]:
        file = tmp_path / "bridge.yaml"
        file.write_text(HEAD + endpoint, encoding="utf-8")
        return check(file, {"KEY": KEY})

    return of


@pytest.fixture
def endpoint(tmp_path: Path):
    def of(text: str) -> EndpointSettings:
        file = tmp_path / "bridge.yaml"
        file.write_text(f"{HEAD}  one: {{{text}}}\n", encoding="utf-8")
        return load(file, {"KEY": KEY}).endpoints["one"]

    return of


SLACK = "url: https://hooks.slack.com/services/T/B/x, preset: slack"


def test_a_preset_sets_body_and_rate(endpoint):
    crm = endpoint(SLACK)
    assert crm.rate_windows == ((1, 1.0),)
    rendered = build_renderer(crm).render(event_of("order.placed", {"total": "49.90"}))
    assert b'"blocks"' in rendered.body


def test_an_explicit_setting_wins_over_the_preset(endpoint):
    crm = endpoint(SLACK + ", rate: [5/1m], body: thin, events: [a]")
    assert crm.rate_windows == ((5, 60.0),)
    assert build_subscription(crm).patterns == ("a",)
    body = build_renderer(crm).render(event_of("a", {})).body
    assert body.startswith(b'{"type":"a"')
    assert endpoint(SLACK + ", rate: []").rate_windows == ()
    assert b"blocks" not in build_renderer(endpoint(SLACK + ", body: standard")).render(event_of("a")).body


def test_a_custom_template_gets_the_escaping_of_the_preset(endpoint):
    crm = endpoint(SLACK + """, body: {template: '{"text": "New client: {{ data.name }}"}'}""")
    body = build_renderer(crm).render(event_of("a", {"name": '<!channel> "A" & B'})).body
    assert body == rb'{"text": "New client: &lt;!channel&gt; \"A\" &amp; B"}'


def test_discord_urls_get_wait_true_unless_they_set_it(endpoint):
    crm = endpoint("url: https://discord.com/api/webhooks/1/x, preset: discord")
    assert crm.target.target == "/api/webhooks/1/x?wait=true"
    thread = endpoint("url: 'https://discord.com/api/webhooks/1/x?thread_id=7', preset: discord")
    assert thread.target.target == "/api/webhooks/1/x?thread_id=7&wait=true"
    own = endpoint("url: 'https://discord.com/api/webhooks/1/x?wait=false', preset: discord")
    assert own.target.target == "/api/webhooks/1/x?wait=false"


def test_a_zapier_hook_has_the_rate_of_its_generation(endpoint):
    new = endpoint("url: https://hooks.zapier.com/hooks/catch/123456/abcdef/, preset: zapier")
    old = endpoint("url: https://hooks.zapier.com/hooks/catch/abcdef/, preset: zapier")
    assert (new.rate_windows, old.rate_windows) == (((30, 1.0),), ((1000, 300.0),))


def test_presets_send_webhook_headers_only_if_secrets_are_set(endpoint):
    secret = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    plain, signed = endpoint(SLACK), endpoint(SLACK + f", secrets: [{secret}]")
    standard = endpoint("url: https://crm.example.com/")
    assert build_signer(plain).headers("id", 1, b"", "POST", plain.target) == ()
    assert len(build_signer(signed).headers("id", 1, b"", "POST", signed.target)) == 3
    assert len(build_signer(standard).headers("id", 1, b"", "POST", standard.target)) == 2


PAGERDUTY = "url: https://events.pagerduty.com/v2/enqueue, preset: pagerduty, routing_key: '${env:KEY}'"


def test_a_routing_key_is_sent_and_never_shown(endpoint):
    crm = endpoint(PAGERDUTY)
    event = event_of("order.placed", {"note": "}"})
    shown, sent = build_renderer(crm).render(event).body, build_sealed_renderer(crm).render(event).body
    assert KEY.encode() not in shown
    assert sent.startswith(b'{"routing_key":"' + KEY.encode() + b'","event_action"')
    assert crm.body_secret is not None
    assert crm.body_secret.shown(sent) == b'{"routing_key":"***",' + shown[1:]
    assert KEY not in repr(crm.body_secret) + repr(crm)


def test_a_routing_key_is_inserted_into_a_template_too(endpoint):
    crm = endpoint(PAGERDUTY + """, body: {template: ' { "event_action": "resolve"}'}""")
    assert build_sealed_renderer(crm).render(event_of()).body == (
        b'{"routing_key":"' + KEY.encode() + b'","event_action": "resolve"}'
    )


def test_a_secret_can_be_inserted_only_into_a_json_object():
    secret = BodySecret("routing_key", KEY)
    assert secret.insert(b"{ }") == b'{"routing_key":"' + KEY.encode() + b'"}'
    assert secret.shown(b"something else") == b"something else"
    with pytest.raises(RenderError, match="not a JSON object"):
        secret.insert(b"[]")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("url: https://a.example, preset: slak", 'preset "slak": is not a preset; did you mean "slack"?'),
        ("url: https://a.example, preset: msteams", 'did you mean "teams"?'),
        ("url: https://a.example, preset: xyzzy", "the presets are standard, slack, teams"),
        (
            "url: https://events.pagerduty.com/v2/enqueue, preset: pagerduty",
            "routing_key: is missing, and preset pagerduty needs it; add routing_key: ${env:NAME}",
        ),
        (
            f"url: https://a.example, preset: slack, routing_key: {KEY}",
            "routing_key: is not used by preset slack; remove it, or set preset: pagerduty",
        ),
        (
            "url: https://a.example, preset: pagerduty, routing_key: abc",
            "routing_key: is not a routing key, which has 32 letters and digits; copy the integration key",
        ),
        (
            "url: https://acme.webhook.office.com/webhookb2/x, preset: teams",
            'preset "teams": is for workflows, but url is a connector\'s; create a workflow in Teams',
        ),
        (
            "url: https://prod-1.logic.azure.com/workflows/x, preset: teams-connector",
            "is for connectors, but url is a workflow's; set preset: teams",
        ),
        (
            "url: https://a.example, preset: fineract-hook, events: [order.placed, Loan*]",
            "selects",
        ),
    ],
)
def test_a_mistake_is_reported_with_its_remedy(problems, text, message):
    lines = problems(f"  one: {{{text}}}\n")
    assert len(lines) == 1, lines
    assert message in lines[0]
    assert "bridge.yaml:5:" in lines[0]
    assert KEY not in lines[0]


def test_the_old_hooks_preset_selects_only_types_that_they_had(problems, endpoint):
    assert problems("  one: {url: https://a.example, preset: fineract-hook}\n") == []
    crm = endpoint("url: https://a.example, preset: fineract-hook")
    assert "LoanApprovedBusinessEvent" in crm.wanted
    assert "*" not in crm.wanted


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_can_be_set(problems, preset):
    key = f", routing_key: {KEY}" if PRESETS[preset].key_field else ""
    assert problems(f"  one: {{url: https://a.example, preset: {preset}{key}}}\n") == []
