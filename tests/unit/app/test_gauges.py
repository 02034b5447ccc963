"""The gauges of the path: what they show of a running process, and after an endpoint has left."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import cast

from bridge.app.gauges import watch_path
from bridge.model import Partition
from bridge.pipeline.backlog import Backlogs
from bridge.storage.dedupe_index import KeyIndex
from bridge.telemetry.metrics import Metrics
from bridge.wiring.path import Path
from tests.support.counted import counted
from tests.support.fakes import AGAIN, Sent
from tests.support.path import Plan, Process, World
from tests.support.simulated import LoopClock, simulated, until


@simulated
async def test_the_gauges_show_backlog_limits_and_index_and_survive_an_endpoint_that_left() -> None:
    async def refuse(_: Sent) -> int:
        return 503

    world = World({"crm": Plan(concurrency=8)})
    world.receiver.answer = refuse
    for number in range(40):
        world.log.add(f"a{number}", entity=f"n{number}")
    process = Process(world).start()
    await until(lambda: process.checkpoints.unsettled("crm") == 40)
    index = KeyIndex(None, window_s=60, max_keys=1000)

    async def ends(partitions: Collection[Partition]) -> Mapping[Partition, int]:
        return {partition: world.log.bounds(partition)[1] for partition in partitions}

    dispatchers, metrics = dict(process.dispatchers), Metrics()
    main_at = process.pipeline.assignment.next_offsets
    backlogs = Backlogs(process.checkpoints, dispatchers, ends, main_at, AGAIN.topic, LoopClock())

    class Parts:
        def __init__(self) -> None:
            self.dispatchers = dispatchers

    watch_path(metrics, cast("Path", Parts()), backlogs, index)
    await backlogs.look()
    assert counted(metrics, "endpoint_lag_events", endpoint="crm") == 40
    assert counted(metrics, "breaker_state", endpoint="crm") == 1, "one state at a time"
    dispatchers["crm"].turn(False)
    assert counted(metrics, "endpoint_limited", endpoint="crm", reason="off") == 1
    assert counted(metrics, "dedupe_index_bytes") > 0
    assert counted(metrics, "dedupe_index_keys") == 0

    del dispatchers["crm"]
    assert counted(metrics, "endpoint_limited", endpoint="crm") == 0
    assert counted(metrics, "endpoint_lag_seconds", endpoint="crm") == 0
    index.close()
    await process.crash()
