"""``hookferry route`` and what ``hookferry events`` says before it asks Kafka."""

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


def asked(config: Path, event: Any, *more: str) -> list[str]:
    """The lines of ``hookferry route`` for an event (text stands in the file as it is)."""
    file = config.parent / "event.json"
    file.write_text(event if isinstance(event, str) else json.dumps(event))
    result = CliRunner().invoke(cli, ["route", str(file), "-c", str(config), *more])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return [line.rstrip() for line in result.output.splitlines()]


def test_each_endpoint_gets_it_or_it_is_said_which_setting_says_no(config: Path) -> None:
    event = {"type": "OrderPaid", "topic": "outbox.more", "tenant": "acme", "headers": {"region": "us-1"}}
    assert asked(config, event | {"data": {"amount": 100.5, "currency": "EUR"}}) == [
        "OrderPaid of source orders, topic outbox.more",
        "all    gets it",
        'loans  no, sources: "orders" is none of fineract',
        "big    no, when: the filter is false",
        '         when: data.amount > 100 and data.currency == "USD"',
        "         data.amount = 100.5",
        '         data.currency = "EUR"',
        'eu     no, record_headers: region: "us-1" is none of eu-*',
    ]


def test_who_gets_it_by_a_filter_sees_what_it_looked_at(config: Path) -> None:
    event = {"type": "x", "source": "orders", "tenant": "acme", "headers": {"region": "eu-1"}}
    lines = asked(config, event | {"data": {"amount": 101, "currency": "USD"}})
    assert lines[0] == "x of source orders, topic outbox.orders"
    assert lines[3:5] == ["big    gets it", '         when: data.amount > 100 and data.currency == "USD"']
    assert lines[-1] == "eu     gets it"


def test_what_the_filter_cannot_judge_is_said_to_be_parked(config: Path) -> None:
    lines = asked(config, {"type": "x", "source": "orders", "data": {"amount": "500"}})
    assert lines[3].startswith("big    parked, unsent: the filter")
    assert "text > a number" in lines[3]
    assert lines[5:7] == ['         data.amount = "500"', "         data.currency = not there"]


def test_a_sample_is_at_home_in_the_source_of_its_format(config: Path) -> None:
    result = CliRunner().invoke(cli, ["route", "--sample", "LoanApprovedBusinessEvent", "-c", str(config)])
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert lines[0] == "LoanApprovedBusinessEvent of source fineract, topic external-events"
    assert lines[2] == "loans  gets it"
    assert lines[3] == 'big    no, topics: "external-events" is none of outbox.*'
    result = CliRunner().invoke(cli, ["route", "--sample", "OrderPaid", "-c", str(config)])
    assert result.output.startswith("OrderPaid of source orders, topic outbox.orders\n")


@pytest.mark.parametrize(
    ("event", "more", "said"),
    [
        ("{", (), "event.json:1:"),
        ("[]", (), "needs a type and data"),
        ({"data": {}}, (), "needs a type and data"),
        ({"type": "x", "data": {}, "tpye": 1}, (), "tpye"),
        ({"type": "x", "data": {}}, (), "add --source, one of orders, fineract"),
        ({"type": "x", "data": {}, "source": "order"}, (), 'no source "order"; did you mean "orders"?'),
        ({"type": "x", "data": {}}, ("--source", "order"), 'no source "order"; did you mean "orders"?'),
        ({"type": "x", "data": {}, "topic": "outbox.order", "source": "orders"}, (),
         'does not read the topic "outbox.order"; did you mean "outbox.orders"?'),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_said(
    config: Path, event: Any, more: tuple[str, ...], said: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        asked(config, event, *more)
    assert said in str(raised.value)


def test_one_of_file_and_sample_is_needed(config: Path) -> None:
    for arguments in ([], ["event.json", "--sample", "x"]):
        result = CliRunner().invoke(cli, ["route", *arguments, "-c", str(config)])
        assert result.exit_code == 2
        assert "either a FILE or --sample TYPE" in result.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["off", "Loan*", "--endpoint", "bigg"], 'has no endpoint "bigg"; did you mean "big"?'),
        (["on", "Loan*", "--endpoint", "bigg"], 'has no endpoint "bigg"; did you mean "big"?'),
        (["off", "!Loan*"], "without !"),
        (["off", "Loan["], "never closed"),
        (["off", "Loan\n"], "control characters"),
        (["off", "x" * 301], "longer than 300"),
    ],
)
def test_a_mistyped_switch_is_refused_before_kafka_is_asked(
    config: Path, arguments: list[str], said: str
) -> None:
    result = CliRunner().invoke(cli, ["events", *arguments, "-c", str(config)])
    assert isinstance(result.exception, ConfigError)
    assert said in str(result.exception)


def test_a_type_that_fineract_does_not_have_is_refused_where_all_are_known(config: Path) -> None:
    lines = [line for line in CONFIG.splitlines() if "orders" not in line and 'topics: ["outbox' not in line]
    config.write_text("\n".join(lines))
    result = CliRunner().invoke(cli, ["events", "off", "LoanAprovedBusinessEvent", "-c", str(config)])
    assert isinstance(result.exception, ConfigError)
    assert 'did you mean "LoanApprovedBusinessEvent"?' in str(result.exception)
