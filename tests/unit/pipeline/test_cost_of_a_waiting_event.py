"""What a waiting event costs, measured with tracemalloc, against what the memory budget counts for it.

To print the figures: ``python -m pytest tests/unit/pipeline/test_cost_of_a_waiting_event.py -s``.
"""

from __future__ import annotations

import gc
import json
import tracemalloc
from collections.abc import Callable

import pytest

from bridge.core.memory_budget import MemoryBudget
from bridge.formats import Decoder
from bridge.formats.cloudevents import CloudEventsDecoder
from bridge.formats.plain_json import PlainJsonDecoder
from bridge.model import Header, Partition, Record
from bridge.pipeline.cursor_start import EndpointCursor
from bridge.pipeline.fresh_events import FreshEvents
from bridge.telemetry.metrics import Metrics
from tests.support.fakes import FakeParking, FakeReceiver
from tests.support.path import Plan, make_dispatcher

EVENTS = 100
ORDERS = Partition("orders", 0)
JSON = PlainJsonDecoder("s", id="id", type="type", entity="entity", max_value_bytes=1 << 24)
CLOUD = CloudEventsDecoder("s", max_value_bytes=1 << 24)
CLOUD_HEADERS = tuple(
    (f"ce_{name}", b"0123456789") for name in ("source", "type", "subject", "traceparent", "partitionkey")
)


def lines(value_bytes: int) -> list[dict[str, object]]:
    return [
        {"sku": f"s{number}", "quantity": number, "price": number * 1.25, "text": "abcdefghij"}
        for number in range(value_bytes // 64)
    ]


def json_record(number: int, value_bytes: int, lanes: int) -> Record:
    entity = f"entity-{number % lanes}"
    document = {"id": f"{number:032x}", "type": "Paid", "entity": entity, "lines": lines(value_bytes)}
    return Record(ORDERS, number, 1_700_000_000_000, entity.encode(), json.dumps(document).encode())


def cloud_record(number: int, value_bytes: int, lanes: int) -> Record:
    head: tuple[Header, ...] = (("ce_specversion", b"1.0"), ("ce_id", b"%032x" % number))
    own = tuple((str(name), bytes(bytearray(value))) for name, value in CLOUD_HEADERS)
    value = json.dumps(lines(value_bytes)).encode()
    return Record(ORDERS, number, 1_700_000_000_000, b"e%d" % (number % lanes), value, (*head, *own))


def used_and_counted(
    decoder: Decoder, make: Callable[[int, int, int], Record], value_bytes: int, lanes: int, endpoints: int
) -> tuple[float, float]:
    """Return the bytes per event that waiting events use, and those that the budget counts."""
    budget, fresh = MemoryBudget(), FreshEvents(0)
    parts = []
    for number in range(endpoints):
        name = f"crm{number}"
        dispatcher = make_dispatcher(name, Plan(), FakeReceiver(), FakeParking(), Metrics(), budget=budget)
        cursor = EndpointCursor(ORDERS, 0, window=1 << 20, window_bytes=1 << 40, share=budget.share(name))
        parts.append((dispatcher, cursor))
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(EVENTS):
            (event,) = decoder.decode(make(number, value_bytes, lanes))
            event.payload()
            for dispatcher, cursor in parts:
                dispatcher.enqueue([event], cursor)
            fresh.add([event])
        del event
        gc.collect()
        used = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    return used / EVENTS, budget.used_bytes / EVENTS


@pytest.mark.parametrize(
    ("lanes", "endpoints"), [(10, 1), (EVENTS, 1), (EVENTS, 10)], ids=["shared lanes", "own lanes", "ten"]
)
@pytest.mark.parametrize("value_bytes", [64, 8192])
@pytest.mark.parametrize(
    ("decoder", "make"), [(JSON, json_record), (CLOUD, cloud_record)], ids=["json", "cloudevents"]
)
def test_the_budget_counts_what_a_waiting_event_uses_and_at_most_twice_as_much(
    decoder: Decoder,
    make: Callable[[int, int, int], Record],
    value_bytes: int,
    lanes: int,
    endpoints: int,
) -> None:
    used, counted = used_and_counted(decoder, make, value_bytes, lanes, endpoints)
    print(f"{used:,.0f} bytes used, {counted:,.0f} counted")
    assert used <= counted
    assert counted <= 2 * used
