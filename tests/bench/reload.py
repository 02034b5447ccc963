"""How soon a reload is in force, and how long it keeps the loop from other work.

    python -m tests.bench.reload --endpoints 50

A file with ``--endpoints`` endpoints, each with a template and a filter, is watched and examined as a running
bridge does it. A path of as many endpoints takes over one more, and then a change of all, while events are
delivered. A task that wakes every millisecond measures the pauses, on the clock and in CPU time of this
process: only the second figure is independent of other processes.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import gc
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import structlog
import uvloop
import yaml

from bridge.app.config_file import Candidate, ConfigFile, Source, open_source
from bridge.app.reloading import Reloads
from bridge.clock import SystemClock
from bridge.http.event_loop import EventLoop
from tests.support.path import Plan, Process, World, settings_of

_TICK_S = 0.001


class Pauses:
    """The longest pauses of the loop, in seconds, while this context is open."""

    wall_s = cpu_s = 0.0

    async def __aenter__(self) -> Pauses:
        self._task = asyncio.ensure_future(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()

    async def _watch(self) -> None:
        while True:
            wall_s, cpu_s = time.monotonic(), time.process_time()
            await asyncio.sleep(_TICK_S)
            self.wall_s = max(self.wall_s, time.monotonic() - wall_s - _TICK_S)
            self.cpu_s = max(self.cpu_s, time.process_time() - cpu_s)

    def __str__(self) -> str:
        return f"longest pause {self.wall_s * 1000:.1f} ms, of CPU {self.cpu_s * 1000:.1f} ms"


class MeantFile(ConfigFile):
    """A file that is watched and examined in full; the path gets the settings of ``plans``, over fakes."""

    plans: Mapping[str, Plan] = {}

    def read(self) -> Candidate:
        """Read the configuration."""
        return dataclasses.replace(super().read(), settings=settings_of(self.plans), digests={})


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
    """Print how soon both changes are in force, and the pauses."""
    plans = {f"e{number}": Plan(when=f"data.n > {number}") for number in range(endpoints)}
    world = World(plans | {"added": Plan()})
    world.plans = plans
    process = Process(world)
    aside: Callable[[Callable[[], Any]], Awaitable[Any]] = asyncio.to_thread
    object.__setattr__(process.in_force._around, "run_aside", aside)
    process.start()
    with tempfile.TemporaryDirectory() as folder:
        path = write_file(Path(folder), endpoints)
        _, source = open_source(path, {})
        file = MeantFile(path, {})
        reloads = Reloads(
            Source(file, {}, source.hash, source.stamps), process.in_force, process.metrics, SystemClock()
        )
        tasks = [asyncio.ensure_future(_feed(world)), asyncio.ensure_future(reloads.run())]
        await asyncio.sleep(2)
        gc.collect()
        gc.freeze()  # as the process does
        gc.set_threshold(20_000)
        async with Pauses() as idle:
            await asyncio.sleep(1)
        print(f"without a reload: {idle}")
        for what, changed in (
            ("one endpoint added", plans | {"added": Plan(start="latest")}),
            ("all endpoints changed, one removed", {name: Plan(base_s=2.0) for name in plans}),
        ):
            file.plans, changes = changed, reloads.state.since
            async with Pauses() as pauses:
                began = time.monotonic()
                path.write_text(path.read_text() + "\n")
                while reloads.state.since == changes:
                    await asyncio.sleep(_TICK_S)
                in_force_s = time.monotonic() - began
                while "added" in changed and not world.receivers["added"].delivered:
                    await asyncio.sleep(_TICK_S)
                delivered_s = time.monotonic() - began
            delivery = f", first delivery after {delivered_s:.2f} s" if "added" in changed else ""
            print(f"{what}: in force {in_force_s:.2f} s after the change of the file{delivery}; {pauses}")
        for task in tasks:
            task.cancel()
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
