"""Every reader of the product steps over what cannot be read: over a real client and the embedded broker.

The embedded broker does not check what is produced, so a batch reaches it as it is. What Apache Kafka lets
in is in ``tests/integration/test_damaged_header_names.py``.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from bridge.core.switches import EventTypes, Switch, Switches, key_of
from bridge.dead_letters.letter import LetterFilter
from bridge.dead_letters.letter_reader import LetterReader
from bridge.demo.broker import Broker
from bridge.kafka.client import KafkaOptions
from bridge.kafka.control_topic import ControlTopic
from bridge.kafka.group_reader import Reader
from bridge.kafka.membership import Membership
from bridge.kafka.side_reader import SideReader
from bridge.model import Partition, Record
from tests.support.letters import FACTS
from tests.support.record_batches import BAD_NAME, RawBatch, RawRecord, plain, produce_batches

GOOD = RawBatch(0, plain(b"v0", b"v1", b"v2"))
BATCHES = [
    GOOD.pack(),
    GOOD.with_record(1, RawRecord(b"x", headers=[(BAD_NAME, b"1")])).pack(),
    GOOD.with_record(1, RawRecord(wrong_length=0)).pack(),
    replace(GOOD, codec=5).pack(),
    replace(GOOD, wrong_crc=True).pack(),
    GOOD.pack(),
]
EXPECTED = [
    *[(0, 1), (1, 2), (2, 3), (3, 4)],
    (4, 5, ""),
    (5, 6), (6, 7),
    (7, 8, "record"),
    (8, 9),
    (9, 12, "batch"), (12, 15, "batch"),
    (15, 16), (16, 17), (17, 18),
]  # fmt: skip
P0 = Partition("orders", 0)


@pytest.fixture
def broker() -> Broker:
    broker = Broker(["orders", "g.control", "g.parked"])
    produce_batches(broker.address, "orders", *BATCHES)
    return broker


def outline(records: list[Record]) -> list[tuple[object, ...]]:
    return [
        (record.offset, record.end, *([record.damage.raw_of] if record.damage else [])) for record in records
    ]


async def test_a_reader_outside_the_group_gets_every_offset_once(broker: Broker) -> None:
    records: list[Record] = []
    async with SideReader(KafkaOptions((broker.address,))) as reader:
        async for batch in reader.stretch(P0, 0, 18):
            records += batch
    assert outline(records) == EXPECTED


async def test_the_member_of_the_group_gets_every_offset_once(broker: Broker) -> None:
    async def nothing() -> None:
        return None

    reader = Reader(KafkaOptions((broker.address,)), Membership("g", ("orders",)), nothing)
    await reader.member.start()
    records: list[Record] = []
    try:
        async with asyncio.timeout(60):
            while not records or records[-1].end < 18:
                reader.start_at(dict.fromkeys(reader.unprepared, 0))
                for _, batch in await reader.read((), 0.1):
                    records += batch
    finally:
        await reader.member.stop()
    assert outline(records) == EXPECTED


async def test_switches_behind_an_unreadable_record_are_applied(broker: Broker) -> None:
    def switch(name: str) -> RawRecord:
        return RawRecord(Switch(False, "2026-01-01T00:00:00Z", "ann", "test").to_bytes(), key_of(name))

    damaged = RawBatch(0, [switch("crm"), RawRecord(wrong_length=0), switch("shop")])
    produce_batches(broker.address, "g.control", damaged.pack())
    switches: Switches[str] = Switches()
    types: Switches[EventTypes] = Switches()
    control = ControlTopic(KafkaOptions((broker.address,)), "g.control", switches, types, "bob")
    await control.load()
    assert sorted(switches.off()) == ["crm", "shop"]


async def test_letters_behind_an_unreadable_record_are_listed(broker: Broker) -> None:
    headers = [(f"hookferry-{name}".encode(), fact.encode()) for name, fact in FACTS.items()]
    letter = RawRecord(b"{}", headers=headers)
    batch = RawBatch(0, [letter, RawRecord(wrong_key_length=2**30), letter])
    produce_batches(broker.address, "g.parked", batch.pack())
    async with SideReader(KafkaOptions((broker.address,))) as side:
        letters = LetterReader(side, "g.parked", 1)
        found = await letters.find(LetterFilter())
    assert [str(letter.address) for letter in found] == ["0:0", "0:2"]
    assert [str(address) for address in letters.unreadable] == ["0:1"]
