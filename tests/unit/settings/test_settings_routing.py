"""The keys that select events, and the place in the file of a mistake in a filter."""

from pathlib import Path

import pytest

from bridge.settings import Settings, load
from bridge.wiring.endpoints import build_subscription
from tests.support.settings_example import VALID

SOURCES = "    sources: [fineract]\n"


def endpoint(*lines: str) -> tuple[str, str]:
    """Return the swap that adds these lines to the endpoint of the example; the first is line 10."""
    return SOURCES, SOURCES + "".join(f"    {line}\n" for line in lines)


def test_all_the_keys_together_are_accepted(given):
    lines = ('topics: ["external-*"]', 'tenants: ["*", "!demo"]', "when: data.x > 1")
    assert given(*endpoint(*lines, 'record_headers: {region: ["eu-*"]}')) == []
    (line,) = given(*endpoint(*lines, 'record_headers: {"": ["eu-*"]}'))
    assert "the name is empty" in line


def test_the_settings_reach_the_router(tmp_path: Path):
    (tmp_path / "avro").mkdir()
    (tmp_path / "bridge.yaml").write_text(
        VALID + '    events: ["Loan*"]\n    topics: ["external-*"]\n    tenants: [acme]\n'
        '    record_headers: {region: ["eu-*"]}\n    when: data.x > 1\n'
    )
    settings: Settings = load(tmp_path / "bridge.yaml", {})
    subscription = build_subscription(settings.endpoints["crm"])
    assert subscription[:4] == (("Loan*",), frozenset({"fineract"}), ("external-*",), ("acme",))
    assert subscription.record_headers == {"region": ("eu-*",)}
    assert subscription.when is not None


@pytest.mark.parametrize("key", ["topics", "tenants"])
def test_only_exclusions_select_nothing(given, key):
    (line,) = given(*endpoint(f'{key}: ["!external-*"]'))
    assert f"endpoints.crm.{key}: only excludes" in line
    (line,) = given(*endpoint('record_headers: {h: ["!x"]}'))
    assert "endpoints.crm.record_headers.h: only excludes" in line


@pytest.mark.parametrize("pattern", ["!!x", "[x", " x", ""])
def test_patterns_are_checked_in_every_key(given, pattern):
    for key in ("topics: {}", "tenants: {}", "record_headers: {{h: {}}}"):
        assert len(given(*endpoint(key.format(f'["*", "{pattern}"]')))) == 1


def test_a_topic_that_is_not_read_is_a_mistake(given):
    (line,) = given(*endpoint("topics: [external-event]"))
    assert "matches no topic of the endpoint's sources" in line
    assert 'did you mean "external-events"?' in line
    (line,) = given(*endpoint("topics: [outbox.orders]"))
    assert "matches no topic" in line, "another source's"
    assert given(SOURCES, '    topics: ["outbox.*"]\n') == []


@pytest.mark.parametrize(
    ("lines", "place"),
    [
        (["when: data.x > 1 and amount > 5"], "10:26"),
        (['when: "data.x > 1 and amount > 5"'], "10:27"),
        (["when: 'data.x > 1 and amount > 5'"], "10:27"),
        (["when: >", "  data.x > 1", "  and amount > 5"], "12:11"),
        (["when: |-", "", "  data.x > 1", "", "    and amount > 5"], "14:13"),
        (["when: data.x > 1", "  and amount > 5"], "11:11"),
        (["when: &w data.x > 1 and amount > 5"], "10:11"),
        ([r'when: "data.x == \"\x61\" and amount > 5"'], "10:11"),
    ],
)
def test_a_filter_that_does_not_compile_is_reported_with_the_place_of_its_mistake(given, lines, place):
    """The place is the character, in every YAML style; if escapes hide it, the start of the text."""
    (line,) = given(*endpoint(*lines))
    assert f":{place}: endpoints.crm.when " in line, line
    assert 'there is no "amount" here; did you mean data.amount?' in line


def test_a_filter_that_ends_too_early_is_reported_at_its_end(given):
    (line,) = given(*endpoint("when: data.x >"))
    assert ":10:19: " in line
    assert "cannot be parsed at its end" in line


@pytest.mark.parametrize("text", ["true", "5", "[data.x]", "null"])
def test_a_filter_must_be_text(given, text):
    lines = given(*endpoint(f"when: {text}"))
    assert len(lines) == (0 if text == "null" else 1)


def test_a_filter_from_a_reference_is_never_shown(given):
    (line,) = given(*endpoint("when: ${env:WHEN}"), env={"WHEN": "data.x == 1 and hidden > 5"})
    assert "hidden" not in line
    assert "does not compile at character 17; correct the text that the reference inserts" in line
    (line,) = given(env={"HOOKFERRY_ENDPOINTS__CRM__WHEN": "amount > 5"})
    assert line.startswith("environment variable HOOKFERRY_ENDPOINTS__CRM__WHEN: endpoints.crm.when")
