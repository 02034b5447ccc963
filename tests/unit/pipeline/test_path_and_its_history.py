"""The path with its real history: the topic has what is committed, and one that fails costs a second."""

from __future__ import annotations

import asyncio

from bridge.history.batch import decode
from bridge.history.writer import History
from bridge.kafka.producer import NewRecord
from bridge.model import Partition, Record
from tests.support.fake_producer import broker_error
from tests.support.path import Process, World
from tests.support.simulated import simulated, until

EVENTS = 200


class Topic:
    """A topic of the history that answers after ``takes_s``, or refuses everything."""

    def __init__(self, takes_s: float = 0.05) -> None:
        self.takes_s = takes_s
        self.refuses = False
        self.delivered: set[str] = set()

    async def write(self, record: NewRecord) -> None:
        await asyncio.sleep(self.takes_s)
        if self.refuses:
            raise broker_error()
        _, attempts = decode(Record(Partition(record.topic, 0), 0, 0, record.key, record.value))
        self.delivered |= {kept.attempt.event_id for kept in attempts if kept.attempt.verdict == "delivered"}


def filled() -> World:
    world = World()
    for number in range(EVENTS):
        world.log.add(f"id-{number}", entity=f"e{number % 20}")

    async def answer(_: object) -> int:
        await asyncio.sleep(0.1)
        return 200

    world.receiver.answer = answer
    return world


def history(topic: Topic) -> History:
    return History("g.attempts", ("crm",), topic, most_bytes=1 << 20)


@simulated
async def test_at_every_moment_the_topic_has_what_is_committed_and_after_a_kill_too() -> None:
    world, topic = filled(), Topic()
    process = Process(world, history=history(topic)).start()
    committed = 0
    while committed < EVENTS // 2:
        await asyncio.sleep(0.01)
        committed = world.offsets.at("crm")
        assert {f"id-{number}" for number in range(committed)} <= topic.delivered
    await process.crash()
    assert {f"id-{number}" for number in range(world.offsets.at("crm"))} <= topic.delivered
    after = Process(world, history=history(topic)).start()
    await until(lambda: world.offsets.at("crm") == EVENTS)
    await after.stop()
    assert len(set(world.receiver.delivered)) == EVENTS


@simulated
async def test_a_topic_that_never_answers_delays_the_first_commit_by_a_second_and_no_delivery() -> None:
    world, topic = filled(), Topic(takes_s=10_000)
    began = asyncio.get_running_loop().time()
    process = Process(world, history=history(topic)).start()
    await until(lambda: world.offsets.at("crm") == EVENTS)
    took_s = asyncio.get_running_loop().time() - began
    alone = filled()
    began = asyncio.get_running_loop().time()
    without = Process(alone).start()
    await until(lambda: alone.offsets.at("crm") == EVENTS)
    assert took_s <= asyncio.get_running_loop().time() - began + 1.5
    await without.stop()
    await process.stop()


@simulated
async def test_a_topic_that_refuses_everything_stops_no_delivery_and_gets_the_attempts_later() -> None:
    world, topic = filled(), Topic()
    topic.refuses = True
    process = Process(world, history=history(topic)).start()
    await until(lambda: world.offsets.at("crm") == EVENTS)
    topic.refuses = False
    await until(lambda: len(topic.delivered) == EVENTS)
    await process.stop()
