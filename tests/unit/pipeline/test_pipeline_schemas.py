"""The path when a schema is unknown: it is fetched, waited for through an outage, and never guessed."""

from __future__ import annotations

import asyncio
from collections import Counter

from structlog.testing import capture_logs

from bridge.errors import DecodeError, RegistryUnavailable, SchemaNeeded
from bridge.model import Event, Partition, Record
from bridge.telemetry import events
from tests.support.fakes import DECODER, P0, P1, HeldAnswers, Log
from tests.support.path import Plan, Process, World
from tests.support.simulated import simulated, until


class SchemaTypes:
    """A decoder that can decode an event only after fetching its type as a schema, and its registry."""

    def __init__(self) -> None:
        self.known: set[str] = {"Created"}
        self.missing: set[str] = set()
        self.down = False
        self.hangs = False
        self.asked: Counter[str] = Counter()
        self.tried: Counter[str] = Counter()

    def decode(self, record: Record) -> tuple[Event, ...]:
        (event,) = DECODER.decode(record)
        if event.type in self.missing:
            raise DecodeError(record.place, "the registry has no such schema", "register it")
        if event.type not in self.known:
            self.tried[event.type] += 1
            raise SchemaNeeded("orders", event.type)
        return (event,)

    async def learn(self, needed: SchemaNeeded) -> None:
        self.asked[str(needed.key)] += 1
        await asyncio.sleep(10_000 if self.hangs else 0.01)
        if self.down:
            raise RegistryUnavailable("the registry http://r answered 503")
        if needed.key == "Unheard":
            self.missing.add("Unheard")
        else:
            self.known.add(str(needed.key))


def world_of(schemas: SchemaTypes, **plans: Plan) -> World:
    log = Log(P0, P1)
    return World(plans or {"crm": Plan()}, log=log, decoder=schemas, learn=schemas.learn)


@simulated
async def test_an_unknown_schema_is_fetched_once_and_the_order_is_kept() -> None:
    schemas = SchemaTypes()
    world = world_of(schemas)
    for id, type in (("a", "Created"), ("b", "New"), ("c", "Created"), ("d", "New")):
        world.log.add(id, type=type)
    process = Process(world).start()
    await until(lambda: world.offsets.at("crm") == 4)
    assert world.receiver.delivered == ["a", "b", "c", "d"]
    assert schemas.asked == {"New": 1}
    assert process.count("handed_over") == 4
    await process.stop()


@simulated
async def test_a_registry_outage_parks_nothing_and_delays_only_one_partition() -> None:
    schemas = SchemaTypes()
    schemas.down = True
    world = world_of(schemas)
    world.log.add("a")
    world.log.add("b", type="New")
    process = Process(world, P0, P1, max_batch=1).start()
    with capture_logs() as lines:
        await until(lambda: schemas.asked["New"] > 100)
        for number in range(5):
            world.log.add(f"other-{number}", partition=P1, entity="e2")
        await until(lambda: world.offsets.at("crm", P1) == 5)
        assert world.receiver.delivered == ["a", *(f"other-{number}" for number in range(5))]
        assert world.offsets.at("crm") == 1
        assert process.pipeline.without_schema == ["orders-0"]
        assert schemas.tried["New"] == 1, "the batch is not read again every second"
    said = [line for line in lines if line["event"] == events.REGISTRY_FAILED]
    assert 1 <= len(said) <= 3, "once a minute"
    assert "503" in said[0]["cause"]
    schemas.down = False
    await until(lambda: world.offsets.at("crm") == 2)
    assert world.receiver.delivered[-1] == "b"
    assert process.pipeline.without_schema == []
    assert not world.parking.parked
    await process.stop()


@simulated
async def test_partitions_are_given_up_while_the_registry_is_down() -> None:
    schemas = SchemaTypes()
    schemas.hangs = True
    world = world_of(schemas)
    world.log.add("b", type="New")
    process = Process(world, P0, P1).start()
    await until(lambda: schemas.asked["New"])
    world.log.add("other", partition=P1, entity="e2")
    await until(lambda: world.receiver.delivered == ["other"])
    began_at = asyncio.get_running_loop().time()
    await process.revoke()
    assert asyncio.get_running_loop().time() - began_at < 1
    assert world.offsets.at("crm", P1) == 1
    schemas.hangs = False
    process.assign()
    await until(lambda: world.receiver.delivered == ["other", "b"])
    await process.stop()
    assert not world.parking.parked


@simulated
async def test_a_stop_does_not_wait_for_the_registry() -> None:
    schemas = SchemaTypes()
    schemas.hangs = True
    world = world_of(schemas)
    world.log.add("b", type="New")
    process = Process(world).start()
    await until(lambda: schemas.asked["New"])
    began_at = asyncio.get_running_loop().time()
    await process.stop()
    assert asyncio.get_running_loop().time() - began_at < 1
    schemas.hangs = False
    process = Process(world).start()
    await until(lambda: world.offsets.at("crm") == 1)
    assert world.receiver.delivered == ["b"]
    await process.stop()


@simulated
async def test_a_schema_that_the_registry_lacks_parks_only_its_record() -> None:
    schemas = SchemaTypes()
    world = world_of(schemas)
    world.log.add("a", type="Unheard", entity="e1")
    world.log.add("b", entity="e2")
    process = Process(world).start()
    await until(lambda: world.offsets.at("crm") == 2)
    ((record, reason),) = world.parking.parked
    assert (record.offset, world.receiver.delivered) == (0, ["b"])
    assert "no such schema" in reason.cause
    await process.stop()


@simulated
async def test_an_endpoint_that_catches_up_waits_for_the_registry_as_well() -> None:
    schemas = SchemaTypes()
    world = world_of(schemas, crm=Plan(window=1), erp=Plan())
    crm, erp = world.receivers["crm"], world.receivers["erp"]
    crm.answer = gate = HeldAnswers("a")
    for id, type in (("a", "Created"), ("b", "New"), ("c", "Created")):
        world.log.add(id, type=type, entity=id)
    process = Process(world, max_batch=1).start()
    await until(lambda: erp.delivered == ["a", "b", "c"] and not crm.delivered)
    schemas.known.discard("New")
    schemas.down = True
    gate.open("a")
    await until(lambda: schemas.asked["New"] > 20)
    assert crm.delivered == ["a"]
    schemas.down = False
    await until(lambda: crm.delivered == ["a", "b", "c"])
    assert not world.parking.parked
    await process.stop()


@simulated
async def test_a_record_sent_again_waits_for_its_schema() -> None:
    again = Partition("g.again", P1.number)
    schemas = SchemaTypes()
    schemas.down = True
    world = world_of(schemas)
    origin = world.log.add("a", type="New", partition=P1)
    world.log.resend(origin, "crm", "again-1")
    process = Process(world, again).start()
    await until(lambda: schemas.asked["New"] > 5)
    schemas.down = False
    await until(lambda: world.offsets.at("crm", again) == 1)
    assert world.receiver.delivered == ["a"]
    assert not world.parking.parked
    await process.stop()


@simulated
async def test_the_dedupe_window_waits_for_the_schemas_it_needs() -> None:
    """A restart reads the window before the cursor again, and meets a schema before the reader does."""
    schemas = SchemaTypes()
    world = world_of(schemas)
    world.log.add("a", type="New")
    world.log.add("b")
    process = Process(world).start()
    await until(lambda: world.offsets.at("crm") == 2)
    await process.stop()
    schemas.known.discard("New")
    schemas.down = True
    world.log.add("a", type="New")
    world.log.add("c")
    process = Process(world).start()
    await until(lambda: schemas.asked["New"] > 5)
    schemas.down = False
    await until(lambda: world.offsets.at("crm") == 4)
    assert world.receiver.delivered == ["a", "b", "c"]
    assert process.count("duplicate") == 1
    await process.stop()
