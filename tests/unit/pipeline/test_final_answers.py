"""An answer that is final is final over a restart, also if the dead letter could not be written before it."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from structlog.testing import capture_logs

from bridge.core.completion_map import NO_ANSWER, Failures, decode, encode
from bridge.dead_letters.topic import Reason
from bridge.errors import ParkError, RenderError, TransportError, TransportFault
from bridge.model import Event, Record
from bridge.pipeline.attempt import EndpointClient
from bridge.rendering import Rendered
from bridge.telemetry.sparse_log import MOST
from tests.support.fakes import FakeParking, Sent
from tests.support.parts import part
from tests.support.path import Plan, Process, World
from tests.support.simulated import simulated, until

FINAL = [400, 401, 403, 404, 405, 409, 411, 413, 414, 415, 422, 423, 431, 451]
OUTAGE = 1_000_000


def answering(answer: int | Exception, *, plan: Plan | None = None) -> World:
    """Return a world with one event, whose dead letter the topic does not accept."""
    world = World({"crm": plan or Plan()})

    async def always(_: Sent) -> int | Exception:
        return answer

    world.receiver.answer = always
    world.parking.refusals = OUTAGE
    world.log.add("a")
    world.log.add("b", entity="e1")
    return world


async def killed_while_it_parks(world: World, requests: int) -> None:
    """Run a process until its dead letter was refused, and a commit has been written; then kill it."""
    process = Process(world).start()
    await until(lambda: len(world.receiver.sent) == requests and world.parking.refusals < OUTAGE)
    await until(lambda: any(note.refused for note in failures(world)))
    await process.crash()


def failures(world: World) -> list[Failures]:
    text = world.offsets.map_of("crm")
    return list(decode(0, text).failures.values()) if text else []


@pytest.mark.parametrize("status", FINAL)
@simulated
async def test_a_refused_event_is_sent_once_and_parked_by_the_next_process(status: int) -> None:
    world = answering(status)
    await killed_while_it_parks(world, 1)
    world.parking.refusals = 0
    process = Process(world).start()
    await until(lambda: world.offsets.at("crm") == 2)
    await process.stop()
    assert world.receiver.ids == ["a", "b"]
    (_, reason), _ = world.parking.parked
    assert reason.cause.startswith(f"status {status}, in an earlier process")
    assert (reason.details["attempts"], reason.details["status"]) == ("1", str(status))


@pytest.mark.parametrize(
    ("answer", "cause", "status"),
    [
        (503, "status 503, in", "503"),
        (302, "status 302, in", "302"),
        (TransportError(TransportFault.READ, "reset"), "without", None),
    ],
)
@simulated
async def test_an_event_whose_attempts_are_used_up_is_not_tried_once_more(
    answer: int | Exception, cause: str, status: str | None
) -> None:
    world = answering(answer, plan=Plan(max_attempts=2, max_age_s=1e6))
    await killed_while_it_parks(world, 2)
    world.parking.refusals = 0
    process = Process(world).start()
    await until(lambda: world.parking.parked)
    assert world.receiver.ids[:2] == ["a", "a"]
    assert "a" not in world.receiver.ids[2:]
    reason = world.parking.parked[0][1]
    assert reason.cause.startswith(cause)
    assert reason.details.get("status") == status
    await process.crash()


@simulated
async def test_an_event_that_could_not_be_rendered_is_tried_by_the_next_process() -> None:
    """It was never sent, and the template may be correct by now."""

    class WrongTemplate:
        def render(self, event: Event) -> Rendered:
            raise RenderError("the template is wrong")

    world = answering(200)
    process = Process(world)
    part(process.dispatchers["crm"], EndpointClient)._renderer = WrongTemplate()
    process.start()
    await until(lambda: world.parking.refusals < OUTAGE - 3)
    await process.crash()
    process = Process(world).start()
    await until(lambda: world.offsets.at("crm") == 2)
    await process.stop()
    assert world.receiver.delivered == ["a", "b"]


@pytest.mark.parametrize("note", [Failures(1, 9, 413), Failures(4095, 9, NO_ANSWER), Failures(20, 9)])
def test_a_final_answer_is_read_back_from_the_commit(note: Failures) -> None:
    text, _ = encode(7, [7], 8, {(7, 2): note}, {}, limit_bytes=4096)
    assert decode(7, text).failures == {(7, 2): note}


class FullTopic(FakeParking):
    """A dead-letter topic that does not accept the events of some entities until ``raised``."""

    def __init__(self, *entities: str) -> None:
        super().__init__()
        self.entities = [entity.encode() for entity in entities]
        self.raised = False
        self.tries = 0

    async def park(self, record: Record, reason: Reason) -> None:
        if record.key in self.entities and not self.raised:
            self.tries += 1
            raise ParkError("too large", "run: kafka-configs.sh …")
        await super().park(record, reason)


@simulated
async def test_events_that_are_too_large_to_park_delay_only_their_own_entities() -> None:
    """There are more of them than workers; each is logged once, and goes on after the limit was raised."""
    big = [f"big{number}" for number in range(9)]
    world = World({"crm": Plan(concurrency=2)}, parking=FullTopic(*big))

    async def answer(sent: Sent) -> int:
        return 413 if sent.entity in big else 200

    world.receiver.answer = answer
    for entity in big:
        world.log.add(f"{entity}-1", entity=entity)
        world.log.add(f"{entity}-2", entity=entity)
    with capture_logs() as logs:
        process = Process(world).start()
        for number in range(50):
            world.log.add(f"small-{number}", entity="small")
        await until(lambda: len(world.receiver.delivered) == 50)
        await asyncio.sleep(600)
        assert isinstance(world.parking, FullTopic)
        assert 300 < world.parking.tries < 1000, "each is tried again, but not often"
        world.parking.raised = True
        await until(lambda: world.offsets.at("crm") == 68)
        await process.stop()
    assert sorted(sent.event_id for sent in world.receiver.sent if sent.entity in big) == sorted(
        f"{entity}-{number}" for entity in big for number in (1, 2)
    )
    counts = Counter(line["event"] for line in logs)
    assert (counts["parking.failed"], counts["parking.recovered"]) == (MOST, MOST), "a few of nine"
    assert len(world.parking.parked) == 18


@simulated
async def test_a_stop_does_not_wait_for_an_event_that_is_too_large_to_park() -> None:
    world = World(parking=FullTopic("e1"))

    async def refuses(_: Sent) -> int:
        return 413

    world.receiver.answer = refuses
    world.log.add("a")
    process = Process(world).start()
    await until(lambda: any(note.refused for note in failures(world)))
    began = asyncio.get_running_loop().time()
    await process.stop()
    assert asyncio.get_running_loop().time() - began < 5
    assert world.offsets.at("crm") == 0
