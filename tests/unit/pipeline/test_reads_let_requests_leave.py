"""A client that has fetched many records returns them at once: requests leave between the reads."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

from bridge.kafka.membership import MOST_RECORDS, Membership
from bridge.model import Batch
from tests.support.path import Plan, Process, World
from tests.support.simulated import simulated, until

RECORDS = 20


def read_without_waiting(process: Process, sent_before: list[int], world: World) -> None:
    """Let reads return in the same turn of the loop; note how many requests were sent before each."""
    real = process.reader.read

    async def read(full: Collection[object], timeout_s: float) -> Sequence[Batch]:
        sent_before.append(len(world.receiver.ids))
        reading = real(full, timeout_s)  # type: ignore[arg-type]
        try:
            while reading.send(None) is None:  # type: ignore[attr-defined]
                pass
        except StopIteration as returned:
            batches: Sequence[Batch] = returned.value
            return batches
        reading.close()  # type: ignore[attr-defined]
        await asyncio.sleep(timeout_s)
        return []

    process.reader.read = read  # type: ignore[method-assign,assignment]


@simulated
async def test_requests_leave_between_two_reads_that_return_at_once() -> None:
    world = World({"crm": Plan(concurrency=8)})
    for number in range(RECORDS):
        world.log.add(f"id-{number}", entity=f"e{number}")
    process = Process(world, max_batch=1)
    sent_before: list[int] = []
    read_without_waiting(process, sent_before, world)
    process.start()
    await until(lambda: world.offsets.at("crm") == RECORDS)
    assert sent_before[RECORDS - 1] > 0
    await process.stop()


def test_a_read_takes_in_few_records_at_once() -> None:
    """Taking in a record holds the loop for some 20 µs, and for all of a read in one piece."""
    assert Membership("g", ("orders",)).max_batch == MOST_RECORDS <= 200
