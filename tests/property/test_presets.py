"""For any event, every preset renders a body that its receiver accepts."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from bridge.core.verdict import judge
from bridge.demo.receivers import Simulator
from bridge.model import Response, Verdict
from bridge.receivers import PRESETS
from bridge.receivers.fit import fit, units
from bridge.receivers.markup import adaptive, discord, slack, teams
from bridge.receivers.wordings import WORDINGS
from bridge.rendering.body_secret import BodySecret
from bridge.rendering.old_hooks import HOOKS
from tests.support.preset_events import event_of
from tests.support.receivers import SIMULATORS
from tests.support.receivers.discord import Discord
from tests.support.receivers.pagerduty import PagerDuty

MARKED = st.text("\"\\'<>&*_~`|[](){}@#:-+.!/1 \n\t\r\0é😀\u200d\u0301\u2028", max_size=60)
ANY_TEXT = st.one_of(
    st.text(max_size=80),
    MARKED,
    st.text(max_size=6).map(lambda text: (text or "x") * 20_000),
    st.sampled_from(["<!channel>", "@everyone", "</br>", "${jndi:x}", "{{ 7*7 }}", "\ud83d", "\\u0000", " "]),
)
VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False),
        st.decimals(allow_nan=False, allow_infinity=False, places=8),
        st.binary(max_size=20),
        ANY_TEXT,
    ),
    lambda inner: st.lists(inner, max_size=12) | st.dictionaries(ANY_TEXT, inner, max_size=12),
    max_leaves=30,
)
FIELDS = [
    "id", "accountNo", "clientName", "clientId", "displayName", "amount", "principal", "currency", "date",
    "approvedPrincipal", "note", "timeline", "externalId", "loanId", "accountId", "name", "summary", "status",
]  # fmt: skip
PAYLOADS = st.one_of(VALUES, st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=12))
TYPES = st.one_of(st.sampled_from(sorted(WORDINGS)), ANY_TEXT)
MESSAGES = ["slack", "teams", "teams-connector", "discord", "pagerduty", "zapier"]


def sent(preset_name: str, event: Any) -> tuple[Simulator, bytes, Verdict]:
    """Send an event to the simulator; return it, the body, and the verdict of its answer."""
    preset, simulator = PRESETS[preset_name], SIMULATORS[preset_name]()
    headers, body = preset.render(event)
    if isinstance(simulator, PagerDuty):
        body = BodySecret(preset.key_field, simulator.routing_key).insert(body)
    target = simulator.path + {"teams": "?sig=demo", "discord": "?wait=true"}.get(preset_name, "")
    reply = simulator.answer(target, {name.decode(): text.decode() for name, text in headers}, body, 0.0)
    answer = Response(reply.status, (), reply.body.encode())
    return simulator, body, judge(answer, 0.0, preset.judge).verdict


@pytest.mark.parametrize("preset", MESSAGES)
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(type=TYPES, data=PAYLOADS, entity=st.none() | ANY_TEXT, tenant=st.none() | ANY_TEXT)
@example(type="SavingsDepositBusinessEvent", data={"amount": "😀" * 60_000}, entity="e", tenant=None)
@example(
    type="order.placed", data={f"{n}&" * 200: "&<>" * 40_000 for n in range(30)}, entity=None, tenant="t"
)
@example(type="x" * 100_000, data={"*" * 999: "*" * 99_999}, entity="<" * 100_000, tenant='"' * 100_000)
@example(type="LoanApprovedBusinessEvent", data={"id": Decimal("1e40")}, entity="", tenant="")
def test_every_preset_renders_any_event_into_a_body_its_receiver_accepts(preset, type, data, entity, tenant):
    event = event_of(type, data, entity=entity, tenant=tenant)
    simulator, body, verdict = sent(preset, event)
    assert verdict is Verdict.DELIVERED
    assert len(simulator.shown) == 1
    json.loads(body.decode())
    if isinstance(simulator, Discord):
        assert simulator.pings == []
    assert getattr(simulator, "controls", []) == []


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(type=st.sampled_from(sorted(HOOKS)), data=PAYLOADS, entity=st.none() | ANY_TEXT)
def test_any_payload_of_a_known_type_renders_as_a_hook(type, data, entity):
    """Half a surrogate pair has no JSON form, and no decoder returns one."""
    assume("\\ud83d" not in repr((data, entity)))
    _, _, verdict = sent("fineract-hook", event_of(type, data, entity=entity))
    assert verdict is Verdict.DELIVERED


@pytest.mark.parametrize("escape", [slack, discord, teams, adaptive])
@settings(max_examples=300, deadline=None)
@given(text=ANY_TEXT, limit=st.integers(2, 300))
def test_a_truncated_text_fits_its_limit_and_is_completely_escaped(escape, text, limit):
    cut = fit(text, limit, escape)
    assert units(cut) <= limit
    cut.encode()
    if cut != escape(text):
        assert fit(text, 10**6, escape).startswith(cut.removesuffix("…").rstrip()) or "\ud83d" in text


@settings(max_examples=50, deadline=None)
@given(data=PAYLOADS)
def test_zapier_gets_no_nested_objects_except_line_items(data):
    body = json.loads(PRESETS["zapier"].render(event_of("order.placed", data))[1])
    for value in body.values():
        assert not isinstance(value, dict)
        for line in value if isinstance(value, list) else ():
            assert not any(isinstance(inner, dict) for inner in line.values())


def test_a_payload_with_very_many_leaves_stays_within_zapiers_limit():
    wide = {f"{'k' * 50}{number}": {"v" * 50: "é" * 300} for number in range(20_000)}
    body = PRESETS["zapier"].render(event_of("order.placed", wide))[1]
    assert len(body) <= 10_000_000
    assert "data__not_shown" in json.loads(body)
