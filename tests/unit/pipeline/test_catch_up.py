"""Catch-up readers while the broker is unavailable."""

from __future__ import annotations

import asyncio

from structlog.testing import capture_logs

from bridge.core.cursor import Cursor
from bridge.errors import KafkaUnavailable
from bridge.model import Partition
from bridge.pipeline.catch_up import CatchUp
from bridge.pipeline.cursor_start import EndpointCursor
from bridge.pipeline.outage import OutageBackoff
from bridge.telemetry import events
from tests.support.fake_group import FakeSideReader
from tests.support.fakes import Log
from tests.support.simulated import simulated

ORDERS = Partition("orders", 0)


class Away(FakeSideReader):
    """A reader that cannot connect."""

    tries = 0

    async def __aenter__(self) -> FakeSideReader:
        Away.tries += 1
        raise KafkaUnavailable("no broker answers")


@simulated
async def test_catch_ups_log_an_unavailable_broker_once_per_minute_in_all() -> None:
    outage = OutageBackoff()

    async def nothing(partition: Partition, records: object, cursor: EndpointCursor) -> bool:
        raise AssertionError("nothing is read")

    def behind(endpoint: str) -> CatchUp:
        cursor: EndpointCursor = Cursor(ORDERS, 0, window=10, window_bytes=1000, endpoint=endpoint)
        cursor.detach_if_passed(5)
        return CatchUp(
            endpoint,
            has_plenty=lambda: False,
            cursors=lambda: [cursor],
            open_reader=lambda: Away(Log()),
            before_read=lambda: None,
            accept=nothing,
            main_at=lambda _: 5,
            attached=lambda _: None,
            ended=lambda: None,
            outage=outage,
            wake=asyncio.Event(),
        )

    with capture_logs() as logs:
        running = [asyncio.ensure_future(behind(endpoint).run()) for endpoint in ("crm", "shop", "erp")]
        await asyncio.sleep(90)
        for task in running:
            task.cancel()
    assert [line["event"] for line in logs] == [events.SOURCE_FAILED] * 2
    assert Away.tries > 3 * 80, "each tries every second"
