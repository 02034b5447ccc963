"""The group reader reports its place in the group, and a session that the broker does not accept."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import InvalidSessionTimeoutError

from bridge.core.readiness import State, describe
from bridge.errors import BrokerError, PlaceLostError
from bridge.kafka.client import KafkaOptions
from bridge.kafka.group_reader import Reader
from bridge.kafka.group_view import GroupView
from bridge.kafka.membership import Membership
from bridge.model import Partition
from tests.support.simulated import simulated, until

MEMBERSHIP = Membership("g", ("orders",), session_timeout_s=7, instance_id="pod-1")


class RefusedConsumer:
    """A member whose session timeout the broker refuses."""

    _sync_task = None
    _coordinator = None
    _fetcher = SimpleNamespace(_records={}, _fetch_task=None)

    async def getmany(self, *_: object, **__: object) -> None:
        raise InvalidSessionTimeoutError

    def subscription(self) -> frozenset[str]:
        return frozenset()

    async def stop(self) -> None: ...


class SilentConsumer(RefusedConsumer):
    """A member to which nothing comes."""

    async def getmany(self, *_: object, **__: object) -> None:
        await asyncio.Event().wait()

    def pause(self, _: TopicPartition) -> None: ...

    def seek(self, _: TopicPartition, __: int) -> None: ...


async def nothing() -> None: ...


async def reader_of_fake(consumer: RefusedConsumer | None = None) -> Reader:
    reader = Reader(KafkaOptions(("nowhere:9092",)), MEMBERSHIP, nothing)
    await reader.member.consumer.stop()
    reader.member.consumer = consumer or RefusedConsumer()
    reader.member._joined = True
    return reader


async def test_a_session_that_the_broker_refuses_is_reported_with_the_setting() -> None:
    reader = await reader_of_fake()
    with pytest.raises(BrokerError, match=r"Session.*; set kafka\.session_timeout_s within"):
        await reader.read((), 0.1)


async def test_the_place_is_none_until_the_first_assignment_and_rebalancing_between_two() -> None:
    reader = await reader_of_fake()
    view = GroupView(reader)
    assert view.place is None
    await reader.member._revoked()
    assert view.place is None
    states: list[State] = []
    for _ in range(2):
        reader.member._assigned(())
        assert view.place is not None
        states.append(describe(view.place).state)
        await reader.member._revoked()
        assert view.place is not None
        states.append(describe(view.place).state)
    assert states == [State.STANDBY, State.REBALANCING] * 2


@simulated
async def test_an_assignment_ends_the_poll_that_began_before_it() -> None:
    reader = await reader_of_fake(consumer := SilentConsumer())
    polling = asyncio.create_task(reader.read((), 1_000))
    await until(lambda: reader._poll_limit is not None)
    for _ in range(2):  # the group may be faster than the loop
        reader._take_over(consumer, [TopicPartition("orders", 0)])
    assert await polling == []
    assert reader.unprepared == {Partition("orders", 0)}
    reader._take_over(consumer, [TopicPartition("orders", 1)])
    assert reader.unprepared == {Partition("orders", 1)}, "no poll is in progress"


async def test_a_reader_whose_name_was_taken_holds_no_lease_and_commits_nothing() -> None:
    reader = await reader_of_fake()
    reader.member._assigned(())
    assert reader.member.holds_lease()
    reader.member.name.note_taken()
    assert not reader.member.holds_lease()
    with pytest.raises(PlaceLostError):
        await reader.member.fence({Partition("orders", 0): 1})
    assert await reader.read((), 0) == []
    view = GroupView(reader)
    assert view.place is not None
    assert describe(view.place).state is State.FENCED
    reader.member._assigned(())
    assert not reader.member.holds_lease(), "a late answer of the group revived the lease"
