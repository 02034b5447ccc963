"""Records that no client can parse are stepped over, parked and listed; the others are delivered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from bridge.telemetry import events
from tests.support.bridge_process import BridgeProcess
from tests.support.command import answer_of, hookferry, listed, parked
from tests.support.kafka import RealKafka
from tests.support.receiver import Receiver
from tests.support.record_batches import BAD_NAME, RawBatch, RawRecord, produce_batches
from tests.support.watch import logged, quick_config, wait_until

Bridges = Callable[..., BridgeProcess]


@pytest.fixture
def own_broker(kafka: RealKafka) -> Iterator[RealKafka]:  # requests `kafka` for its skip and its marker
    """Return a broker for this test alone, not started yet."""
    broker = RealKafka()
    yield broker
    broker.close()


def event(number: int) -> RawRecord:
    value = {"id": f"o-{number}", "type": "OrderPlaced", "entity": f"e{number}", "payload": {"seq": number}}
    return RawRecord(orjson.dumps(value), key=b"e%d" % number)


def batch(*numbers: int) -> RawBatch:
    return RawBatch(0, [event(number) for number in numbers])


def sequence(receiver: Receiver) -> list[int]:
    bodies = [request["body"] for request in receiver.records("/shop")]
    return sorted({orjson.loads(body)["data"]["seq"] for body in bodies})


def test_a_header_name_that_is_not_utf_8_parks_its_record_and_a_redrive_sends_it(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    topic = kafka.fresh_topic(partitions=1)
    poisoned = batch(0, 1, 2).with_record(1, replace(event(1), headers=[(BAD_NAME, b"x"), (b"ok", None)]))
    produce_batches(kafka.bootstrap, topic, poisoned.pack(), batch(3).pack())
    config = quick_config(kafka, topic, {"shop": {"url": receiver.url("/shop")}}, f"names.{topic}")
    bridge = bridges(config).start()
    wait_until(lambda: sequence(receiver) == [0, 2, 3], "all but the poisoned one are delivered")
    (letter,) = wait_until(lambda: listed(bridge), "it is parked")
    assert "not UTF-8 (bytes 63 61 66 e9)" in letter["cause"]
    assert letter["from"]["offset"] == 1
    shown = parked(bridge, "show", letter["address"])
    assert r"caf\xe9: x" in shown
    assert "ok (null)" in shown
    report = answer_of(bridge, "inspect", f"--topic={topic}")
    assert f"{topic}-0@1: cannot be read: the name of a header is not UTF-8" in report
    assert "3 json" in report
    bridge.kill()
    bridge.start()
    produce_batches(kafka.bootstrap, topic, batch(4).pack())
    wait_until(lambda: 4 in sequence(receiver), "the next event is delivered after a kill")
    assert len(listed(bridge, "--all")) == 1, "it was parked once"
    parked(bridge, "redrive", letter["address"], "--yes")
    wait_until(lambda: sequence(receiver) == [0, 1, 2, 3, 4], "the redrive sends it")


def segment(kafka: RealKafka, topic: str, partition: int) -> Path:
    return kafka.folder / "data" / f"{topic}-{partition}" / f"{0:020}.log"


@pytest.mark.slow
def test_damage_on_the_brokers_disk_parks_what_is_lost_and_stalls_only_what_the_broker_cannot_read(
    own_broker: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """Partition 0 has a wrong checksum and an unknown codec, 1 a wrong length; 2 is sound."""
    kafka = own_broker.start()
    topic = kafka.fresh_topic(partitions=3)
    numbers = iter(range(100))
    batches = [batch(*(next(numbers) for _ in range(3))) for _ in range(5)]
    produce_batches(kafka.bootstrap, topic, *(one.pack() for one in batches))
    for partition in (1, 2):
        more = [batch(next(numbers)) for _ in range(3)]
        produce_batches(kafka.bootstrap, topic, *(one.pack() for one in more), partition=partition)
    kafka.stop()
    log = bytearray(segment(kafka, topic, 0).read_bytes())
    size = len(batches[0].pack())
    starts = [sum(len(one.pack()) for one in batches[:index]) for index in range(5)]
    log[starts[1] + size - 5] ^= 1  # in the value of its last record
    unknown = replace(batches[3], codec=6, base=9).pack()
    log[starts[3] : starts[3] + len(unknown)] = unknown
    segment(kafka, topic, 0).write_bytes(log)
    lying = bytearray(segment(kafka, topic, 1).read_bytes())
    at = len(batch(15).pack())
    lying[at + 8 : at + 12] = (5).to_bytes(4, "big")
    segment(kafka, topic, 1).write_bytes(lying)
    kafka.start()
    group = f"damage.{topic}"
    bridge = bridges(quick_config(kafka, topic, {"shop": {"url": receiver.url("/shop")}}, group)).start()
    readable = [0, 1, 2, 6, 7, 8, 12, 13, 14, 15, 18, 19, 20]
    wait_until(lambda: sequence(receiver) == readable, "every readable event is delivered")
    letters = wait_until(
        lambda: (found := listed(bridge)) and len(found) == 2 and found, "two batches parked"
    )
    ranges = sorted((one["from"]["offset"], one["from"]["last_offset"], one["size_bytes"]) for one in letters)
    assert ranges == [(3, 5, len(batches[1].pack())), (9, 11, len(unknown))]
    wait_until(lambda: bridge.metric("hookferry_partitions_failing") == 1, "the third is counted")
    (line, *_) = logged(bridge, events.FETCH_FAILED)
    assert (line["partition"], line["next_offset"]) == (f"{topic}-1", 1)

    def committed() -> dict[int, int]:
        places = kafka.consumer_groups(f"{group}.shop")
        return {number: offset for (_, number), (offset, _) in places.items()}

    wait_until(lambda: committed() == {0: 15, 1: 1, 2: 3}, "the offsets are behind what was parked")
    refused = hookferry(bridge, "parked", "redrive", letters[0]["address"], "--yes")
    assert "the bytes of a batch that could not be read" in refused.stderr
    bridge.kill()
    bridge.start()
    produce_batches(kafka.bootstrap, topic, batch(99).pack())
    wait_until(lambda: 99 in sequence(receiver), "the next event is delivered after a kill")
    assert len(listed(bridge, "--all")) == 2, "each was parked once"
