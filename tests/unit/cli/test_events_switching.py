"""`events off` asks, because what is skipped is not sent later; `events on` refuses what was never off."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bridge.cli import cli, terminal
from bridge.core.changes import Change, read_change
from bridge.core.switches import EventTypes, Switch, Switches, read_switch, subject_of

CONFIG = """\
kafka: {bootstrap_servers: ["127.0.0.1:1"]}
sources: {orders: {topics: [orders], format: json, id: id, type: type}}
endpoints:
  crm: {url: "https://a.example/", events: [OrderPaid, "Invoice*"], secrets: ["${env:NOT_SET_HERE}"]}
  all: {url: "https://a.example/"}
"""


class Control:
    """The switches of a control topic in memory."""

    records: dict[EventTypes, Switch]
    changes: list[Change]

    def __init__(self, switches: Switches[EventTypes]) -> None:
        self._switches = switches

    async def load(self) -> None:
        for subject, switch in Control.records.items():
            self._switches.put(subject, switch)

    def switch(self, on: bool, reason: str) -> Switch:
        return Switch(on, "2026-06-29T08:15:30Z", "ann", reason)

    async def write_all(self, values: dict[bytes, bytes]) -> None:
        for key, value in values.items():
            if isinstance(subject := subject_of(key), EventTypes):
                Control.records[subject] = read_switch(value)
            else:
                Control.changes.append(read_change(value))


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    async def ensure(_: Any) -> None:
        return None

    Control.records, Control.changes = {}, []
    monkeypatch.setattr(terminal, "ensure_control_topic", ensure)
    monkeypatch.setattr(import_module("bridge.cli.events"), "_control", lambda _, switches: Control(switches))
    file = tmp_path / "bridge.yaml"
    file.write_text(CONFIG)
    return str(file)


def run(config: str, *words: str, typed: str = "") -> Result:
    return CliRunner().invoke(cli, ["events", *words, "-c", config], input=typed)


@pytest.mark.parametrize("types", ["*", "OrderPaid"])
def test_turning_off_asks_first_and_does_nothing_without_a_yes(config: str, types: str) -> None:
    for typed in ("", "n\n"):
        result = run(config, "off", types, typed=typed)
        assert result.exit_code == 1
        assert "are not sent later. Turn it off?" in result.stderr
        assert Control.records == {}
    assert run(config, "off", types, typed="y\n").exit_code == 0
    assert not Control.records[EventTypes(types)].on
    Control.records.clear()
    assert run(config, "off", types, "--yes").exit_code == 0
    assert not Control.records[EventTypes(types)].on


def test_turning_off_needs_no_secret_of_a_receiver(config: str) -> None:
    document = json.loads(run(config, "off", "OrderPaid", "-e", "crm", "--yes", "-o", "json").stdout)
    assert (document["types"], document["endpoint"], document["state"]) == ("OrderPaid", "crm", "off")


def test_a_switch_is_written_into_the_audit(config: str) -> None:
    run(config, "off", "OrderPaid", "-e", "crm", "--yes", "--reason", "flood")
    (change,) = Control.changes
    assert (change.by, change.action, change.subject, change.reason) == (
        "ann", "events off", "OrderPaid for crm", "flood",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["off", "OrderPiad", "-e", "crm", "--yes"], 'did you mean "OrderPaid"?'),
        (["on", "Typo"], '"Typo" was never switched off; no event type is off'),
        (["on", "OrderPiad", "-e", "crm"], 'did you mean "OrderPaid"?'),
    ],
)
def test_a_misspelt_type_is_an_error(config: str, words: list[str], said: str) -> None:
    assert said in str(run(config, *words).exception)
    assert Control.records == {}


def test_turning_on_what_is_not_off_names_what_is(config: str) -> None:
    run(config, "off", "InvoiceSent", "--yes")
    assert 'did you mean "InvoiceSent"?' in str(run(config, "on", "InvoiceSnt").exception)
    assert run(config, "on", "InvoiceSent").exit_code == 0
    assert "(it was already)" in run(config, "on", "InvoiceSent").stdout, "it was switched before"
    assert "(it was already)" in run(config, "on", "OrderPaid").stdout, "an endpoint lists it"


def test_turning_on_a_pattern_that_covers_a_switch_names_that_switch(config: str) -> None:
    run(config, "off", "InvoiceSent", "--yes")
    result = run(config, "on", "Inv*")
    assert result.exit_code == 0
    assert "still off by another switch: hookferry events on 'InvoiceSent'" in result.stdout
