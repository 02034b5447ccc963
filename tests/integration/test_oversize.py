"""Dead letters that are larger than a topic takes: compressed, waiting for the operator, or as a stub."""

from __future__ import annotations

import base64
import os
import shlex
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import orjson

from tests.support.bridge_process import BridgeProcess
from tests.support.command import answer_of, listed, parked
from tests.support.kafka import RealKafka
from tests.support.parked_orders import order
from tests.support.raw_records import Raw, publish, read_parked
from tests.support.receiver import Receiver
from tests.support.watch import SOON, logged, quick_config, wait_settled, wait_until

Bridges = Callable[..., BridgeProcess]
MIB = 1024 * 1024
LARGE = 18 * MIB


def large_config(kafka: RealKafka, receiver: Receiver, topic: str, group: str, **top: Any) -> dict[str, Any]:
    """Return a configuration whose source reads values of up to 32 MiB."""
    endpoint = {"url": receiver.url("/shop"), "retry": SOON, "timeout_s": 15}
    config = quick_config(kafka, topic, {"shop": endpoint}, group, **top)
    config["sources"]["orders"]["max_value_bytes"] = 32 * MIB
    return config


def incompressible() -> str:
    """Return a text that has 18 MiB when it is compressed, and 24 MiB before."""
    return base64.b64encode(os.urandom(LARGE)).decode()


def run_remedy(kafka: RealKafka, remedy: str, topic: str) -> None:
    """Run the command of a remedy as an operator does."""
    command = remedy[remedy.index("kafka-configs.sh") :].partition(";")[0]
    assert topic in command
    kafka.tool("kafka.admin.ConfigCommand", *shlex.split(command)[1:])


def test_a_large_record_that_was_small_when_compressed_is_parked_compressed(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """One cannot be decoded, one is refused with 413; both sit in a topic with Kafka's limit of 1 MiB."""
    topic = kafka.fresh_topic("large", partitions=1)
    receiver.control("/shop", status=413, entities=["big"])
    junk = Raw(b"{" + b"x" * LARGE, b"junk", (("empty", b""), ("null", None)))
    big = order("big", 0, pad="y" * LARGE)
    publish(kafka, topic, [junk, big, order("small", 0)], codec="zstd")
    bridge = bridges(large_config(kafka, receiver, topic, "large")).start()
    letters = read_parked(kafka, "large", 2)
    assert [(letter.key, letter.headers) for letter in letters] == [
        (b"junk", junk.headers),
        (b"big", big.headers),
    ]
    assert [letter.value for letter in letters] == [junk.value, big.value]
    wait_settled(kafka, "large.shop", topic)
    bridge.terminate()
    bridge.start()
    publish(kafka, topic, [order("small", 1)])
    receiver.wait_for("/shop", accepted=2)
    sent = [request["entity"] for request in receiver.records("/shop")]
    assert sent.count("big") == 1, "413 is final: the event is sent once, also over a restart"
    assert logged(bridge, "parking.failed") == []


def test_a_record_that_does_not_fit_waits_for_the_command_that_the_log_names(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """Letters of the same partition before and after it are parked; nothing is restarted."""
    topic = kafka.fresh_topic("waits", partitions=1, max_message_bytes=24 * MIB)
    receiver.control("/shop", status=413)
    random = order("big", 0, pad=incompressible())
    small = [order(f"e{number}", 0) for number in range(4)]
    config = large_config(kafka, receiver, topic, "waits")
    bridge = bridges(config).start()
    publish(kafka, topic, [*small[:2], random], codec="zstd")
    (failed,) = wait_until(lambda: logged(bridge, "parking.failed"), "the failure is logged")
    publish(kafka, topic, small[2:])
    assert len(read_parked(kafka, "waits", 4)) == 4
    run_remedy(kafka, failed["remedy"], "waits.parked")
    letters = read_parked(kafka, "waits", 5)
    assert sorted(letter.key or b"" for letter in letters) == [b"big", b"e0", b"e1", b"e2", b"e3"]
    wait_settled(kafka, "waits.shop", topic)
    assert receiver.count("/shop")["requests"] == 5


def test_a_stub_is_redriven_from_its_source_topic(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    topic = kafka.fresh_topic("stubs", partitions=1, max_message_bytes=24 * MIB)
    receiver.control("/shop", status=413, fail_first=1)
    big = order("big", 0, pad=incompressible())
    junk = Raw(os.urandom(LARGE), b"k" * 40_000, (("trace", b"1"), ("long", b"h" * 40_000), ("null", None)))
    config = large_config(kafka, receiver, topic, "stubs", park_oversize="stub")
    bridge = bridges(config).start()
    publish(kafka, topic, [big, junk], codec="zstd")
    refused, undecodable = read_parked(kafka, "stubs", 2)
    assert refused.facts["stub-value-bytes"] == str(len(big.value or b""))
    assert refused.facts["stub-value-sha256"] == sha256(big.value or b"").hexdigest()
    assert (refused.value, refused.key) == ((big.value or b"")[:65_536], b"big")
    assert (undecodable.key, undecodable.headers) == (None, (("trace", b"1"), ("null", None)))
    assert undecodable.facts["stub-key-bytes"] == "40000"
    wait_settled(kafka, "stubs.shop", topic)
    (address,) = [letter["address"] for letter in listed(bridge) if letter["endpoint"] == "shop"]
    assert "only their beginning is parked" in parked(bridge, "show", address)

    answer = answer_of(bridge, "parked", "redrive", address, "--yes", exits=1)
    run_remedy(kafka, answer, "stubs.again")
    assert "1 written to" in parked(bridge, "redrive", "--wait", "0", address, "--yes")
    receiver.wait_for("/shop", accepted=1)
    assert (
        orjson.loads(receiver.records("/shop")[-1]["body"])["data"]["pad"]
        == orjson.loads(big.value or b"")["payload"]["pad"]
    )
    wait_settled(kafka, "stubs.shop", "stubs.again")


def test_a_record_without_key_and_value_is_parked_and_redriven_and_discarded(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """A binary CloudEvent without data is a whole event; null values and headers stay null all the way."""
    topic = kafka.fresh_topic("null", partitions=1)
    receiver.control("/shop", status=400, fail_first=3)
    names = {"ce_specversion": b"1.0", "ce_source": b"/s", "ce_type": b"Closed"}
    events = [
        Raw(None, key, (*tuple((names | {"ce_id": id.encode()}).items()), ("none", None), ("empty", b"")))
        for id, key in (("a", None), ("b", None), ("c", b"k"))
    ]
    endpoint = {"url": receiver.url("/shop"), "retry": SOON, "park_limit": "off"}
    config = quick_config(kafka, topic, {"shop": endpoint}, "null")
    config["sources"] = {"orders": {"topics": [topic], "format": "cloudevents"}}
    bridge = bridges(config).start()
    publish(kafka, topic, events)
    letters = read_parked(kafka, "null", 3)
    assert [letter.headers for letter in letters] == [event.headers for event in events]
    first, *_ = sorted(listed(bridge), key=lambda letter: letter["from"]["offset"])
    assert "(null)" in parked(bridge, "show", first["address"])
    parked(bridge, "discard", first["address"], "--reason", "a test", "--yes")
    assert "2 written to" in parked(bridge, "redrive", "--wait", "0", "--endpoint", "shop", "--yes")
    receiver.wait_for("/shop", accepted=2)
    wait_settled(kafka, "null.shop", "null.again")
    assert listed(bridge) == []
    bodies = [orjson.loads(request["body"]) for request in receiver.records("/shop")]
    assert {body.get("data") for body in bodies} == {None}
