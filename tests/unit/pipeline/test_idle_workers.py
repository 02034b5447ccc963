"""What waits for work keeps no work alive: the decoded data of a large event is many megabytes."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Mapping

import pytest

from bridge.core.completion_map import Failures
from bridge.core.cursor import Cursor
from bridge.model import Batch, Partition
from bridge.pipeline.catch_up import CatchUp
from bridge.pipeline.dispatcher import EndpointDispatcher
from bridge.pipeline.outage import OutageBackoff
from bridge.telemetry.metrics import Metrics
from tests.support.fakes import P0, FakeParking, FakeReceiver, event, record
from tests.support.path import Plan, make_dispatcher
from tests.support.simulated import simulated, until


class Document(dict[str, str]):
    """Stands for decoded data, and can be seen to live."""


class Records(list[object]):
    """Stands for a batch, and can be seen to live."""


def enqueue(dispatcher: EndpointDispatcher, cursor: Cursor[Failures], offset: int) -> weakref.ref[Document]:
    """Enqueue an event of its own entity; return a reference to its data."""
    data = Document(id=f"{offset}", entity=f"e{offset}")
    one = event(f"{offset}", offset, entity=f"e{offset}")
    one.payload = lambda: data
    dispatcher.enqueue([one], cursor)
    cursor.advance(offset + 1)
    return weakref.ref(data)


@pytest.mark.parametrize("status", [200, 400, 503])
@simulated
async def test_a_worker_that_waits_keeps_neither_its_last_event_nor_its_data(status: int) -> None:
    async def answer(_: object) -> int:
        return status

    receiver = FakeReceiver(answer=answer)
    dispatcher = make_dispatcher(
        "crm", Plan(concurrency=8, max_attempts=2), receiver, FakeParking(), Metrics()
    )
    cursor: Cursor[Failures] = Cursor(P0, 0, window=100, window_bytes=1 << 20)
    alive: list[weakref.ref[Document]] = []
    async with asyncio.TaskGroup() as tasks:
        workers = dispatcher.start(tasks)
        for offset in range(8):
            alive.append(enqueue(dispatcher, cursor, offset))
        await until(lambda: cursor.progress().offset == 8)
        dispatcher.forget()
        receiver.sent.clear()
        gc.collect()
        assert [each() for each in alive] == [None] * 8
        for worker in workers:
            worker.cancel()


@simulated
async def test_a_reader_that_waits_for_records_keeps_no_batch() -> None:
    waiting = asyncio.Event()
    alive: list[weakref.ref[Records]] = []
    cursor = Cursor(P0, 0, window=100, window_bytes=1 << 20, endpoint="crm")
    cursor.detach_if_passed(10)

    class Reader:
        async def __aenter__(self) -> Reader:
            return self

        async def __aexit__(self, *exc: object) -> None:
            return None

        async def read_from(
            self, positions: Mapping[Partition, int], timeout_s: float
        ) -> tuple[list[Batch], dict[Partition, int]]:
            if alive:
                waiting.set()
                await asyncio.Event().wait()
            records = Records([record("a", 0)])
            alive.append(weakref.ref(records))
            return [(P0, records)], {P0: 1}  # type: ignore[list-item]

    async def accept(*_: object) -> bool:
        return True

    catch_up = CatchUp(
        "crm",
        has_plenty=lambda: False,
        cursors=lambda: [cursor],  # type: ignore[list-item]
        before_read=lambda: None,
        open_reader=Reader,  # type: ignore[arg-type]
        accept=accept,
        main_at=lambda _: 10,
        attached=lambda _: None,
        ended=lambda: None,
        outage=OutageBackoff(),
        wake=asyncio.Event(),
    )
    task = asyncio.create_task(catch_up.run())
    await waiting.wait()
    gc.collect()
    assert [each() for each in alive] == [None]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
