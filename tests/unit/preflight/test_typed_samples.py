"""A sample has the types that its source's schema declares, as the event that is delivered."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from bridge.cli import cli
from bridge.errors import ConfigError
from bridge.formats.avro.decoder import Plan
from bridge.preflight.samples.typed import MisfitError, read_as

MONEY = {"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 8}
LOAN = {
    "type": "record", "name": "LoanAccountDataV1", "namespace": "org.apache.fineract.avro.loan.v1",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "principal", "type": ["null", MONEY]},
        {"name": "active", "type": "boolean"},
        {"name": "note", "type": ["null", "string"]},
        {"name": "charges", "type": {"type": "array", "items": {
            "type": "record", "name": "Charge", "fields": [{"name": "amount", "type": MONEY}]}}},
        {"name": "last", "type": ["null", "Charge"]},
        {"name": "fees", "type": {"type": "map", "values": MONEY}},
    ],
}  # fmt: skip
CONFIG = """\
kafka: {bootstrap_servers: ["127.0.0.1:1"]}
sources:
  bank: {topics: [external-events], format: fineract, schemas: avro}
  ledger: {topics: [ledger], format: avro, schema_file: avro/loan.avsc, id: id, type: record:topic}
  orders: {topics: [orders], format: json, id: id, type: type}
endpoints:
  big:
    url: https://a.example/hooks
    when: data.principal > 1000 or data.charges[0].amount > 1000 or data.fees.late > 1000
    body: {template: '{"p": "{{ data.principal }}"}'}
"""
NAMED = {"org.apache.fineract.avro.loan.v1.LoanAccountDataV1": LOAN}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "avro").mkdir()
    (tmp_path / "avro" / "loan.avsc").write_text(json.dumps(LOAN))
    path = tmp_path / "bridge.yaml"
    path.write_text(CONFIG)
    return path


def run(
    config: Path, data: Any, *command: str, type_: str = "LoanApprovedBusinessEvent", **more: Any
) -> Result:
    file = config.parent / "event.json"
    text = data if isinstance(data, str) else json.dumps(data)
    facts = json.dumps({"type": type_, **more})
    file.write_text(f'{facts[:-1]}, "data": {text}}}')
    words = [str(file) if word == "FILE" else word for word in command]
    return CliRunner().invoke(cli, [*words, "-c", str(config)])


@pytest.mark.parametrize("source", ["bank", "ledger"])
@pytest.mark.parametrize(
    "data",
    [
        {"principal": "5000.00"},
        {"principal": 5000},
        {"principal": 5000.00},
        {"principal": "0", "charges": [{"amount": "1000.00000001"}]},
        {"principal": None, "fees": {"late": "5000"}},
    ],
)
def test_an_amount_compares_as_the_decimal_that_its_schema_declares(
    config: Path, source: str, data: Any
) -> None:
    result = run(config, data, "route", "FILE", source=source)
    assert result.exit_code == 0, result.output
    assert "big  gets it" in result.output


def test_the_same_text_stays_text_where_the_format_has_no_schema(config: Path) -> None:
    result = run(config, {"principal": "5000.00"}, "route", "FILE", source="orders", type_="OrderPaid")
    assert "big  parked, unsent: the filter" in result.output


def test_a_template_prints_the_digits_that_the_decoder_gives(config: Path) -> None:
    result = run(config, {"principal": "5000.00"}, "render", "-e", "big", "-s", "FILE", source="bank")
    assert result.output.endswith('{"p": "5000.00000000"}\n')
    result = run(config, '{"principal": 0.10000000000000000001}', "render", "-e", "big", "-s", "FILE",
                 source="orders", type_="OrderPaid")  # fmt: skip
    assert result.output.endswith('{"p": "0.10000000000000000001"}\n'), "JSON loses no digit either"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"principal": "much"}, "data.principal is not a number"),
        ({"principal": True}, "data.principal is not a number"),
        ({"principal": "1e99999"}, "data.principal is not a number that a decimal can hold"),
        ({"principal": "0.123456789"}, "data.principal has more than 8 decimal places"),
        ({"charges": [{"amount": "1"}, {"amount": "x"}]}, "data.charges[1].amount is not a number"),
        ({"charges": {"amount": "1"}}, "data.charges is not a list"),
        ({"id": "4.5"}, "data.id is not a whole number"),
        ({"active": "yes"}, "data.active is not true or false"),
        ({"note": 5}, "data.note is not text"),
        ([], "data is not a mapping"),
    ],
)
def test_a_value_that_the_schema_does_not_allow_is_refused_with_its_path(
    config: Path, data: Any, said: str
) -> None:
    result = run(config, data, "route", "FILE", source="bank")
    assert isinstance(result.exception, ConfigError)
    assert f"event.json: {said}" in str(result.exception)


def test_a_type_without_a_schema_is_taken_as_json_with_a_note(config: Path) -> None:
    result = run(config, {"amount": "1"}, "route", "FILE", source="bank", type_="SavingsDepositBusinessEvent")
    assert result.exit_code == 0
    assert "note: bank: no schema of SavingsDepositBusinessEvent is known" in result.stderr


NUMBERS = st.decimals(allow_nan=False, allow_infinity=False, places=8, min_value=-(10**9), max_value=10**9)


@given(NUMBERS, st.integers(-(2**60), 2**60), st.booleans(), st.none() | st.text(max_size=5))
def test_what_was_read_equals_what_the_decoder_returns(
    amount: Decimal, number: int, active: bool, note: str | None
) -> None:
    """Compare with the real decoder, through bytes that fastavro writes."""
    import io

    import fastavro

    schema = fastavro.parse_schema(json.loads(json.dumps(LOAN)), named := {})
    whole = {"id": number, "principal": amount, "active": active, "note": note,
             "charges": [{"amount": amount}], "last": {"amount": amount}, "fees": {"x": amount}}  # fmt: skip
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, schema, whole)
    delivered = Plan(schema, named).read(stream.getvalue(), 0)
    written = {"id": str(number), "principal": str(amount), "active": active, "note": note,
               "charges": [{"amount": f"{amount:f}"}], "last": {"amount": str(amount)},
               "fees": {"x": str(amount)}}  # fmt: skip
    read = read_as(written, schema, named)
    assert read == delivered
    assert str(read["principal"]) == str(delivered["principal"]), "the same digits too"


@pytest.mark.parametrize(
    ("value", "kind", "read"),
    [
        ("aGk=", "bytes", b"hi"),
        ("aGk=", {"type": "fixed", "name": "F", "size": 2}, b"hi"),
        ("A", {"type": "enum", "name": "E", "symbols": ["A"]}, "A"),
        ("1.5", "double", 1.5),
        (3, ["null", "string", "long"], 3),
        (None, ["null", "string"], None),
        (7, {"type": {"type": "long"}}, 7),
    ],
)
def test_each_kind_of_type_is_read(value: Any, kind: Any, read: Any) -> None:
    assert read_as(value, kind, {}) == read


@pytest.mark.parametrize(
    ("value", "kind"),
    [("x", "bytes"), ("aGk=", {"type": "fixed", "name": "F", "size": 3}), ("B", {"type": "enum", "name": "E",
     "symbols": ["A"]}), (None, ["string"]), (1, "null"), ([1], {"type": "map", "values": "int"})],
)  # fmt: skip
def test_what_fits_no_type_is_refused(value: Any, kind: Any) -> None:
    with pytest.raises(MisfitError):
        read_as(value, kind, {})
