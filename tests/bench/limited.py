"""Dead endpoints under a container's memory limit: ``make bench BENCH=--limited``.

Each case has a backlog of events with many small fields, on 16 or 32 partitions, and a limit of 512 MiB.
With a codec, the batches of the producer unpack to 6 MB.
It is the kernel's where this machine allows one, else the ``memory_budget`` that follows from it. Each runs
three times: with a healthy endpoint alone; with endpoints that refuse connections next to it; and again
after SIGKILL, when the backlog of the dead endpoints is there.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from tests.bench.compare.judging import NotProven
from tests.bench.scenarios import Stage, await_all
from tests.support.bridge_process import BridgeProcess
from tests.support.memory_limit import MemoryLimit, memory_limit
from tests.support.ports import free_port
from tests.support.produce import events_of_many_fields, produce

LIMIT_BYTES = 512 * 1024 * 1024
AGAIN_S = 20


class Case(NamedTuple):
    """A backlog and the number of endpoints that refuse."""

    partitions: int
    value_bytes: int
    events: int
    dead: int
    codec: str = "none"


CASES = (
    Case(16, 8_000, 12_000, 1),
    Case(32, 700, 60_000, 1),
    Case(16, 8_000, 12_000, 8),
    Case(16, 950_000, 300, 4),
    Case(16, 8_000, 12_000, 4, "zstd"),
)


def limited(stage: Stage, numbers: Sequence[int]) -> list[dict[str, Any]]:
    """Run the cases with these numbers, counted from 1; without any, all cases."""
    return [_case(stage, number, CASES[number - 1]) for number in numbers or range(1, len(CASES) + 1)]


def lines(figures: list[dict[str, Any]]) -> list[str]:
    """Return the rows of the table."""
    kind = "the kernel's limit" if figures[0]["is_real"] else "a budget as for a limit"
    rows = [
        f"limited: {LIMIT_BYTES >> 20} MiB ({kind}); pace of the healthy endpoint, peak of resident memory",
        f"{'':<52}{'alone/s':>9}{'beside/s':>9}{'peak MB':>9}{'again MB':>9}",
    ]
    for row in figures:
        case = Case(*row["case"])
        size = f"{case.value_bytes:,} B" + ("" if case.codec == "none" else f", {case.codec}")
        text = f"    {case.dead} dead, {case.partitions} partitions, {case.events:,} of {size}"
        rows.append(
            f"{text:<52}{row['alone_per_s']:>9,.0f}{row['beside_per_s']:>9,.0f}"
            f"{row['peak_mb']:>9.0f}{row['again_mb']:>9.0f}"
        )
    return rows


def _case(stage: Stage, number: int, case: Case) -> dict[str, Any]:
    topic = stage.kafka.fresh_topic(f"limited{number}", case.partitions)
    produce(stage.kafka.bootstrap, topic, events_of_many_fields(case.events, case.value_bytes), case.codec)
    with memory_limit(LIMIT_BYTES) as limit:
        alone, _ = _run(stage, f"alone{number}", topic, case._replace(dead=0), limit)
        beside, bridge = _run(stage, f"beside{number}", topic, case, limit)
        peak = bridge.peak_rss_bytes()
        bridge.kill()
        with bridge:  # starts it again, on its state
            time.sleep(AGAIN_S)
            again = bridge.peak_rss_bytes()
    return {
        "case": list(case),
        "is_real": limit.is_real,
        "alone_per_s": alone,
        "beside_per_s": beside,
        "peak_mb": peak / 1e6,
        "again_mb": again / 1e6,
    }


def _run(stage: Stage, name: str, topic: str, case: Case, limit: MemoryLimit) -> tuple[float, BridgeProcess]:
    """Deliver the backlog to the healthy endpoint; return its pace, and the bridge if others are dead."""
    path = f"/{name}"
    endpoints = {"well": {"url": stage.receiver.url(path)}}
    for number in range(case.dead):
        endpoints[f"dead{number}"] = {"url": f"http://127.0.0.1:{free_port()}/hooks"}
    bridge = stage.bridge_to(name, topic, endpoints, session_timeout_s=6, heartbeat_interval_s=1)
    bridge = BridgeProcess(bridge.config | limit.settings(), bridge.folder, launcher=limit.launcher)
    stage.receiver.reset()
    bridge.start()
    await_all(stage.receiver, bridge, path, case.events)
    report = stage.receiver.report(path)
    if report["accepted"] != case.events or report["inversions"]:
        raise NotProven(f"of {case.events} events: {report}")
    if not case.dead:
        bridge.kill()
    return report["rate_middle"], bridge
