"""Decoding only what the endpoints ask for changes no request, no filter and no error: compared both ways."""

from __future__ import annotations

import json
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from bridge.core.asked_fields import AskedFields, Asking
from bridge.core.filter import Filter
from bridge.demo.fineract_wire import encode_envelope, encode_single_object
from bridge.errors import DecodeError, FilterError, RenderError
from bridge.formats.avro import decoder as full_decoder
from bridge.formats.avro.schema_set import compile_schema
from bridge.formats.fineract import Envelope
from bridge.formats.resent import packed
from bridge.model import WHOLE, Event, Partition, Resend
from bridge.settings import EndpointSettings, Settings
from bridge.wiring.asked import build_asked_fields
from bridge.wiring.decoders import build_decoders
from bridge.wiring.endpoints import build_renderer
from tests.support.records import record

ACCOUNT: dict[str, Any] = {
    "type": "record", "name": "AccountV1", "namespace": "test", "fields": [
        {"name": "id", "type": "long"},
        {"name": "owner", "type": ["null", {"type": "record", "name": "Owner", "fields": [
            {"name": "name", "type": "string"}, {"name": "city", "type": ["null", "string"]}]}]},
        {"name": "lines", "type": {"type": "array", "items": {"type": "record", "name": "Line", "fields": [
            {"name": "amount", "type": "long"}, {"name": "text", "type": "string"}]}}},
        {"name": "extra", "type": {"type": "map", "values": "string"}},
        {"name": "rate", "type": "double"},
        {"name": "items", "type": ["null", "string"]},
        {"name": "note", "type": "string"},
    ]}  # fmt: skip
VALUE = {
    "id": 7, "owner": {"name": "Zoë", "city": None},
    "lines": [{"amount": 1, "text": "a"}, {"amount": 2, "text": "b"}],
    "extra": {"k": "v"}, "rate": 1.5, "items": "words", "note": "x" * 90,
}  # fmt: skip
VALUES = {
    "usual": VALUE,
    "no owner": VALUE | {"owner": None},
    "not finite": VALUE | {"rate": float("nan")},
}
TEMPLATES = [
    "{{ data.id }}",
    "{{ data['owner'].name }} of {{ data.owner.city }}",
    "{{ data.owner.nmae }}",
    "{{ data.ownr }}",
    "{{ data.owner.name.first }}",
    "{{ data.nothing | default('none') }}{{ data.owner.nothing is defined }}",
    "{% if data.owner is none %}nobody{% else %}{{ data.owner.name }}{% endif %}",
    "{% for line in data.lines %}{{ line.amount }} {{ line.text }}{% endfor %}",
    "{{ data.lines[0].amount }}{{ data.lines[9] | default('-') }}",
    "{{ data.extra.k }}{{ data.extra['no'] | default('-') }}",
    "{{ data.items }}{{ data['items'] | upper }}",
    "{{ data | json }}",
    "{{ data.owner | json }}",
    "{% set all = data %}{{ all.note }}",
    "{% set owner = data.owner %}{{ owner.name }}",
    "{% macro note(of) %}{{ of.note }}{% endmacro %}{{ note(data) }}",
    "{% set data = data.owner %}{{ data.name }}",
    "{% with data = data %}{{ data.id }}{% endwith %}",
    "{% for key in data %}{{ key }}{% endfor %}",
    "{{ data[type | lower] | default('-') }}{{ data['no' ~ 'te'] }}",
    "{{ data | pointer('/owner/name') }}",
    "{{ 'owner' in data }}{{ data | length }}{{ data == data }}",
    "{{ type }} {{ id }}",
]
FILTERS = [
    "data.id > 5",
    'data.owner.name == "Zoë"',
    "data.owner is defined and data.nothing is not defined",
    "data.owner.nothing is defined",
    "data.lines[1].amount == 2",
    "data.note > 3 or data.id == 1",
    '"owner" in data',
    "data | length == 7",
    "data.rate < 2",
]
SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
TYPE = "AccountOpenedBusinessEvent"


SCHEMA = compile_schema(ACCOUNT)


def envelope(value: dict[str, Any]) -> bytes:
    data = encode_single_object(SCHEMA.parsed, SCHEMA.fingerprint, value)
    return encode_envelope(
        Envelope(1, "s", TYPE, "c", "2026-06-29T08:15:30", "2026-06-29", "t", "key-1", SCHEMA.name, data)
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("schemas")
    (path / "account.avsc").write_text(json.dumps(ACCOUNT))
    return path


def settings_of(folder: Path, **endpoints: dict[str, Any]) -> Settings:
    return Settings.model_validate({
        "group": "g",
        "kafka": {"bootstrap_servers": ["kafka.test:9092"]},
        "sources": {"bank": {"format": "fineract", "topics": ["loans"], "schemas": str(folder)}},
        "endpoints": {
            name: {"url": "https://example.test/hook", "secrets": [SECRET]} | given
            for name, given in endpoints.items()
        },
    })  # fmt: skip


def body(template: str) -> dict[str, Any]:
    return {"body": {"template": template, "content_type": "text/plain"}}


def outcome(endpoint: EndpointSettings, event: Event) -> Any:
    """Return the request of an event, or that its filter is false, or why it is parked."""
    try:
        if endpoint.when is not None and not Filter(endpoint.when).matches(event):
            return False
        return build_renderer(endpoint).render(event)
    except (RenderError, FilterError, DecodeError) as exc:
        return f"{type(exc).__name__}: {exc}"


def outcomes(settings: Settings, asked: AskedFields | None, raw: bytes) -> list[Any]:
    """Return the outcome at each endpoint, at the first try and after the event has waited."""
    decoders = build_decoders(settings) if asked is None else build_decoders(settings, asked)
    (event,) = decoders["loans"].decode(record(raw))
    assert isinstance(event, Event)
    first = [outcome(endpoint, event) for endpoint in settings.endpoints.values()]
    event.forget_decoded()
    return first + [outcome(endpoint, event) for endpoint in settings.endpoints.values()]


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_renders_the_same_and_fails_with_the_same_words(
    template: str, value: str, folder: Path
) -> None:
    settings = settings_of(folder, one=body(template))
    raw = envelope(VALUES[value])
    assert outcomes(settings, build_asked_fields(settings), raw) == outcomes(settings, None, raw)


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("when", FILTERS)
def test_a_filter_decides_the_same(when: str, value: str, folder: Path) -> None:
    settings = settings_of(folder, one={"when": when, **body("{{ data.note }}")})
    raw = envelope(VALUES[value])
    assert outcomes(settings, build_asked_fields(settings), raw) == outcomes(settings, None, raw)


def test_endpoints_that_ask_for_different_fields_share_an_event(folder: Path) -> None:
    raw = envelope(VALUE)
    for first, second in permutations(
        ["{{ data.id }}", "{{ data.owner.name }}", "{{ data.ownr }}", "{{ data | json }}"], 2
    ):
        settings = settings_of(
            folder, one=body(first), two=body(second), three={"when": "data.id == 7", "body": "thin"}
        )
        assert outcomes(settings, build_asked_fields(settings), raw) == outcomes(settings, None, raw)


@pytest.mark.parametrize(
    "wrong", [AskedFields([]), AskedFields([Asking(frozenset({("id",)}), None, ("*",))])]
)
@pytest.mark.parametrize("template", TEMPLATES)
def test_asked_fields_that_do_not_fit_the_endpoints_change_nothing(
    template: str, wrong: AskedFields, folder: Path
) -> None:
    """As after a change of the configuration, or for a replay with a filter of its own."""
    settings = settings_of(folder, one={"when": "data.note != none", **body(template)})
    raw = envelope(VALUE)
    assert outcomes(settings, wrong, raw) == outcomes(settings, None, raw)


def test_damage_in_a_field_that_no_endpoint_asks_for_parks_the_event_with_the_same_words(
    folder: Path,
) -> None:
    settings = settings_of(folder, one=body("{{ data.id }}"))
    raw = envelope(VALUE)
    for good, bad in ((b"xxx", b"x\xffx"), ("Zoë".encode(), b"Zo\xc3 ")):
        broken = raw.replace(good, bad)
        expected = outcomes(settings, None, broken)
        assert "not UTF-8" in expected[0]
        assert outcomes(settings, build_asked_fields(settings), broken) == expected


def test_an_event_that_is_sent_again_to_an_endpoint_that_does_not_select_it_has_all_its_fields(
    folder: Path,
) -> None:
    loans = {"events": ["Loan*"], **body("{{ data.note }}")}
    settings = settings_of(folder, loans=loans, accounts={"events": ["Account*"], **body("{{ data.id }}")})
    decoders = build_decoders(settings, build_asked_fields(settings))
    origin = record(envelope(VALUE))._replace(partition=Partition("loans", 0))
    headers = packed(Resend(origin, "loans", "a1"))
    (event,) = decoders["g.again"].decode(origin._replace(headers=headers, partition=Partition("g.again", 0)))
    assert isinstance(event, Event)
    assert build_renderer(settings.endpoints["loans"]).render(event).body == b"x" * 90


ASKED: dict[str, tuple[dict[str, Any], Any]] = {
    "no template": ({}, WHOLE),
    "a named body": ({"body": "raw"}, WHOLE),
    "a preset": ({"preset": "zapier"}, WHOLE),
    "the whole payload": (body("{{ data | json }}"), WHOLE),
    "a thin body": ({"body": "thin"}, frozenset()),
    "a thin body and a filter": ({"body": "thin", "when": "data.id > 1"}, {("id",)}),
    "body, URL, header and filter": (
        {
            "url": "https://example.test/{{ data.owner.city }}",
            "headers": {"X-Note": "{{ data.note }}"},
            "when": "data.lines[0].amount > 1 and data.extra.k == 'v'",
            **body("{{ data.owner['name'] }}"),
        },
        {("owner", "city"), ("note",), ("lines",), ("extra", "k"), ("owner", "name")},
    ),
}


@pytest.mark.parametrize("case", ASKED)
def test_all_that_an_endpoint_reads_is_asked_for(case: str, folder: Path) -> None:
    endpoint, expected = ASKED[case]
    assert build_asked_fields(settings_of(folder, one=endpoint)).of("bank")(TYPE) == expected


def test_fields_are_asked_for_by_source_and_event_type(folder: Path) -> None:
    asked = build_asked_fields(
        settings_of(
            folder,
            one={"events": ["Loan*", "!LoanX"], **body("{{ data.a }}")},
            two={"events": ["*"], "sources": ["bank"], **body("{{ data.b }}")},
            three={"events": ["Client*"]},
        )
    )
    fields = asked.of("bank")
    assert fields("LoanY") == {("a",), ("b",)}
    assert fields("LoanX") == {("b",)}
    assert fields("ClientX") == WHOLE
    assert asked.of("other")("LoanY") == {("a",)}


def test_only_what_is_asked_for_is_decoded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of(folder, one={"when": "data.id == 7", **body("{{ data.owner.name }}")})
    decoders = build_decoders(settings, build_asked_fields(settings))
    (event,) = decoders["loans"].decode(record(envelope(VALUE)))
    assert isinstance(event, Event)
    monkeypatch.setattr(full_decoder.Plan, "read", None)  # decoding everything fails
    assert outcome(settings.endpoints["one"], event).body == "Zoë".encode()
    assert event.data(frozenset({("id",)})) == {"id": 7, "owner": {"name": "Zoë"}}
