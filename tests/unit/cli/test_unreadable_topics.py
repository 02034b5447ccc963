"""``inspect`` and ``parked`` name the records of a topic that cannot be read, and go on with the others."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bridge.cli import cli
from bridge.dead_letters.letter import Address, Letter, LetterFilter
from bridge.dead_letters.store import DeadLetterStore
from bridge.model import Damage, Partition, Record
from tests.support.letters import letter_at

ORDERS = Partition("orders", 0)
UNREADABLE = Record(ORDERS, 1, 0, None, b"raw", (), Damage("a wrong length", "write it again", 2, "record"))
SOUND = Record(ORDERS, 0, 0, None, json.dumps({"id": "a", "type": "Paid", "entity": "e"}).encode())


@pytest.mark.parametrize(("records", "exits"), [([SOUND, UNREADABLE], 0), ([UNREADABLE], 1)])
def test_inspect_lists_a_record_that_cannot_be_read_and_shows_the_others(
    monkeypatch: pytest.MonkeyPatch, records: list[Record], exits: int
) -> None:
    async def read_last(*_: Any) -> list[Record]:
        return records

    monkeypatch.setattr(import_module("bridge.cli.inspect_records"), "read_last", read_last)
    result = CliRunner().invoke(cli, ["inspect", "--topic", "orders", "--brokers", "nowhere:1"])
    assert result.exit_code == exits, result.output
    assert "orders-0@1: cannot be read: a wrong length; write it again" in result.output
    assert ("format:  json" in result.output) == (len(records) == 2)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return a configuration whose dead-letter topic has one letter, and one record that cannot be read."""
    file = tmp_path / "bridge.yaml"
    file.write_text(
        "group: g\nkafka: {bootstrap_servers: ['nowhere:1']}\n"
        "sources: {orders: {topics: [orders], format: json, id: id, type: type, entity: entity}}\n"
        "endpoints: {crm: {url: 'https://crm.example.com/'}}\n"
    )

    async def enter(self: DeadLetterStore) -> DeadLetterStore:
        return self

    async def leave(self: DeadLetterStore, *_: object) -> None:
        return None

    async def find(self: DeadLetterStore, wanted: LetterFilter) -> list[Letter]:
        return [letter_at(5)]

    assert UNREADABLE.damage is not None
    damaged = {Address(1, 6): UNREADABLE.damage}
    for name, fake in {"__aenter__": enter, "__aexit__": leave, "find": find}.items():
        monkeypatch.setattr(DeadLetterStore, name, fake)
    monkeypatch.setattr(DeadLetterStore, "unreadable", property(lambda self: damaged))
    return str(file)


def test_parked_list_names_what_it_cannot_read(config: str) -> None:
    result = CliRunner().invoke(cli, ["parked", "list", "-c", config])
    assert result.exit_code == 0, result.output
    assert "1:6 cannot be read: a wrong length" in result.output
    assert "1:5" in result.output


def test_parked_show_of_what_cannot_be_read_gives_the_cause(config: str) -> None:
    result = CliRunner().invoke(cli, ["parked", "show", "-c", config, "1:6"])
    assert "1:6 cannot be read: a wrong length" in str(result.exception or result.output)
