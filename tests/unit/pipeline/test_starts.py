"""Through the wiring: new partitions and topics, lost offsets with each policy, recreated topics."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from bridge.model import Partition
from bridge.telemetry import events
from tests.support.fakes import P0, P1, TOPIC, HeldAnswers, Log
from tests.support.path import Plan, Process, World
from tests.support.simulated import simulated, until

LATEST = {"crm": Plan(start="latest")}


def add(world: World, names: str, partition: Partition = P0) -> None:
    for name in names:
        world.log.add(name, partition=partition, entity=name)


async def run_once(world: World, names: str, *partitions: Partition) -> None:
    """Start, deliver what is produced meanwhile, and stop."""
    process = Process(world, *partitions).start()
    await until(lambda: world.offsets.at("crm") is not None)
    before = list(world.receiver.delivered)
    add(world, names)
    await until(lambda: world.receiver.delivered == before + list(names))
    await process.stop()


@simulated
async def test_a_new_endpoint_that_starts_at_latest_skips_what_is_there() -> None:
    world = World(LATEST)
    add(world, "abc")
    await run_once(world, "de")
    assert world.receiver.delivered == ["d", "e"]


@simulated
async def test_the_first_cursors_of_endpoints_that_begin_alike_are_logged_in_one_line() -> None:
    """A thousand lines at a first start would hide the others."""
    world = World({"crm": Plan(start="latest"), "erp": Plan(start="latest"), "all": Plan()}, log=Log(P0, P1))
    add(world, "abc")
    with capture_logs() as logs:
        process = Process(world, P0, P1).start()
        await until(lambda: world.offsets.at("all") is not None)
        await process.stop()
    started = [line for line in logs if line["event"] == events.CURSOR_STARTED]
    assert [(line["endpoints"], line["next_offsets"], line["cause"]) for line in started] == [
        (["crm", "erp"], {str(P0): 3, str(P1): 0}, "the endpoint is new"),
        (["all"], {str(P0): 0, str(P1): 0}, "the endpoint is new"),
    ]


@simulated
async def test_a_topic_that_appears_after_the_endpoint_began_is_read_from_its_first_record() -> None:
    """The bridge began without a topic, as before the first event of an installation."""
    world = World(LATEST, log=Log(Partition("other", 0)))
    process = Process(world)
    await process.begin_new_endpoints()
    world.log.records[P0] = []
    add(world, "abc")
    process.start()
    await until(lambda: world.receiver.delivered == ["a", "b", "c"])
    await process.stop()


@simulated
async def test_a_partition_that_was_added_while_the_bridge_was_down_is_read_from_its_first_record() -> None:
    world = World(LATEST)
    await run_once(world, "ab")
    world.log.records[P1] = []
    add(world, "xyz", P1)
    process = Process(world, P0, P1).start()
    await until(lambda: world.receiver.delivered == ["a", "b", "x", "y", "z"])
    await process.stop()


@simulated
async def test_a_partition_that_another_pod_got_first_begins_where_the_endpoint_began() -> None:
    """The second pod begins later: what came in between is not skipped, what came before is not sent."""
    world = World(LATEST, log=Log(P0, P1))
    add(world, "old", P1)
    await run_once(world, "a")
    add(world, "new", P1)
    other = Process(world, P1).start()
    await until(lambda: world.receiver.delivered == ["a", "n", "e", "w"])
    await other.stop()


@simulated
async def test_an_endpoint_of_an_older_release_is_not_new() -> None:
    """It has commits and no record: a partition without a commit is an added one."""
    world = World(LATEST)
    await run_once(world, "ab")
    world.control.forget()
    world.log.records[P1] = []
    add(world, "xyz", P1)
    process = Process(world, P0, P1).start()
    await until(lambda: world.receiver.delivered == ["a", "b", "x", "y", "z"])
    await process.stop()


@pytest.mark.parametrize(
    ("policy", "delivered"), [("earliest", "abcabcd"), ("latest", "abcd"), ("stop", "abc")]
)
def test_the_policy_decides_where_an_endpoint_continues_whose_offsets_expired(
    policy: str, delivered: str
) -> None:
    @simulated
    async def check() -> None:
        world = World({"crm": Plan(start="latest", on_lost_offset=policy)})
        await run_once(world, "abc")
        world.offsets.expire()
        with capture_logs() as logs:
            process = Process(world).start()
            await until(lambda: world.offsets.at("crm") is not None)
            add(world, "d")
            await until(lambda: len(world.receiver.delivered) == len(delivered))
        (line,) = [line for line in logs if line["event"] == events.CURSOR_LOST]
        assert (line["log_level"], line["partition"], line["endpoint"]) == ("error", "orders-0", "crm")
        assert "expired" in line["cause"]
        assert world.receiver.delivered == list(delivered)
        assert list(world.control.stopped) == (["crm"] if policy == "stop" else [])
        if policy == "stop":
            assert world.offsets.at("crm") == 0, "it waits at the first record, so that nothing is lost"
        await process.stop()

    check()


@pytest.mark.parametrize("names", ["x", "vwxyz"], ids=["shorter", "longer"])
@pytest.mark.parametrize("offsets_deleted", [True, False])
def test_a_topic_that_was_recreated_while_the_bridge_was_down_is_delivered_from_its_beginning(
    names: str, offsets_deleted: bool
) -> None:
    """Kafka deletes the offsets of a deleted topic, unless the bridge commits one more before it notices."""

    @simulated
    async def check() -> None:
        world = World(LATEST)
        await run_once(world, "abc")
        if offsets_deleted:
            world.offsets.expire()
        world.log.recreate(P0)
        add(world, names)
        with capture_logs() as logs:
            process = Process(world).start()
            await until(lambda: world.receiver.delivered == [*"abc", *names])
        (line,) = [line for line in logs if line["event"] == events.CURSOR_LOST]
        assert "created again" in line["cause"]
        assert line["known_topic_id"] is not None
        await process.stop()

    check()


@pytest.mark.parametrize("names", ["x", "vwxyz"], ids=["shorter", "longer"])
def test_a_topic_that_is_recreated_while_the_bridge_runs_is_delivered_from_its_beginning(names: str) -> None:
    @simulated
    async def check() -> None:
        world = World(LATEST)
        process = Process(world).start()
        await until(lambda: world.offsets.at("crm") is not None)
        add(world, "abc")
        await until(lambda: world.offsets.at("crm") == 3)
        world.log.recreate(P0)
        add(world, names)
        await until(lambda: set(names) <= set(world.receiver.delivered))
        await until(lambda: world.offsets.at("crm") == len(names))
        process.raise_if_dead()
        await process.stop()

    check()


@simulated
async def test_a_kill_just_after_the_start_in_a_recreated_topic_leaves_nothing_of_it_unsent() -> None:
    """The journal still has what settled in the topic that was deleted."""
    world = World(LATEST)
    await run_once(world, "")
    add(world, "abc")
    first = Process(world, commit_interval_s=1000.0).start()
    await until(lambda: world.receiver.delivered == [*"abc"])
    await first.crash()
    world.log.recreate(P0)
    add(world, "wxyz")
    world.receiver.answer = HeldAnswers(*"xyz")
    second = Process(world, commit_interval_s=1000.0).start()
    await until(lambda: world.receiver.delivered == [*"abcw"])
    await second.crash()
    world.receiver.answer = HeldAnswers()
    third = Process(world).start()
    await until(lambda: world.offsets.at("crm") == 4)
    assert sorted(world.receiver.delivered) == [*"abcwxyz"]
    await third.stop()


@simulated
async def test_events_of_a_recreated_topic_are_no_duplicates_of_those_that_were_deleted() -> None:
    """The producer publishes its events again: the index of the old topic must not drop them."""
    world = World(LATEST)
    await run_once(world, "abc")
    world.log.recreate(P0)
    add(world, "zabc")
    process = Process(world).start()
    await until(lambda: world.receiver.delivered == [*"abc", *"zabc"])
    await process.stop()


@simulated
async def test_the_same_is_so_if_the_topic_is_recreated_while_the_bridge_runs() -> None:
    world = World(LATEST)
    process = Process(world).start()
    await until(lambda: world.offsets.at("crm") is not None)
    add(world, "abc")
    await until(lambda: world.offsets.at("crm") == 3)
    world.log.recreate(P0)
    add(world, "zabcyx")
    await until(lambda: world.receiver.delivered[-1:] == ["x"] and world.offsets.at("crm") == 6)
    await until(lambda: set("zabcyx") <= set(world.receiver.delivered[3:]), within_s=60)
    await process.stop()


@simulated
async def test_an_event_in_flight_while_its_topic_is_recreated_moves_no_cursor_of_the_new_one() -> None:
    world = World(LATEST)
    process = Process(world).start()
    await until(lambda: world.offsets.at("crm") is not None)
    add(world, "abc")
    await until(lambda: world.offsets.at("crm") == 3)
    committed = world.offsets.committed["g.crm", P0]
    await process.stop()
    world.log.recreate(P0)
    add(world, "uvwxyz")
    world.offsets.committed["g.crm", P0] = committed  # the last commit of a process that did not notice
    process = Process(world).start()
    await until(lambda: world.receiver.delivered == [*"abc", *"uvwxyz"])
    await process.stop()


@simulated
async def test_a_broker_without_topic_ids_is_served_as_before() -> None:
    world = World(LATEST)
    world.log.has_topic_ids = False
    await run_once(world, "abc")
    world.log.recreate(P0)
    add(world, "x")
    process = Process(world).start()
    await until(lambda: world.receiver.delivered == [*"abcx"])
    await process.stop()


@simulated
async def test_nothing_is_delivered_before_the_beginning_is_written() -> None:
    world = World()
    world.control.trouble.append("no answer")
    add(world, "a")
    process = Process(world)
    with pytest.raises(Exception, match="no answer"):
        await process.begin_new_endpoints()
    await process.begin_new_endpoints()
    world.control.trouble.append("no answer")
    process.start()
    await until(lambda: world.receiver.delivered == ["a"])
    assert not world.control.trouble, "the cursor was to be recorded before the delivery"
    await process.stop()
    assert TOPIC in world.control.open().beginnings["crm"].topics  # type: ignore[union-attr]


@simulated
async def test_a_stop_commits_nothing_for_a_topic_that_was_recreated_while_an_event_was_in_flight() -> None:
    """The broker refuses commits for a deleted topic, and that must not hold up the stop."""
    world = World(LATEST)
    process = Process(world).start()
    await until(lambda: world.offsets.at("crm") is not None)
    add(world, "abc")
    await until(lambda: world.offsets.at("crm") == 3)
    world.receiver.answer = gate = HeldAnswers("d")
    add(world, "d")
    await until(lambda: world.receiver.in_flight)
    world.log.recreate(P0)
    world.offsets.trouble.extend(["unknown topic"] * 1000)
    stopping = asyncio.create_task(process.stop())
    await asyncio.sleep(1)
    gate.open("d")
    await stopping
    assert len(world.offsets.trouble) == 1000, "nothing is committed any more"
    assert world.offsets.at("crm") == 3
