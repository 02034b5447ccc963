"""Damage in the log of a running broker: what is lost is parked, or waits where the broker cannot read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import orjson
import pytest

from bridge.telemetry import events
from tests.support.bridge_process import BridgeProcess
from tests.support.command import answer_of, listed
from tests.support.kafka import RealKafka
from tests.support.receiver import Receiver
from tests.support.record_batches import RawBatch, RawRecord, produce_batches
from tests.support.watch import logged, quick_config, wait_until

Bridges = Callable[..., BridgeProcess]
PER_PARTITION = 12
CHECKSUM, CODEC, TOO_LONG, TOO_SHORT, SOUND = range(5)
"""The partitions, by what is wrong with the second batch of each."""
PADDING = "x" * 2048
"""Makes each batch larger than 4096 bytes, so that the broker's index contains the position of each."""


@pytest.fixture
def own_broker(kafka: RealKafka) -> Iterator[RealKafka]:  # requests `kafka` for its skip and its marker
    """Return a broker for this test alone: it would not start again with such logs."""
    broker = RealKafka().start()
    yield broker
    broker.close()


def batches_of(partition: int) -> list[RawBatch]:
    """Return four batches of three events each, with their offsets."""

    def event(offset: int) -> RawRecord:
        number = PER_PARTITION * partition + offset
        value = {"id": f"o-{number}", "type": "OrderPlaced", "entity": f"e{number}"}
        payload = {"seq": number, "padding": PADDING}
        return RawRecord(orjson.dumps(value | {"payload": payload}), key=b"e%d" % number)

    return [RawBatch(base, [event(base + index) for index in range(3)]) for base in (0, 3, 6, 9)]


class Segment:
    """The log of one partition, as the broker has it open: what is written here is in its next response."""

    def __init__(self, kafka: RealKafka, topic: str, partition: int) -> None:
        self._path = kafka.folder / "data" / f"{topic}-{partition}" / f"{0:020}.log"

    def bytes_at(self, position: int, count: int) -> bytes:
        """Return bytes of the file."""
        return self._path.read_bytes()[position : position + count]

    def write(self, position: int, data: bytes) -> None:
        """Replace bytes of the file."""
        file = os.open(self._path, os.O_WRONLY)
        try:
            assert os.pwrite(file, data, position) == len(data)
        finally:
            os.close(file)


def damage(kafka: RealKafka, topic: str, batches: Sequence[Sequence[RawBatch]]) -> None:
    """Damage the second batch of each partition except the last."""
    second = len(batches[0][0].pack())
    segments = [Segment(kafka, topic, partition) for partition in range(SOUND)]
    last = second + len(batches[CHECKSUM][1].pack()) - 5
    (byte,) = segments[CHECKSUM].bytes_at(last, 1)
    segments[CHECKSUM].write(last, bytes([byte ^ 1]))
    segments[CODEC].write(len(batches[CODEC][0].pack()), replace(batches[CODEC][1], codec=6).pack())
    at = len(batches[TOO_LONG][0].pack()) + 8
    length = int.from_bytes(segments[TOO_LONG].bytes_at(at, 4), "big")
    segments[TOO_LONG].write(at, (length + 100).to_bytes(4, "big"))
    segments[TOO_SHORT].write(len(batches[TOO_SHORT][0].pack()) + 8, (5).to_bytes(4, "big"))


def sequence(receiver: Receiver) -> list[int]:
    bodies = [request["body"] for request in receiver.records("/shop")]
    return sorted({orjson.loads(body)["data"]["seq"] for body in bodies})


def test_damage_in_a_brokers_log_parks_what_is_lost_and_stalls_only_what_the_broker_cannot_read(
    own_broker: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    kafka = own_broker
    topic = kafka.fresh_topic(partitions=5, retention_ms=-1)
    batches = [batches_of(partition) for partition in range(5)]
    for partition, log in enumerate(batches):
        sent = [replace(one, base=0).pack() for one in log]
        produce_batches(kafka.bootstrap, topic, *sent, partition=partition)
    damage(kafka, topic, batches)
    group = f"damage.{topic}"
    bridge = bridges(quick_config(kafka, topic, {"shop": {"url": receiver.url("/shop")}}, group)).start()
    lost = {(partition, offset) for partition in (CHECKSUM, CODEC, TOO_LONG) for offset in (3, 4, 5)}
    waiting = {(TOO_SHORT, offset) for offset in range(3, PER_PARTITION)}
    everything = {(partition, offset) for partition in range(5) for offset in range(PER_PARTITION)}
    readable = sorted(PER_PARTITION * partition + offset for partition, offset in everything - lost - waiting)
    wait_until(lambda: sequence(receiver) == readable, "every readable event is delivered")

    def parked_ranges() -> list[tuple[int, int, int]]:
        places = [letter["from"] for letter in listed(bridge, "--all")]
        return sorted((at["partition"], at["offset"], at["last_offset"]) for at in places)

    expected = [(partition, 3, 5) for partition in (CHECKSUM, CODEC, TOO_LONG)]
    wait_until(lambda: parked_ranges() == expected, "exactly the damaged batches are parked")
    wait_until(lambda: bridge.metric("hookferry_partitions_failing") == 1, "one partition is counted")
    (line, *_) = logged(bridge, events.FETCH_FAILED)
    assert (line["partition"], line["next_offset"]) == (f"{topic}-{TOO_SHORT}", 3)

    def committed() -> dict[int, int]:
        places = kafka.consumer_groups(f"{group}.shop")
        return {number: offset for (_, number), (offset, _) in places.items()}

    ends = dict.fromkeys(range(5), PER_PARTITION) | {TOO_SHORT: 3}
    wait_until(lambda: committed() == ends, "the offsets are behind what was parked, and before what waits")
    report = answer_of(bridge, "inspect", f"--topic={topic}", "-n12")
    for partition in (CHECKSUM, CODEC, TOO_LONG):
        assert f"{topic}-{partition}@3: cannot be read: the batch with the offsets 3 to 5" in report
    assert f"{topic}-{TOO_SHORT}: is left out: cannot read" in report
    bridge.kill()
    bridge.start()
    for partition in range(5):
        number = 1000 + partition
        value = {"id": f"o-{number}", "type": "OrderPlaced", "entity": "e", "payload": {"seq": number}}
        more = RawBatch(0, [RawRecord(orjson.dumps(value))]).pack()
        produce_batches(kafka.bootstrap, topic, more, partition=partition)
    new = [1000 + partition for partition in range(5) if partition != TOO_SHORT]
    wait_until(lambda: sequence(receiver) == [*readable, *new], "after a kill, the next events are delivered")
    assert parked_ranges() == expected, "each was parked once"
