"""LAG counts the events that an endpoint selects and that are not settled, not offsets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from bridge.cli.backlog import count_events
from bridge.core import completion_map
from bridge.core.filter import Filter
from bridge.core.lag import CursorLag, cursor_lags
from bridge.core.routing import Router, Subscription
from bridge.core.switches import Switches
from bridge.formats.plain_json import PlainJsonDecoder
from bridge.formats.resent import AgainDecoder, packed
from bridge.model import Committed, Damage, Partition, Record, Resend
from bridge.wiring.event_counter import EventCounter

P0 = Partition("orders", 0)
AGAIN = Partition("g.again", 0)
DECODER = PlainJsonDecoder("orders", id="id", type="type", entity=None, time=None, data=None, tenant=None,
                           time_unit=None, max_value_bytes=1000)  # fmt: skip
SUBSCRIPTIONS = {
    "all": Subscription(),
    "paid": Subscription(("OrderPaid",)),
    "big": Subscription(when=Filter("data.amount > 100")),
}


def event(offset: int, type_: str = "OrderPlaced", id_: str | None = None, **more: Any) -> Record:
    value = json.dumps({"id": id_ or f"e{offset}", "type": type_, "amount": 1, **more}).encode()
    return Record(P0, offset, 1_000_000 + offset, b"k", value)


def rows(commits: Mapping[str, Committed], end: int, partition: Partition = P0) -> list[CursorLag]:
    return [
        row
        for name, commit in commits.items()
        for row in cursor_lags(name, True, {partition: commit}, {partition: end}, [partition])
    ]


def count(
    records: list[Record], commits: Mapping[str, Committed], off: Mapping[str, list[str]] | None = None
) -> dict[str, tuple[int, int | None]]:
    """Return the number of events and the time of the oldest, by endpoint."""
    router = Router(SUBSCRIPTIONS)
    router.turn_off(off or {})
    cursors = rows(commits, 100)
    counter = EventCounter(router, cursors)
    for record in records:
        if counter.needs(record):
            counter.take(record, DECODER.decode(record))
    return {row.endpoint: counter.backlog(row, "exact")[::2] for row in cursors}


EVERYONE = {name: Committed(0, "") for name in SUBSCRIPTIONS}


def test_only_the_events_that_an_endpoint_selects_count() -> None:
    records = [event(0), event(1, "OrderPaid"), event(2, amount=500), event(3, "OrderPaid", amount=101)]
    assert count(records, EVERYONE) == {
        "all": (4, 1_000_000), "paid": (2, 1_000_001), "big": (2, 1_000_002),
    }  # fmt: skip


def test_what_is_settled_above_the_committed_offset_does_not_count() -> None:
    text, _ = completion_map.encode(10, [10, 13], 15)
    commits = {"all": Committed(10, text), "paid": Committed(12, "")}
    records = [event(offset, "OrderPaid") for offset in range(8, 17)]
    assert count(records, commits) == {"all": (4, 1_000_010), "paid": (5, 1_000_012)}


def test_a_repetition_of_the_producer_counts_once() -> None:
    assert count([event(0, id_="a"), event(1, id_="a"), event(2, id_="b")], EVERYONE)["all"] == (2, 1_000_000)


def test_types_that_are_switched_off_do_not_count() -> None:
    records = [event(0), event(1, "OrderPaid")]
    assert count(records, EVERYONE, off={"all": ["OrderP*"], "paid": []})["all"] == (0, None)


def test_a_filter_that_cannot_be_evaluated_counts_because_the_event_will_be_parked() -> None:
    assert count([event(0, amount="much")], EVERYONE)["big"] == (1, 1_000_000)


def test_a_damaged_record_needs_no_decoding() -> None:
    damaged = event(0)._replace(damage=Damage("broken", "write it again", 1))
    assert not EventCounter(Router(SUBSCRIPTIONS), rows(EVERYONE, 9)).needs(damaged)


@pytest.mark.parametrize(("endpoint", "counted"), [("paid", {"paid"}), (None, {"all", "big"})])
def test_a_redriven_event_counts_for_its_endpoint(endpoint: str | None, counted: set[str]) -> None:
    """Without an endpoint it goes to all that select it."""
    origin = event(5, amount=500)
    record = Record(AGAIN, 0, 7, b"k", origin.value, packed(Resend(origin, endpoint, "r1")))
    cursors = rows(EVERYONE, 1, AGAIN)
    counter = EventCounter(Router(SUBSCRIPTIONS), cursors)
    counter.take(record, AgainDecoder(lambda _: DECODER, SUBSCRIPTIONS).decode(record))
    assert {row.endpoint for row in cursors if counter.backlog(row, "exact").events} == counted


def test_a_record_whose_schema_is_unknown_counts_everywhere() -> None:
    cursors = rows(EVERYONE, 1)
    counter = EventCounter(Router(SUBSCRIPTIONS), cursors)
    counter.take_unknown(event(0))
    assert [counter.backlog(row, "exact").events for row in cursors] == [1, 1, 1]


CONFIG = """\
kafka: {bootstrap_servers: ["k:9092"]}
sources:
  orders: {topics: [orders], format: json, id: id, type: type}
  cards: {topics: [cards], format: confluent, id: id, registry: {url: "${env:NOT_SET}"}}
  bank: {topics: [bank], format: fineract, schemas: gone}
endpoints: {crm: {url: "${env:NOT_SET}", sources: [orders]}}
"""


def test_a_source_that_cannot_be_decoded_here_keeps_its_offsets_and_the_others_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "bridge.yaml"
    file.write_text(CONFIG)

    async def read(
        settings: Any, decoders: Any, counter: EventCounter, rows: Any, scan: int, begin_bar: Any
    ) -> set[Partition]:
        assert [row.partition for row in rows] == [P0]
        for offset in range(3):
            counter.take(event(offset), decoders["orders"].decode(event(offset)))
        return {P0}

    monkeypatch.setattr(import_module("bridge.wiring.backlog"), "_read", read)
    cards = Partition("cards", 0)
    both = [
        row._replace(endpoint="crm")
        for partition in (P0, cards)
        for row in rows({"all": Committed(0, "")}, 9, partition)
    ]
    counted = asyncio.run(count_events(file, both, Switches(), 10))
    assert [str(row.backlog) for row in counted] == ["3", "≤9"]
    told = capsys.readouterr().err
    assert "LAG of source cards is in offsets: " in told
    assert "LAG of source bank is in offsets: " in told
    assert [str(row.backlog) for row in asyncio.run(count_events(file, both, Switches(), 0))] == ["≤9", "≤9"]
