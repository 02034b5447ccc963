"""``hookferry inspect`` decodes every record that it read with the source that it prints."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bridge.cli import cli
from bridge.model import Partition, Record

ORDERS = Partition("orders", 0)


def record(offset: int, value: Any) -> Record:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Record(ORDERS, offset, offset, None, raw)


def inspect(monkeypatch: pytest.MonkeyPatch, records: list[Record], *more: str) -> Result:
    async def read_last(*_: Any) -> list[Record]:
        return records

    monkeypatch.setattr(import_module("bridge.cli.inspect_records"), "read_last", read_last)
    return CliRunner().invoke(cli, ["inspect", "--topic", "orders", "--brokers", "nowhere:1", *more])


GOOD = [record(at, {"id": f"e{at}", "type": "Paid", "entity": "7"}) for at in range(3)]


def test_a_record_that_the_printed_source_does_not_decode_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest record decides the source; an older one may lack the place of its id."""
    other = record(9, {"eventId": "x", "type": "Paid"})
    result = inspect(monkeypatch, [other, *GOOD])
    assert result.exit_code == 1
    assert "judged:  3 of 4 records are decoded with the source below" in result.output
    assert "  orders-0@9: " in result.output


def test_records_that_are_all_decoded_end_well(monkeypatch: pytest.MonkeyPatch) -> None:
    result = inspect(monkeypatch, GOOD)
    assert (result.exit_code, "judged:  3 of 3 records" in result.output) == (0, True)


def test_an_id_that_repeats_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    same = [record(at, {"id": "shop", "type": "Paid", "n": at}) for at in range(3)]
    assert "the id shop comes 3 times" in inspect(monkeypatch, same).output


def test_an_older_record_of_no_known_format_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    result = inspect(monkeypatch, [record(4, b"\xff\xfe"), record(5, b"\xff\xfd"), *GOOD])
    assert result.exit_code == 1
    assert "orders-0@4" in result.output
    assert "orders-0@5" in result.output


def test_several_formats_in_one_topic_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    tram = {"payload": "{}", "headers": {"ID": "1", "PARTITION_ID": "1", "DATE": "x", "event-type": "a.B",
            "event-aggregate-type": "B", "event-aggregate-id": "1"}}  # fmt: skip
    assert "The topic has several formats" in inspect(monkeypatch, [record(7, tram), *GOOD]).output


def test_the_document_has_every_record_and_the_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    document = json.loads(
        inspect(monkeypatch, [record(9, {"type": "Paid", "eventId": 1}), *GOOD], "--json").stdout
    )
    assert [one["decoded"] for one in document["records"]] == [False, True, True, True]
    assert document["records"][1]["events"][0]["id"] == "e0"
    assert document["sources"] == [
        {"orders": {"topics": ["orders"], "format": "json", "id": "id", "type": "type", "entity": "entity"}}
    ]
