"""How long a reload keeps the loop from other work: ``python -m tests.bench.reload``.

A file with ``--endpoints`` endpoints, each with a template and a filter, is examined as a running bridge does
it. A path of as many endpoints takes over one more, and then a change of all, while events are delivered. A
task that wakes every millisecond measures the pauses.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import structlog
import uvloop
import yaml

from bridge.app.config_file import open_source
from bridge.http.event_loop import EventLoop
from tests.support.path import Plan, Process, World, settings_of

_TICK_S = 0.001


async def longest_pause_s(work: Awaitable[object]) -> tuple[float, float]:
    """Return the longest pause of the loop during ``work``, and the duration of ``work``."""
    began, longest = time.monotonic(), 0.0
    doing = asyncio.ensure_future(work)
    while not doing.done():
        before = time.monotonic()
        await asyncio.sleep(_TICK_S)
        longest = max(longest, time.monotonic() - before - _TICK_S)
    await doing
    return longest, time.monotonic() - began


def write_file(folder: Path, endpoints: int) -> Path:
    """Write a configuration with so many endpoints."""
    template = '{"entity": "{{ entity }}", "text": "{{ data.name }}", "n": {{ data.n }}}'
    document: dict[str, Any] = {
        "kafka": {"bootstrap_servers": ["k:9092"]},
        "sources": {"orders": {"format": "json", "topics": ["t"], "id": "id", "type": "type"}},
        "endpoints": {
            f"e{number}": {
                "url": f"https://e{number}.test/hooks/{{{{ entity }}}}",
                "secrets": ["whsec_" + "A" * 32],
                "body": {"template": template},
                "when": f"data.n > {number}",
            }
            for number in range(endpoints)
        },
    }
    file = folder / "bridge.yaml"
    file.write_text(yaml.safe_dump(document))
    return file


async def measure(endpoints: int) -> None:
    """Print the pauses of both halves of a reload."""
    with tempfile.TemporaryDirectory() as folder:
        _, source = open_source(write_file(Path(folder), endpoints), {})
        pause, took = await longest_pause_s(asyncio.to_thread(source.file.read))
    print(f"{endpoints} endpoints: validated in {took:.2f} s, longest pause {pause * 1000:.1f} ms")
    plans = {f"e{number}": Plan(when=f"data.n > {number}") for number in range(endpoints)}
    world = World(plans)
    process = Process(world)
    aside: Callable[[Callable[[], Any]], Awaitable[Any]] = asyncio.to_thread
    object.__setattr__(process.in_force._around, "run_aside", aside)
    process.start()
    feeding = asyncio.ensure_future(_feed(world))
    await asyncio.sleep(1)
    gc.collect()
    gc.freeze()  # as the process does
    gc.set_threshold(20_000)
    idle, _ = await longest_pause_s(asyncio.sleep(1))
    for what, changed in (
        ("one endpoint added", plans | {"added": Plan(start="latest")}),
        ("all endpoints changed, one removed", {name: Plan(base_s=2.0) for name in plans}),
    ):
        settings_of(changed)  # reading is measured above
        pause, took = await longest_pause_s(process.reload(changed))
        print(f"{what}: in force in {took:.2f} s, longest pause {pause * 1000:.1f} ms")
    print(f"without a reload: longest pause in a second {idle * 1000:.1f} ms")
    feeding.cancel()
    await process.crash()


async def _feed(world: World) -> None:
    number = 0
    while True:
        world.log.add(str(number), entity=f"e{number % 50}")
        number += 1
        await asyncio.sleep(0.002)


def main() -> None:
    """Measure with the number of endpoints of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--endpoints", type=int, default=50)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    uvloop.run(measure(parser.parse_args().endpoints), loop_factory=EventLoop)


if __name__ == "__main__":
    main()
