"""A reload is in force within two seconds, and delays no other delivery: by steps, not by a clock."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import yaml

from bridge.app import reloading
from bridge.app.config_file import ConfigFile, Source, Stamps, open_source
from bridge.app.in_force import InForce
from bridge.app.reloading import Reloads
from bridge.clock import SystemClock
from bridge.settings import Settings
from bridge.settings.changes import SettingsChange
from bridge.settings.rules import rendering
from bridge.telemetry.metrics import Metrics
from tests.support.fakes import Sent
from tests.support.path import Plan, Process, World
from tests.support.simulated import simulated, until

TEMPLATE = {"template": '{"entity": "{{ entity }}"}'}


def configuration(*endpoints: str) -> dict[str, Any]:
    return {
        "kafka": {"bootstrap_servers": ["k:9092"]},
        "sources": {"orders": {"format": "json", "topics": ["t"], "id": "id", "type": "type"}},
        "endpoints": {
            name: {"url": f"https://{name}.test/hooks/{{{{ entity }}}}", "body": TEMPLATE}
            for name in endpoints
        },
    }


class CountedFile(ConfigFile):
    """A configuration file that counts the looks at it."""

    looks = 0

    def stamps(self) -> Stamps:
        self.looks += 1
        return super().stamps()


class Taken:
    """Takes everything over at once."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.added: list[frozenset[str]] = []

    async def take_over(self, settings: Settings, change: SettingsChange) -> None:
        self.settings = settings
        self.added.append(change.added)


async def test_a_changed_file_is_read_after_the_look_that_finds_it_and_one_that_finds_it_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert reloading.LOOK_S * 1.25 <= 0.75, "the rest of two seconds is for reading and building"
    monkeypatch.setattr(reloading, "LOOK_S", 0.2)
    path = tmp_path / "bridge.yaml"
    path.write_text(yaml.safe_dump(configuration("crm")))
    settings, source = open_source(path, {})
    file = CountedFile(path, {})
    file.watch_files_of(settings)
    in_force = Taken(settings)
    counted = Source(file, source.digests, source.hash, source.stamps)
    reloads = Reloads(counted, in_force, Metrics(), SystemClock())  # type: ignore[arg-type]
    running = asyncio.create_task(reloads.run())
    await until(lambda: file.looks >= 2, 60)
    fresh = tmp_path / "new"
    fresh.write_text(yaml.safe_dump(configuration("crm", "erp")))
    before = file.looks
    fresh.replace(path)
    await until(lambda: in_force.added, 60)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert in_force.added == [{"erp"}]
    assert file.looks - before <= 4, "one may have begun before the change; then two, and the one of reading"


def test_what_all_templates_need_is_built_once_and_not_for_each_endpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[object] = []
    usual = rendering.sandbox

    def count(*facts: Any) -> Any:
        built.append(facts)
        return usual(*facts)

    monkeypatch.setattr(rendering, "sandbox", count)
    path = tmp_path / "bridge.yaml"
    numbers = []
    for endpoints in (1, 40):
        path.write_text(yaml.safe_dump(configuration(*(f"e{number}" for number in range(endpoints)))))
        built.clear()
        open_source(path, {})
        numbers.append(len(built))
    assert numbers[0] == numbers[1] == 3


STEPS = ("build", "record where new endpoints begin", "read cursors", "read held lanes")


@simulated
async def test_while_a_step_of_a_reload_waits_the_other_endpoints_deliver() -> None:
    for step in STEPS:
        await deliver_while_waiting(step)


async def deliver_while_waiting(step: str) -> None:
    world = World({"crm": Plan()})
    process = Process(world).start()
    world.log.add("before")
    await until(lambda: world.receiver.delivered == ["before"])
    may_go_on, waits = asyncio.Event(), asyncio.Event()
    hold(process, step, may_go_on, waits)
    reloading_task = asyncio.create_task(process.reload({"crm": Plan(), "erp": Plan(start="latest")}))
    await waits.wait()
    for number in range(50):
        world.log.add(str(number), entity=f"e{number}")
    await until(lambda: len(world.receivers["crm"].delivered) == 51)
    assert not reloading_task.done(), step
    may_go_on.set()
    await reloading_task
    world.log.add("after")
    await until(lambda: "after" in world.receivers["erp"].delivered)
    await process.stop()


def hold(process: Process, step: str, may_go_on: asyncio.Event, waits: asyncio.Event) -> None:
    """Let a step of the next reload wait for the event."""
    around = process.in_force._around
    names = {"build": "run_aside", "read held lanes": "load_holds_of"}
    name = names.get(step, "begin_new_endpoints")

    def held(usual: Callable[..., Any]) -> Callable[..., Any]:
        async def call(*facts: Any) -> Any:
            waits.set()
            await may_go_on.wait()
            return await usual(*facts)

        return call

    if step == "read cursors":
        object.__setattr__(process.in_force._edges, "look_at_topics", held(process.edges.look_at_topics))
    else:
        object.__setattr__(around, name, held(getattr(around, name)))


@simulated
async def test_the_swap_costs_the_same_for_each_endpoint_however_many_change_and_however_much_waits() -> None:
    calls = [await calls_of_a_swap(4, 0), await calls_of_a_swap(40, 0), await calls_of_a_swap(4, 200)]
    assert calls[1] <= calls[0] * 11, "so 50 endpoints are swapped in about a millisecond"
    assert calls[2] <= calls[0] * 1.5, "what is queued is not touched"
    assert calls[1] < 40 * 60, calls


async def never(sent: Sent) -> int:
    await asyncio.Event().wait()
    return 200


async def calls_of_a_swap(endpoints: int, queued: int) -> int:
    """Return how many functions a swap calls that changes so many endpoints, each with a queue."""
    plans = {f"e{number}": Plan(concurrency=1) for number in range(endpoints)}
    world = World(plans)
    for receiver in world.receivers.values():
        receiver.answer = never
    for number in range(queued):
        world.log.add(str(number), entity=f"entity-{number}")
    process = Process(world).start()
    await asyncio.sleep(5)
    counted = 0

    def count(frame: FrameType, event: str, _: object) -> None:
        nonlocal counted
        counted += event == "call"

    usual = InForce._swap

    def swap(*facts: Any) -> None:
        sys.setprofile(count)
        try:
            usual(*facts)
        finally:
            sys.setprofile(None)

    process.in_force._swap = lambda *facts: swap(process.in_force, *facts)  # type: ignore[method-assign]
    await process.reload({name: Plan(concurrency=1, base_s=2.0) for name in plans})
    await process.crash()
    return counted
