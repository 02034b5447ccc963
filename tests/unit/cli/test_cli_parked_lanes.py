"""Held lanes on the command line: how they are selected, shown, and reported."""

from __future__ import annotations

import pytest

from bridge.cli import parked_lanes
from bridge.dead_letters.hold import Hold, HoldKey
from bridge.dead_letters.letter import Address, Letter, LetterFilter
from bridge.dead_letters.redrive import Outcome
from bridge.model import LaneKey, Partition, Record
from bridge.telemetry.scrub import in_force
from bridge.telemetry.secret_forms import Secret

KEY, OTHER = HoldKey("crm", "a" * 32), HoldKey("shop", "b" * 32)
HOLD = Hold(
    LaneKey("orders", 3, b"e1", "acme"), 1_700_000_000_000, "orders-3@17", 0, "orders-3@19", 3, "r", "e1"
)
HOLDS = {KEY: HOLD, OTHER: HOLD}


def letter(
    offset: int, at: int = 5, *, behind: str | None = None, cause: str = "status 400", index: int = 0
) -> Letter:
    facts = {"cause": cause, "parked-at-ms": "1", "endpoint": "crm", "lane": KEY.lane_id}
    facts |= {"held-behind": behind} if behind else {}
    facts |= {"event-index": str(index)} if index else {}
    return Letter(Address(0, at), Record(Partition("orders", 3), offset, 0, b"e1", None), 2, facts)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (LetterFilter(), {KEY, OTHER}),
        (LetterFilter(endpoint="crm"), {KEY}),
        (LetterFilter(entity="e1"), {KEY, OTHER}),
        (LetterFilter(endpoint="crm", entity="e2"), set()),
        (LetterFilter(endpoint="crm", reason="400"), set()),
        (LetterFilter(since_ms=1), set()),
    ],
)
def test_filters_by_endpoint_and_entity_select_lanes_without_waiting_events(
    wanted: LetterFilter, found: set[HoldKey]
) -> None:
    assert parked_lanes.select_lanes(HOLDS, wanted) == found


def test_a_held_lane_is_shown_with_the_event_it_waits_for_and_the_number_that_wait() -> None:
    letters = {KEY: [letter(17), letter(18, 6, behind="orders-3@17"), letter(19, 7, behind="orders-3@17")]}
    (shown,) = parked_lanes.documents({KEY: HOLD}, letters)
    assert shown == {
        "endpoint": "crm", "lane": KEY.lane_id, "partition": "orders-3", "entity": "e1", "tenant": "acme",
        "since": "2023-11-14T22:13:20Z", "waits_for": "orders-3@17", "parked": ["0:5"], "behind": 2,
    }  # fmt: skip
    head, row = parked_lanes.table([shown]).splitlines()
    assert head.split("  ")[0] == "HELD FOR"
    assert row.split() == ["crm", "e1", "2023-11-14T22:13:20Z", "orders-3@17", "0:5", "2"]


def test_the_report_names_every_lane_that_is_not_released_and_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert parked_lanes.report(Outcome(released=[KEY]), HOLDS)
    assert capsys.readouterr().out == "released: 1 held lane\n"
    refused = letter(18, 9, cause="status 422: token s3cret\x1b[2J")
    in_force.learn([Secret("s3cret")])
    assert not parked_lanes.report(Outcome(refused={KEY: refused}), HOLDS)
    assert capsys.readouterr().err == (
        "still held: crm, entity e1 (orders-3): parked again at 0:9: status 422: token *** [2J\n"
    )
    assert not parked_lanes.report(Outcome(waiting={KEY: HOLD}), HOLDS)
    assert "Is a bridge running" in capsys.readouterr().err
    assert not parked_lanes.report(Outcome(busy={KEY: HOLD}), HOLDS)
    assert "run the command again" in capsys.readouterr().err
