"""Parking: retried until the record is acknowledged, and logged once with its reason."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from bridge.dead_letters.park import park_durably
from bridge.dead_letters.topic import Reason
from bridge.model import Partition, Record
from bridge.telemetry.sparse_log import SparseLog
from tests.support.fakes import FakeParking
from tests.support.simulated import simulated

RECORD = Record(Partition("orders", 0), 7, 0, b"e1", b"{}")
REASON = Reason("status 400", "fix it", endpoint="crm")


@pytest.mark.parametrize(
    ("refusals", "expected"),
    [(0, ["event.parked"]), (2, ["parking.failed", "parking.recovered", "event.parked"])],
)
def test_a_record_is_parked_after_any_number_of_refusals(refusals: int, expected: list[str]) -> None:
    parking = FakeParking()
    parking.refusals = refusals

    @simulated
    async def run() -> None:
        assert await park_durably(parking, RECORD, REASON, lambda: True, SparseLog())

    with capture_logs() as logs:
        run()
    assert [line["event"] for line in logs] == expected
    assert parking.parked == [(RECORD, REASON)]


@simulated
async def test_a_record_that_may_not_be_retried_is_not_reported_as_parked() -> None:
    parking = FakeParking()
    parking.refusals = 1
    with capture_logs() as logs:
        assert not await park_durably(parking, RECORD, REASON, lambda: False, SparseLog())
    assert [line["event"] for line in logs] == ["parking.failed"]
    assert parking.parked == []


@simulated
async def test_a_reason_that_was_just_logged_for_another_event_is_not_logged_again() -> None:
    with capture_logs() as logs:
        assert await park_durably(
            FakeParking(), RECORD, REASON._replace(logged=False), lambda: True, SparseLog()
        )
    assert logs == []
