"""The simulated receivers refuse and limit requests like the real ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from bridge.core.verdict import judge
from bridge.demo.receivers.slack import Slack
from bridge.demo.receivers.zapier import Zapier
from bridge.model import Response, Verdict
from bridge.receivers import PRESETS
from bridge.rendering.body_secret import BodySecret
from tests.support.preset_events import event_of
from tests.support.receivers import SIMULATORS
from tests.support.receivers.discord import Discord
from tests.support.receivers.pagerduty import PagerDuty
from tests.support.receivers.teams import Connector, Workflow

JSON = {"content-type": "application/json"}
LOAN = {"clientName": "Jane", "accountNo": "1", "principal": "5", "approvedPrincipal": "5"}


def post(simulator: Any, message: Any, now_s: float = 0.0, target: str = "") -> tuple[int, str]:
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    said = simulator.answer(target or simulator.path, JSON, body, now_s)
    return said.status, said.body


def good(preset: str) -> Any:
    return json.loads(PRESETS[preset].render(event_of("LoanApprovedBusinessEvent", LOAN))[1])


def changed(preset: str, change: Callable[[Any], object]) -> Any:
    message = good(preset)
    change(message)
    return message


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda m: m["blocks"][0]["text"].update(text="x" * 151), "invalid_blocks"),
        (lambda m: m["blocks"][0]["text"].update(text="😀" * 76), "invalid_blocks"),
        (lambda m: m["blocks"][0]["text"].update(text=""), "invalid_blocks"),
        (lambda m: m["blocks"][1]["fields"][0].update(text="x" * 2001), "invalid_blocks"),
        (lambda m: m["blocks"][1].update(fields=[{"type": "mrkdwn", "text": "x"}] * 11), "invalid_blocks"),
        (lambda m: m["blocks"][1].update(fields=[]), "invalid_blocks"),
        (lambda m: m["blocks"].append({"type": "poem"}), "invalid_blocks"),
        (lambda m: m.update(blocks=[{"type": "divider"}] * 51), "invalid_blocks"),
        (lambda m: m.update(attachments=[{}] * 101), "too_many_attachments"),
        (lambda m: m.clear(), "no_text"),
    ],
)
def test_slack_refuses_invalid_blocks(change, word):
    assert post(Slack(), good("slack")) == (200, "ok")
    assert post(Slack(), changed("slack", change)) == (400, word)


def test_slack_refuses_broken_json_and_unknown_hooks():
    assert post(Slack(), b'{"text": ') == (400, "invalid_payload")
    assert post(Slack(), b'{"text": "\xff"}') == (400, "invalid_payload")
    assert post(Slack(), good("slack"), target="/services/other") == (404, "no_service")


def test_slack_accepts_a_short_burst_and_then_one_message_per_second():
    slack = Slack()
    statuses = [post(slack, good("slack"), 0.01 * number)[0] for number in range(7)]
    assert statuses == [200] * 5 + [429] * 2
    assert slack.answer(slack.path, JSON, b"", 0.1).headers["Retry-After"] == "1"
    assert post(slack, good("slack"), 1.2)[0] == 200


def test_slack_detects_mentions():
    slack = Slack()
    post(slack, {"text": "<!channel> come here"})
    assert slack.controls


def test_zapier_limits_per_second_or_per_five_minutes():
    new, old = Zapier(), Zapier("/hooks/catch/demo/", old=True)
    assert [post(new, {"a": 1}, 0.0)[0] for _ in range(31)] == [200] * 30 + [429]
    assert [post(old, {"a": 1}, 0.2 * n)[0] for n in range(1001)] == [200] * 1000 + [429]
    new.gone = True
    assert post(new, {"a": 1}, 9.0)[0] == 410


def test_zapier_flattens_nested_fields_into_joined_names():
    zapier = Zapier()
    post(zapier, {"a": {"b": {"c": 1}}, "n": None, "l": [1]})
    assert zapier.fields[0] == {"a__b__c": 1, "l": [1]}


def test_a_connector_reports_its_throttling_in_a_200():
    connector = Connector()
    answers = [post(connector, good("teams-connector"), 0.0) for _ in range(5)]
    assert answers[:4] == [(200, "1")] * 4
    assert answers[4][0] == 200
    assert "HTTP error 429" in answers[4][1]


@pytest.mark.parametrize(("count", "seconds"), [(60, 30), (100, 3600), (150, 7200)])
def test_a_connector_limits_in_several_windows(count, seconds):
    connector, message = Connector(), good("teams-connector")
    taken, now_s = 0, 0.0
    while now_s < seconds - 1:
        taken += post(connector, message, now_s)[1] == "1"
        now_s += seconds / (count * 1.5)
    assert taken <= count


@pytest.mark.parametrize("preset", ["teams", "teams-connector"])
def test_teams_refuses_bodies_over_28_kb(preset):
    simulator = SIMULATORS[preset]()
    target = f"{simulator.path}?sig=demo"
    padded = json.dumps(good(preset)).encode() + b" " * 28_672
    assert post(simulator, padded, target=target)[0] == 413


def test_a_workflow_requires_its_signature_and_a_card():
    workflow = Workflow()
    target = f"{workflow.path}?api-version=1&sig=demo"
    assert post(workflow, good("teams"), target=target)[0] == 202
    assert post(workflow, good("teams"))[0] == 401
    assert post(workflow, good("teams-connector"), target=target)[0] == 400
    broken = changed(
        "teams", lambda m: m["attachments"][0]["content"]["body"][1].update(facts=[{"title": "x"}])
    )
    assert post(workflow, broken, target=target)[0] == 400


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m["embeds"][0].update(title="x" * 257),
        lambda m: m["embeds"][0].update(description=" "),
        lambda m: m["embeds"][0]["fields"][0].update(value="x" * 1025),
        lambda m: m["embeds"][0]["fields"][0].update(value=""),
        lambda m: m["embeds"][0].update(fields=[{"name": "n", "value": "v"}] * 26),
        lambda m: m["embeds"][0].update(fields=[{"name": "n", "value": "v" * 1000}] * 6),
        lambda m: m.update(content="x" * 2001),
        lambda m: m.update(embeds=[]),
    ],
)
def test_discord_refuses_messages_beyond_its_limits(change):
    assert post(Discord(), good("discord"))[0] == 204
    assert post(Discord(), changed("discord", change))[0] == 400


def test_discord_reports_its_limit_before_and_after_it_is_reached():
    discord = Discord()
    target = f"{discord.path}?wait=true"
    said = [discord.answer(target, JSON, json.dumps(good("discord")).encode(), 0.0) for _ in range(6)]
    assert [one.status for one in said] == [200] * 5 + [429]
    assert said[4].headers["X-RateLimit-Remaining"] == "0"
    assert json.loads(said[5].body)["retry_after"] == 2.0


def test_discord_records_mentioned_users():
    loud, quiet = Discord(), Discord()
    post(loud, {"content": "@everyone"})
    post(quiet, {"content": "@everyone", "allowed_mentions": {"parse": []}})
    assert (loud.pings, quiet.pings) == (["@everyone"], [])


KEY = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda m: m.pop("routing_key"), "routing_key"),
        (lambda m: m.update(routing_key="short"), "32"),
        (lambda m: m.update(event_action="shout"), "event_action"),
        (lambda m: m["payload"].update(summary=" "), "summary"),
        (lambda m: m["payload"].update(summary="x" * 1025), "summary"),
        (lambda m: m["payload"].update(severity="high"), "severity"),
        (lambda m: m["payload"].pop("source"), "source"),
        (lambda m: m["payload"].update(timestamp="soon"), "timestamp"),
        (lambda m: m.update(dedup_key="x" * 256), "dedup_key"),
    ],
)
def test_pagerdutys_error_names_the_cause(change, error):
    message = {"routing_key": KEY} | good("pagerduty")
    assert post(PagerDuty(), message)[0] == 202
    change(message)
    status, body = post(PagerDuty(), message)
    assert status == 400
    assert error in body


def test_one_event_sent_twice_is_one_alert():
    pagerduty = PagerDuty()
    for _ in range(2):
        assert post(pagerduty, {"routing_key": KEY} | good("pagerduty"))[0] == 202
    assert len(pagerduty.open) == 1


@pytest.mark.parametrize("preset", SIMULATORS)
def test_every_preset_has_a_simulator(preset):
    assert preset in PRESETS


def test_every_preset_recognizes_its_simulators_throttling():
    """The simulators' answers and the presets' verdicts agree."""
    for name in ("slack", "zapier", "teams-connector", "discord", "pagerduty"):
        simulator, preset = SIMULATORS[name](), PRESETS[name]
        body = preset.render(event_of("LoanApprovedBusinessEvent", LOAN))[1]
        if preset.key_field:
            body = BodySecret(preset.key_field, KEY).insert(body)
        verdicts = []
        for _ in range(121):
            said = simulator.answer(simulator.path, JSON, body, 0.0)
            headers = tuple((key.lower().encode(), value.encode()) for key, value in said.headers.items())
            verdicts.append(judge(Response(said.status, headers, said.body.encode()), 0.0, preset.judge))
        assert verdicts[0].verdict is Verdict.DELIVERED, name
        assert (verdicts[-1].verdict, verdicts[-1].kind) == (Verdict.AGAIN, "throttled"), name
