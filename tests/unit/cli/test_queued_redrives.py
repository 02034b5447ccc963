"""What was redriven and not yet settled is queued: `parked list` shows it, and `redrive` says so."""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from click.testing import CliRunner, Result

from bridge.cli import cli
from bridge.cli.again import find_waiting_requests
from bridge.core import completion_map
from bridge.core.changes import Change
from bridge.dead_letters.letter import Fate, Letter, LetterFilter, Settlement
from bridge.dead_letters.resend_request import ResendRequest
from bridge.dead_letters.store import DeadLetterStore
from bridge.formats.resent import MARK_VALUE, packed, packed_mark
from bridge.kafka.client import KafkaOptions
from bridge.kafka.session import AdminSession
from bridge.kafka.side_reader import SideReader
from bridge.model import Committed, LaneKey, Partition, Record, RedriveMark, Resend
from bridge.wiring import audit
from tests.support.letters import letter_at

AGAIN = Partition("g.again", 0)
CONFIG = """\
group: g
kafka: {bootstrap_servers: ['nowhere:1']}
sources: {orders: {topics: [orders], format: json, id: id, type: type, entity: entity}}
endpoints:
  crm: {url: 'http://127.0.0.1:9/', allow_http: true}
  erp: {url: 'http://127.0.0.1:9/', allow_http: true}
"""


class Broker:
    """The topics ``g.parked`` and ``g.again``, and the cursors in the latter.

    ``bridge`` is called whenever a command reads the cursors.
    """

    def __init__(self, letters: Sequence[Letter]) -> None:
        self.letters = list(letters)
        self.again: list[Record] = []
        self.cursors: dict[str, Committed] = {"crm": Committed(0, ""), "erp": Committed(0, "")}
        self.bridge: Any = lambda: None
        self.changes: list[Change] = []

    def request(self, letter: Letter, endpoint: str | None = "crm") -> None:
        resend = Resend(letter.origin, endpoint, letter.again_id)
        self.again.append(Record(AGAIN, len(self.again), 0, b"k", b"{}", packed(resend)))
        letter.settlements.append(
            Settlement(letter.address, Fate.REDRIVEN, 1, "ann", again_id=resend.again_id)
        )

    def settle_all(self) -> None:
        self.cursors = dict.fromkeys(self.cursors, Committed(len(self.again), ""))


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    """Replace the connections of the commands by a broker in memory."""
    broker = Broker([letter_at(5), letter_at(6, offset="18")])

    async def enter(self: Any) -> Any:
        return self

    async def leave(self: Any, *_: object) -> None:
        return None

    async def find(self: Any, wanted: LetterFilter) -> list[Letter]:
        return copy.deepcopy([letter for letter in broker.letters if wanted.matches(letter)])

    async def redrive(self: Any, requests: Sequence[ResendRequest], by: str) -> int:
        asked = {request.letter.address for request in requests}
        for letter in broker.letters:
            if letter.address in asked:
                broker.request(letter)
        return len(requests)

    async def holds(self: Any) -> dict[Any, Any]:
        return {}

    async def committed(self: Any, group: str) -> dict[Partition, Committed]:
        broker.bridge()
        at = broker.cursors.get(group.removeprefix("g."))
        return {} if at is None else {AGAIN: at}

    async def log_ends(self: Any, topics: object) -> dict[Partition, int]:
        return {AGAIN: len(broker.again)}

    async def begins(self: Any, partitions: Sequence[Partition]) -> dict[Partition, int]:
        return dict.fromkeys(partitions, 0)

    async def stretch(self: Any, _: Partition, start: int, end: int) -> AsyncIterator[list[Record]]:
        yield broker.again[start:end]

    fakes: Mapping[type, dict[str, Any]] = {
        DeadLetterStore: {"__aenter__": enter, "__aexit__": leave, "find": find, "redrive": redrive,
                          "holds": holds, "unreadable": property(lambda self: {}),
                          "again_partitions": property(lambda self: 9)},
        AdminSession: {"__aenter__": enter, "__aexit__": leave, "committed": committed, "log_ends": log_ends},
        SideReader: {"__init__": lambda self, *_, **__: None, "__aenter__": enter, "__aexit__": leave,
                     "begins": begins, "stretch": stretch},
    }  # fmt: skip
    for owner, methods in fakes.items():
        for name, fake in methods.items():
            monkeypatch.setattr(owner, name, fake)

    async def record(settings: Any, change: Change) -> None:
        broker.changes.append(change)

    monkeypatch.setattr(audit, "record_change", record)
    return broker


@pytest.fixture
def config(tmp_path: Path) -> str:
    file = tmp_path / "bridge.yaml"
    file.write_text(CONFIG)
    return str(file)


def run(config: str, *words: str) -> Result:
    return CliRunner().invoke(cli, ["parked", *words, "-c", config])


def test_without_a_bridge_a_redrive_says_what_waits_and_the_list_shows_it(
    broker: Broker, config: str
) -> None:
    result = run(config, "redrive", "-e", "crm", "--yes", "--wait", "0.1")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[-1] == "2 written to g.again"
    assert "2 wait in g.again: no bridge has settled them" in result.stderr
    assert "settled" not in result.stdout
    assert "delivered" not in result.output
    listed = run(config, "list")
    assert listed.stdout.count("queued") == 2
    assert "2 parked; 2 of all are queued in g.again" in listed.stderr
    assert {row["state"] for row in json.loads(run(config, "list", "--json").stdout)} == {"queued"}


def test_a_redrive_reports_what_was_delivered_and_what_was_parked_again(broker: Broker, config: str) -> None:
    def bridge() -> None:
        if broker.again and len(broker.letters) == 2:
            broker.letters.append(letter_at(9, offset="18", parked_at_ms="1800000000000"))
            broker.settle_all()

    broker.bridge = bridge
    result = run(config, "redrive", "-e", "crm", "--yes")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[-2:] == ["2 written to g.again", "1 delivered"]
    assert "1 parked again: 1:9" in result.stderr


def test_without_waiting_the_exit_code_is_the_same_however_fast_the_bridge_is(
    broker: Broker, config: str
) -> None:
    def bridge() -> None:
        if broker.again and len(broker.letters) == 2:
            broker.letters.append(letter_at(9, offset="18", parked_at_ms="1800000000000"))
            broker.settle_all()

    broker.bridge = bridge
    result = run(config, "redrive", "-e", "crm", "--yes", "--wait", "0")
    assert (result.exit_code, "1 parked again: 1:9" in result.stderr) == (0, True)


def test_what_was_rejected_for_all_is_not_called_delivered(broker: Broker, config: str) -> None:
    """No endpoint may select it."""
    broker.letters = [letter_at(5, endpoint=None)]
    broker.bridge = broker.settle_all
    result = run(config, "redrive", "-e", "*", "--yes")
    assert (result.exit_code, "delivered" in result.stdout) == (0, False)
    assert "1 decoded, and sent to every endpoint that selects them" in result.stdout


def test_a_redrive_that_is_delivered_ends_well(broker: Broker, config: str) -> None:
    broker.bridge = broker.settle_all
    result = run(config, "redrive", "-e", "crm", "--yes")
    assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "2 delivered")
    assert run(config, "list").stderr.startswith("nothing is parked")
    assert run(config, "list", "--all").stdout.count("redriven") == 2


def test_a_redrive_and_a_discard_print_one_document_too(broker: Broker, config: str) -> None:
    dry = run(config, "redrive", "-e", "crm", "--dry-run", "-o", "json")
    document = json.loads(dry.stdout)
    assert (document["dry_run"], [one["address"] for one in document["selected"]]) == (True, ["1:5", "1:6"])
    broker.bridge = broker.settle_all
    document = json.loads(run(config, "redrive", "-e", "crm", "--yes", "-o", "json").stdout)
    assert [document[name] for name in ("written", "delivered", "parked_again", "waiting", "blocked")] == [
        2, 2, [], 0, [],
    ]  # fmt: skip
    document = json.loads(
        run(config, "discard", "-e", "crm", "--reason", "x", "--dry-run", "-o", "json").stdout
    )
    assert document == {"dry_run": True, "selected": []}, "they are settled"


def test_without_waiting_a_redrive_ends_well_and_still_says_what_waits(broker: Broker, config: str) -> None:
    result = run(config, "redrive", "-e", "crm", "--yes", "--wait", "0")
    assert result.exit_code == 0
    assert "2 wait in g.again" in result.stderr
    (change,) = broker.changes
    assert (change.action, change.subject) == ("parked redrive", "1:5, 1:6")


async def waiting(broker: Broker) -> dict[str, set[str]]:
    from types import SimpleNamespace

    from bridge.settings import Settings

    kafka = SimpleNamespace(
        bootstrap_servers=(), security_protocol="PLAINTEXT", sasl=None, compression="none"
    )
    settings = SimpleNamespace(group="g", kafka=kafka, endpoints={"crm": 1, "erp": 1})
    session = AdminSession(KafkaOptions(("nowhere:1",)))
    found = await find_waiting_requests(session, cast("Settings", settings))
    return {request: set(names) for request, names in found.items()}


async def test_a_request_waits_until_every_endpoint_that_it_is_for_has_settled_it(broker: Broker) -> None:
    one, two = broker.letters
    broker.request(one)
    broker.request(two, None)
    ids = [letter.settlements[-1].again_id for letter in (one, two)]
    assert await waiting(broker) == {ids[0]: {"crm"}, ids[1]: {"crm", "erp"}}
    broker.cursors["crm"] = Committed(2, "")
    assert await waiting(broker) == {ids[1]: {"erp"}}
    broker.cursors["crm"] = Committed(0, completion_map.encode(0, [0], 2).text)
    assert await waiting(broker) == {ids[0]: {"crm"}, ids[1]: {"erp"}}, "settled above the committed offset"
    del broker.cursors["crm"]
    assert await waiting(broker) == {ids[0]: {"crm"}, ids[1]: {"crm", "erp"}}, "no commit yet"
    broker.settle_all()
    broker.cursors["crm"] = Committed(2, "")
    assert await waiting(broker) == {}


async def test_marks_and_foreign_records_are_no_requests(broker: Broker) -> None:
    mark = RedriveMark("crm", LaneKey("orders", 0, b"k", ""), "m", "r", 1)
    broker.again = [
        Record(AGAIN, 0, 0, b"k", MARK_VALUE, packed_mark(mark)), Record(AGAIN, 1, 0, b"k", b"junk", ()),
    ]  # fmt: skip
    assert await waiting(broker) == {}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["list", "-e", "nosuch"], 'there is no endpoint "nosuch"; the endpoints are crm, erp'),
        (["list", "-e", "crn"], 'did you mean "crm"?'),
        (["list", "--holds", "-e", "crn"], 'did you mean "crm"?'),
        (["redrive", "-e", "epr"], 'did you mean "erp"?'),
        (["discard", "-e", "crmm", "--reason", "x"], 'did you mean "crm"?'),
    ],
)
def test_a_misspelt_endpoint_is_an_error_with_the_nearest(
    broker: Broker, config: str, words: list[str], said: str
) -> None:
    result = run(config, *words)
    assert said in str(result.exception)


def test_an_endpoint_that_only_has_dead_letters_is_known(broker: Broker, config: str) -> None:
    broker.letters = [letter_at(5, endpoint="removed")]
    assert run(config, "list", "-e", "removed").exit_code == 0
    assert run(config, "list", "-e", "*").exit_code == 0
    assert run(config, "list", "-e", "erp").exit_code == 0


def test_a_type_that_no_endpoint_selects_is_an_error(broker: Broker, config: str) -> None:
    Path(config).write_text(CONFIG.replace("allow_http: true", "allow_http: true, events: [OrderPaid]"))
    assert 'did you mean "OrderPaid"?' in str(run(config, "list", "--type", "OrderPiad").exception)
    assert run(config, "list", "--type", "LoanA*").exit_code == 0, "a parked event has it"
    assert run(config, "list", "--type", "Order*").exit_code == 0
    assert 'did you mean "OrderPaid"?' in str(run(config, "redrive", "--type", "OrderPad").exception)


def test_a_long_cause_is_whole_in_a_pipe(broker: Broker, config: str) -> None:
    broker.letters = [letter_at(5, cause="x" * 500, entity="e" * 100)]
    assert "x" * 500 in run(config, "list").stdout
    assert "e" * 100 in run(config, "list").stdout
