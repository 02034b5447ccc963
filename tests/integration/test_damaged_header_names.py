"""Records that no client can parse are stepped over, parked and listed; the others are delivered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import orjson

from tests.support.bridge_process import BridgeProcess
from tests.support.command import answer_of, listed, parked
from tests.support.kafka import RealKafka
from tests.support.receiver import Receiver
from tests.support.record_batches import BAD_NAME, RawBatch, RawRecord, produce_batches
from tests.support.watch import quick_config, wait_until

Bridges = Callable[..., BridgeProcess]


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
    topic = kafka.fresh_topic(partitions=1, retention_ms=-1)  # the records are old
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
