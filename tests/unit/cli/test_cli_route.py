"""``hookferry route``, and the checks of ``hookferry events`` before it connects to Kafka."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bridge.cli import cli
from bridge.errors import ConfigError

CONFIG = """\
kafka: {bootstrap_servers: ["127.0.0.1:1"]}
sources:
  orders: {topics: [outbox.orders, outbox.more], format: json, id: id, type: type}
  fineract: {topics: [external-events], format: fineract, schemas: avro}
endpoints:
  all: {url: "https://a.example/hooks"}
  loans:
    url: https://a.example/hooks
    sources: [fineract]
  big:
    url: https://a.example/hooks
    topics: ["outbox.*"]
    when: data.amount > 100 and
      data.currency == "USD"
  strict: {url: "https://a.example/hooks", events: [OrderPlaced], sources: [orders], tenants: [none]}
  eu:
    url: https://a.example/hooks
    sources: [orders]
    tenants: [acme]
    record_headers: {region: ["eu-*"]}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "avro").mkdir()
    (tmp_path / "avro" / "one.avsc").write_text('{"type": "record", "name": "One", "fields": []}')
    path = tmp_path / "bridge.yaml"
    path.write_text(CONFIG)
    return path


def route_lines(config: Path, event: Any, *more: str) -> list[str]:
    """Return the lines of ``hookferry route`` for an event; a text is written to the file unchanged."""
    file = config.parent / "event.json"
    file.write_text(event if isinstance(event, str) else json.dumps(event))
    result = CliRunner().invoke(cli, ["route", str(file), "-c", str(config), *more])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return [line.rstrip() for line in result.output.splitlines()]


def test_each_endpoint_gets_the_event_or_the_setting_that_excludes_it_is_named(config: Path) -> None:
    event = {"type": "OrderPaid", "topic": "outbox.more", "tenant": "acme", "headers": {"region": "us-1"}}
    assert route_lines(config, event | {"data": {"amount": 100.5, "currency": "EUR"}}) == [
        "OrderPaid of source orders, topic outbox.more",
        "all     gets it",
        'loans   no, sources: "orders" is none of fineract',
        "big     no, when: the filter is false",
        '          when: data.amount > 100 and data.currency == "USD"',
        "          data.amount = 100.5",
        '          data.currency = "EUR"',
        'strict  no, events: "OrderPaid" is none of OrderPlaced',
        'eu      no, record_headers: region: "us-1" is none of eu-*',
    ]


def test_the_values_that_a_filter_reads_are_shown(config: Path) -> None:
    event = {"type": "x", "source": "orders", "tenant": "acme", "headers": {"region": "eu-1"}}
    lines = route_lines(config, event | {"data": {"amount": 101, "currency": "USD"}})
    assert lines[0] == "x of source orders, topic outbox.orders"
    assert lines[3:5] == ["big     gets it", '          when: data.amount > 100 and data.currency == "USD"']
    assert lines[-1] == "eu      gets it"


def test_an_event_that_a_filter_cannot_evaluate_is_reported_as_parked(config: Path) -> None:
    lines = route_lines(config, {"type": "x", "source": "orders", "data": {"amount": "500"}})
    assert lines[3].startswith("big     parked, unsent: the filter")
    assert "text > a number" in lines[3]
    assert lines[5:7] == ['          data.amount = "500"', "          data.currency = absent"]


def test_a_sample_gets_the_source_of_its_format(config: Path) -> None:
    result = CliRunner().invoke(cli, ["route", "--sample", "LoanApprovedBusinessEvent", "-c", str(config)])
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert lines[0] == "LoanApprovedBusinessEvent of source fineract, topic external-events"
    assert lines[2] == "loans   gets it"
    assert lines[3] == 'big     no, topics: "external-events" is none of outbox.*'
    result = CliRunner().invoke(cli, ["route", "--sample", "OrderPaid", "-c", str(config)])
    assert result.output.startswith("OrderPaid of source orders, topic outbox.orders\n")


def test_a_topic_belongs_to_the_source_that_names_it_or_has_the_first_pattern_that_matches(
    config: Path,
) -> None:
    config.write_text(CONFIG.replace("[outbox.orders, outbox.more]", '["outbox.*", "!outbox.audit", legacy]'))
    assert route_lines(config, {"type": "x", "data": {}, "topic": "outbox.new"})[:3] == [
        "x of source orders, topic outbox.new",
        "all     gets it",
        'loans   no, sources: "orders" is none of fineract',
    ]
    for place in ({"topic": "legacy"}, {"source": "orders"}):
        first, *_ = route_lines(config, {"type": "x", "data": {}} | place)
        assert first == "x of source orders, topic legacy"
    for topic in ("outbox.audit", "outbox.x.parked", "external-events"):
        with pytest.raises(ConfigError, match="source orders does not read the topic"):
            route_lines(config, {"type": "x", "data": {}, "topic": topic, "source": "orders"})


@pytest.mark.parametrize(
    ("event", "more", "said"),
    [
        ("{", (), "event.json:1:"),
        ("[]", (), "needs a type and data"),
        ({"data": {}}, (), "needs a type and data"),
        ({"type": "x", "data": {}, "tpye": 1}, (), "tpye"),
        ({"type": "x", "data": {}}, (), "add --source with one of orders, fineract"),
        ({"type": "x", "data": {}, "source": "order"}, (), 'no source "order"; did you mean "orders"?'),
        ({"type": "x", "data": {}}, ("--source", "order"), 'no source "order"; did you mean "orders"?'),
        ({"type": "x", "data": {}, "topic": "outbox.order", "source": "orders"}, (),
         'does not read the topic "outbox.order"; did you mean "outbox.orders"?'),
    ],
)  # fmt: skip
def test_an_unusable_file_is_answered_with_the_cause(
    config: Path, event: Any, more: tuple[str, ...], said: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        route_lines(config, event, *more)
    assert said in str(raised.value)


def test_exactly_one_of_file_and_sample_is_required(config: Path) -> None:
    for arguments in ([], ["event.json", "--sample", "x"]):
        result = CliRunner().invoke(cli, ["route", *arguments, "-c", str(config)])
        assert result.exit_code == 2
        assert "either FILE or --sample TYPE" in result.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["off", "Loan*", "--endpoint", "bigg"], 'has no endpoint "bigg"; did you mean "big"?'),
        (["on", "Loan*", "--endpoint", "bigg"], 'has no endpoint "bigg"; did you mean "big"?'),
        (["off", "OrderPaid", "--endpoint", "strict"], "is no event type that endpoint strict selects"),
        (["off", "OrderPlcaed", "-e", "strict"], 'did you mean "OrderPlaced"?'),
        (["off", "!Loan*"], "without !"),
        (["off", "Loan["], "never closed"),
        (["off", "Loan\n"], "control characters"),
        (["off", "x" * 301], "longer than 300"),
    ],
)
def test_a_mistyped_switch_is_refused_before_connecting_to_kafka(
    config: Path, arguments: list[str], said: str
) -> None:
    result = CliRunner().invoke(cli, ["events", *arguments, "-c", str(config)])
    assert isinstance(result.exception, ConfigError)
    assert said in str(result.exception)


def test_an_unknown_type_is_refused_if_all_sources_are_fineract(config: Path) -> None:
    lines = [line for line in CONFIG.splitlines() if "orders" not in line and 'topics: ["outbox' not in line]
    config.write_text("\n".join(lines))
    result = CliRunner().invoke(cli, ["events", "off", "LoanAprovedBusinessEvent", "-c", str(config)])
    assert isinstance(result.exception, ConfigError)
    assert 'did you mean "LoanApprovedBusinessEvent"?' in str(result.exception)
