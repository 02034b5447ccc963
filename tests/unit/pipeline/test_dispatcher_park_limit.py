"""The limit on dead letters: the endpoint goes off, and nothing is lost, parked or counted as an attempt."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from pydantic import ValidationError

from bridge.core.completion_map import Failures
from bridge.core.cursor import Cursor
from bridge.errors import RenderError
from bridge.model import Event, Resend
from bridge.pipeline.attempt import EndpointClient
from bridge.rendering import Rendered
from bridge.settings import EndpointSettings
from bridge.telemetry.metrics import Metrics
from tests.support.fakes import P0, FakeHistory, FakeParking, FakeReceiver, Sent, event
from tests.support.held_endpoint import Stage as HeldEndpoint
from tests.support.parts import part
from tests.support.path import Plan, make_dispatcher
from tests.support.simulated import simulated, until

DEFAULT = (100, 0.5, 60.0)


class WrongTemplate:
    """A renderer that fails for every event."""

    def render(self, event: Event) -> Rendered:
        raise RenderError("the template is wrong")


class Stage:
    """One endpoint with a limit on dead letters."""

    def __init__(self, park_limit: str | tuple[int, float, float] = DEFAULT) -> None:
        self.receiver = FakeReceiver()
        self.parking = FakeParking()
        self.history = FakeHistory()
        self.cursor: Cursor[Failures] = Cursor(P0, 0, window=10_000, window_bytes=1 << 20)
        self.turned_off: list[tuple[str, str]] = []
        self.dispatcher = make_dispatcher(
            "crm",
            Plan(park_limit=park_limit, window=10_000),
            self.receiver,
            self.parking,
            Metrics(),
            history=self.history,
            turn_off=lambda endpoint, reason: self.turned_off.append((endpoint, reason)),
        )

    def put(self, count: int, resend: bool = False) -> None:
        for _ in range(count):
            offset = self.cursor.position
            made = event(f"e{offset}", offset, entity=f"{offset % 7}")
            if resend:
                made = dataclasses.replace(made, resend=Resend(made.record, "crm", f"again-{offset}"))
            self.dispatcher.enqueue([made], self.cursor)
            self.cursor.advance(offset + 1)

    def answer(self, *statuses: int) -> None:
        """Answer with these statuses in turn, by the number of the event."""

        async def answer(sent: Sent) -> int:
            await asyncio.sleep(0.1)
            return statuses[int(sent.event_id[1:]) % len(statuses)]

        self.receiver.answer = answer

    @property
    def settled(self) -> int:
        return self.cursor.progress().offset


@asynccontextmanager
async def at_work(stage: Stage) -> AsyncIterator[Stage]:
    async with asyncio.TaskGroup() as tasks:
        workers = stage.dispatcher.start(tasks)
        yield stage
        for worker in workers:
            worker.cancel()


async def is_off_and_idle(stage: Stage) -> None:
    await until(lambda: not stage.dispatcher.on and not stage.dispatcher.in_flight)
    await asyncio.sleep(100)


@simulated
async def test_a_wrong_template_turns_the_endpoint_off_and_a_corrected_one_delivers_the_rest() -> None:
    async with at_work(Stage()) as stage:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(part(stage.dispatcher, EndpointClient), "_renderer", WrongTemplate())
            stage.put(300)
            await is_off_and_idle(stage)
        parked = {record.offset for record, _ in stage.parking.parked}
        assert len(parked) == 100
        assert stage.receiver.sent == []
        ((name, reason),) = stage.turned_off
        assert name == "crm"
        assert reason.startswith("park_limit: 100 of 100 events within 60 s were parked with an error in")
        assert reason.endswith("then run: hookferry endpoints on crm")

        stage.dispatcher.turn(True)
        await until(lambda: stage.settled == 300)
        assert len(stage.parking.parked) == 100
        delivered = [int(id[1:]) for id in stage.receiver.ids]
        assert sorted(delivered) == sorted(set(range(300)) - parked)
        for entity in range(7):
            own = [number for number in delivered if number % 7 == entity]
            assert own == sorted(own)
        assert {row.attempt for row in stage.history.rows} == {1}


@simulated
async def test_a_wrong_secret_parks_ten_of_sixty() -> None:
    async with at_work(Stage()) as stage:
        stage.answer(401)
        stage.put(60)
        await is_off_and_idle(stage)
        assert len(stage.parking.parked) == 10
        assert [row.verdict for row in stage.history.rows].count("park") == 10
        assert len(stage.turned_off) == 1
        stage.answer(200)
        stage.dispatcher.turn(True)
        await until(lambda: stage.settled == 60)
        assert len(stage.parking.parked) == 10


@simulated
async def test_a_template_that_is_still_wrong_turns_the_endpoint_off_again() -> None:
    async with at_work(Stage()) as stage:
        stage.answer(422)
        stage.put(300)
        for times in (1, 2):
            await is_off_and_idle(stage)
            assert (len(stage.parking.parked), len(stage.turned_off)) == (100 * times, times)
            stage.dispatcher.turn(True)
        await until(lambda: stage.settled == 300)


@simulated
async def test_one_refusal_in_ten_never_turns_the_endpoint_off() -> None:
    async with at_work(Stage()) as stage:
        stage.answer(422, *[200] * 9)
        stage.put(3000)
        await until(lambda: stage.settled == 3000)
        assert stage.turned_off == []
        assert len(stage.parking.parked) == 300


@simulated
async def test_events_that_are_sent_again_do_not_count() -> None:
    async with at_work(Stage()) as stage:
        stage.answer(401)
        stage.put(150, resend=True)
        await until(lambda: stage.settled == 150)
        assert stage.turned_off == []


@simulated
async def test_without_a_limit_everything_is_parked() -> None:
    async with at_work(Stage(park_limit="off")) as stage:
        stage.answer(401)
        stage.put(150)
        await until(lambda: stage.settled == 150)
        assert (len(stage.parking.parked), stage.turned_off) == (150, [])


@simulated
async def test_two_pods_each_count_their_own_share() -> None:
    one, other = Stage(), Stage()
    async with at_work(one), at_work(other):
        one.answer(422)
        other.answer(422)
        one.put(150)
        other.put(80)
        await is_off_and_idle(one)
        assert len(one.parking.parked) == 100
        assert (other.settled, other.turned_off) == (80, [])


@simulated
async def test_an_endpoint_that_holds_lanes_obeys_the_same_limit() -> None:
    """Events that are held, unsent, after the refused ones do not count."""
    world = HeldEndpoint(park_limit=(3, 0.5, 60.0))
    names = [f"n{number}" for number in range(20)]
    world.refused = set(names)
    for number, name in enumerate(names):
        world.log.add(name, entity=f"e{number % 10}")
    process = world.start()
    crm = process.dispatchers["crm"]
    await until(lambda: not crm.on and not crm.in_flight)
    await asyncio.sleep(100)
    assert world.causes.count("status 400") == 3
    world.refused = set()
    crm.turn(True)
    await until(world.settled)
    assert world.causes.count("status 400") == 3
    assert len(world.receiver.ids) + sum(cause.startswith("held behind") for cause in world.causes) >= 20
    await process.stop()


def test_the_off_of_yaml_turns_the_limit_off_and_true_is_refused() -> None:
    crm = {"url": "https://crm.test/hooks"}
    for off in (False, "off"):
        assert EndpointSettings.model_validate(crm | {"park_limit": off}).park_limit == "off"
    limit = EndpointSettings.model_validate(crm | {"park_limit": {"events": 7}}).park_limit
    assert limit != "off"
    assert (limit.events, limit.share, limit.window_s) == (7, 0.5, 60.0)
    with pytest.raises(ValidationError, match="is neither off nor a mapping"):
        EndpointSettings.model_validate(crm | {"park_limit": True})
