"""Two pods whose configurations differ for a moment: nothing is lost, and each partition has one rule."""

from __future__ import annotations

from tests.support.fakes import P0, P1, Log
from tests.support.path import Plan, Process, World
from tests.support.simulated import simulated, until


def two_pods(world: World) -> tuple[Process, Process]:
    return Process(world, P0).start(), Process(world, P1).start()


@simulated
async def test_an_endpoint_known_to_one_pod_gets_the_events_of_the_other_once_that_one_knows_it() -> None:
    world = World({"crm": Plan()}, Log(P0, P1))
    first, second = two_pods(world)
    await until(lambda: world.offsets.at("crm", P1) == 0)
    await first.reload({"crm": Plan(), "erp": Plan(start="latest")})
    world.log.add("a", partition=P0)
    world.log.add("b", partition=P1)
    await until(lambda: world.receivers["erp"].delivered == ["a"])
    await until(lambda: world.offsets.at("crm", P1) == 1)
    assert world.offsets.at("erp", P1) is None
    second._control.beginnings.put("erp", first._control.beginnings["erp"])  # as the control topic does
    await second.reload({"crm": Plan(), "erp": Plan(start="latest")})
    await until(lambda: sorted(world.receivers["erp"].delivered) == ["a", "b"])
    await first.stop()
    await second.stop()
    assert sorted(world.receivers["crm"].ids) == ["a", "b"]


@simulated
async def test_two_pods_that_add_an_endpoint_at_once_begin_it_at_the_earlier_place() -> None:
    world = World({"crm": Plan()}, Log(P0, P1))
    first, second = two_pods(world)
    await until(lambda: world.offsets.at("crm", P1) == 0)
    await first.reload({"crm": Plan(), "erp": Plan(start="latest")})
    world.log.add("b", partition=P1)
    second._control.beginnings.put("erp", first._control.beginnings["erp"])
    await second.reload({"crm": Plan(), "erp": Plan(start="latest")})
    await until(lambda: world.receivers["erp"].delivered == ["b"])
    await first.stop()
    await second.stop()


@simulated
async def test_a_partition_that_moves_to_a_pod_without_the_endpoint_keeps_its_cursor() -> None:
    world = World({"crm": Plan(), "erp": Plan()})
    world.log.add("a")
    new = Process(world).start()
    await until(lambda: world.offsets.at("erp") == 1)
    await new.stop()
    world.plans = {"crm": Plan()}
    old = Process(world).start()
    world.log.add("b")
    await until(lambda: world.offsets.at("crm") == 2)
    assert world.offsets.at("erp") == 1, "it neither moves nor holds the others back"
    assert old.reader.fenced[-1] == {P0: 2}, "nor the member group's commit"
    await old.reload({"crm": Plan(), "erp": Plan()})
    await until(lambda: world.receivers["erp"].delivered == ["a", "b"])
    await old.stop()
    assert world.receivers["crm"].ids == ["a", "b"]


@simulated
async def test_with_two_filters_each_partition_obeys_the_one_of_its_pod() -> None:
    world = World({"crm": Plan()}, Log(P0, P1))
    first, second = two_pods(world)
    await until(lambda: world.offsets.at("crm", P1) == 0)
    await first.reload({"crm": Plan(("New",))})
    for partition, name in ((P0, "a"), (P1, "b")):
        world.log.add(f"{name}-old", type="Old", partition=partition)
        world.log.add(f"{name}-new", type="New", partition=partition)
    await until(lambda: len(world.receiver.delivered) == 3)
    assert sorted(world.receiver.delivered) == ["a-new", "b-new", "b-old"]
    await first.stop()
    await second.stop()


@simulated
async def test_an_event_sent_again_for_an_endpoint_that_the_pod_does_not_know_reaches_it_later() -> None:
    """It is parked for it as well, because an endpoint to come looks like one that is gone."""
    world = World({"crm": Plan()})
    origin = world.log.add("a")
    process = Process(world).start()
    await until(lambda: world.receiver.delivered == ["a"])
    world.log.resend(origin, "erp", "again-1")
    process.reader.assign(*process.partitions, *[each for each in world.log.records if each != P0])
    await until(lambda: world.parking.parked)
    ((_, reason),) = world.parking.parked
    assert (reason.endpoint, "no endpoint 'erp'" in reason.cause) == ("erp", True)
    await process.reload({"crm": Plan(), "erp": Plan(start="latest")})
    await until(lambda: world.receivers["erp"].delivered == ["a"])
    await process.stop()
