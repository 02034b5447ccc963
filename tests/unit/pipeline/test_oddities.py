"""What is odd about an event is logged once a minute and counted every time."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs

from bridge.core.dedupe import Claim, claims_of
from bridge.formats.plain_json import PlainJsonDecoder
from bridge.model import Event, RedriveMark, Resend
from bridge.pipeline.oddities import Oddities
from bridge.telemetry import events
from bridge.telemetry.metrics import Metrics
from tests.support.fakes import P0, record
from tests.support.path import Process, World
from tests.support.simulated import simulated, until

DECODER = PlainJsonDecoder(
    "orders", id="id", type="type", entity="entity", time="at", data="data", max_value_bytes=9999
)


def data(n: int) -> dict[str, Any]:
    """Return data as ``FakeReceiver`` reads it."""
    return {"id": "a", "entity": "e", "n": n}


def value(**change: Any) -> bytes:
    return orjson.dumps({"id": "a", "type": "Paid", "entity": "e", "data": data(1)} | change)


def decode(**change: Any) -> Event:
    (event,) = DECODER.decode(record("a")._replace(value=value(**change)))
    return event


def of(logs: list[Any], name: str) -> list[Any]:
    return [line for line in logs if line["event"] == name]


@pytest.mark.parametrize(
    ("change", "part"), [({"type": "Voided"}, "type"), ({"data": data(2)}, "data"), ({"data": None}, "data")]
)
@simulated
async def test_a_dropped_duplicate_that_differs_is_logged_with_both_places_and_counted(
    change: dict[str, Any], part: str
) -> None:
    world = World(decoder=DECODER)
    for raw in (value(), value(), value(at=5), value(**change), value(**change)):
        world.log.add("a", raw=raw)
    with capture_logs() as logs:
        process = Process(world).start()
        await until(lambda: world.offsets.at("crm") == 5)
        await process.stop()
    (line,) = of(logs, events.EVENT_DUPLICATE_DIFFERED)
    assert (line["place"], line["first_place"], line["source"]) == (f"{P0}@3", f"{P0}@0", "orders")
    assert part in line["cause"]
    assert "sources.orders.id" in line["remedy"]
    assert process.metrics.duplicates_differing.labels("orders").value == 2
    assert world.receiver.ids == ["a"]


@simulated
async def test_a_producers_repetition_with_another_envelope_raises_no_alarm() -> None:
    world = World(decoder=DECODER)
    for raw in (value(at=1_700_000_000), value(at=1_700_000_009), value(entity="other")):
        world.log.add("a", raw=raw)
    with capture_logs() as logs:
        process = Process(world).start()
        await until(lambda: world.offsets.at("crm") == 3)
        await process.stop()
    assert of(logs, events.EVENT_DUPLICATE_DIFFERED) == []
    assert process.count("duplicate") == 2


@simulated
async def test_ids_of_two_json_types_are_both_delivered() -> None:
    world = World(decoder=DECODER)
    for id_ in (1, "1", 1.0, "1.0", True, "true", 1):
        world.log.add("a", raw=value(id=id_))
    process = Process(world).start()
    await until(lambda: world.offsets.at("crm") == 7)
    assert len(world.receiver.ids) == 6
    assert process.count("duplicate") == 1
    await process.stop()


@simulated
async def test_a_time_that_cannot_be_used_is_logged_once_and_counted_and_the_event_is_delivered() -> None:
    world = World(decoder=DECODER)
    for number in range(4):
        world.log.add("a", raw=value(id=str(number), at=-1))
    with capture_logs() as logs:
        process = Process(world).start()
        await until(lambda: world.offsets.at("crm") == 4)
        await process.stop()
    (line,) = [line for line in of(logs, events.EVENT_FIELD_REFUSED) if line["field"] == "time"]
    assert (line["source"], line["value"], line["place"]) == ("orders", "-1", f"{P0}@0")
    assert "time_unit" in line["remedy"]
    assert process.metrics.fields_refused.labels("orders", "time").value == 4
    assert len(world.receiver.ids) == 4


@pytest.mark.parametrize("digest", [0, 7])
def test_what_has_no_digest_is_not_compared(digest: int) -> None:
    oddities, event = Oddities(Metrics()), decode()
    with capture_logs() as logs:
        oddities.see_duplicate(RedriveMark("crm", None, "1", "", 1), event.record, Claim(1, 2, 0, 7))  # type: ignore[arg-type]
        event.digest = digest
        oddities.see_duplicate(event, event.record, Claim(1, 2, 0, 7 - digest))
        event.resend = Resend(event.record, "crm", "x")
        oddities.see_duplicate(event, event.record, Claim(1, 2, 0, 5))
    assert logs == []


def test_a_claim_of_an_event_that_is_sent_again_has_no_digest() -> None:
    event = decode()
    assert claims_of([(event.record, [event])])[0].digest == event.digest != 0
    event.resend = Resend(event.record, "crm", "x")
    assert claims_of([(event.record, [event])])[0].digest == 0
