"""Dead endpoints under a container's memory limit: at start, running, and after a restart with the backlog.

The limit is the kernel's where this machine allows one; else the resident memory is compared with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from tests.support.bridge_process import BridgeProcess, plain_config
from tests.support.kafka import RealKafka
from tests.support.memory_limit import MemoryLimit, memory_limit
from tests.support.ports import free_port
from tests.support.produce import events_of_many_fields, produce
from tests.support.receiver import Receiver

Bridges = Callable[..., BridgeProcess]
MIB = 1024 * 1024
PARTITIONS = 16


@pytest.fixture
def limit() -> Iterator[MemoryLimit]:
    """Made before the bridges, so that it is removed after them."""
    with memory_limit(256 * MIB) as made:
        yield made


def config(
    kafka: RealKafka, topic: str, endpoints: Mapping[str, Mapping[str, Any]], limit: MemoryLimit
) -> dict[str, Any]:
    made = plain_config(
        kafka.bootstrap, topic, endpoints, group=topic, log={"attempts": "failures"}, **limit.settings()
    )
    made["kafka"] |= {"session_timeout_s": 6, "heartbeat_interval_s": 1}
    return made


def refusing(port: int) -> dict[str, Any]:
    """Return an endpoint at a closed port, which is tried again soon when it opens."""
    url = f"http://127.0.0.1:{port}/returning"
    return {
        "url": url,
        "retry": {"cap_s": 1, "max_attempts": 1000},
        "breaker": {"open_s": 1, "max_open_s": 1},
    }


def check(bridge: BridgeProcess, limit: MemoryLimit) -> None:
    assert bridge.process is not None
    assert bridge.process.poll() is None, f"the process was killed:\n{bridge.log_tail(3)}"
    assert bridge.peak_rss_bytes() < limit.limit_bytes


def test_a_dead_endpoint_neither_ends_the_process_nor_delays_the_other_and_gets_everything_later(
    kafka: RealKafka, receiver: Receiver, limit: MemoryLimit, bridges: Bridges
) -> None:
    """8 KB events: before the budget, the process was killed after seven seconds, at each start again."""
    events, port = 6_000, free_port()
    topic = kafka.fresh_topic("little-memory", PARTITIONS)
    produce(kafka.bootstrap, topic, events_of_many_fields(events, 8_000))
    endpoints = {"well": {"url": receiver.url("/well")}, "dead": refusing(port)}
    bridge = bridges(config(kafka, topic, endpoints, limit), launcher=limit.launcher).start()
    receiver.wait_for("/well", accepted=events // 2)
    check(bridge, limit)
    bridge.kill()
    bridge.start()
    receiver.wait_for("/well", accepted=events)
    check(bridge, limit)
    assert bridge.metric("hookferry_memory_waiting_bytes") <= bridge.metric("hookferry_memory_budget_bytes")
    assert bridge.metric("hookferry_endpoint_memory_bytes", endpoint="dead") > 0
    with Receiver(port=port) as returning:
        returning.wait_for("/returning", timeout_s=180, accepted=events)
        check(bridge, limit)
        assert returning.report("/returning")["inversions"] == 0
    assert bridge.terminate() == 0


def test_large_records_with_thousands_of_fields_stay_within_the_limit(
    kafka: RealKafka, receiver: Receiver, limit: MemoryLimit, bridges: Bridges
) -> None:
    """Each waiting worker kept its last event, 8 MB with its data: killed at 512 MiB after 58 of them."""
    events = 80
    topic = kafka.fresh_topic("large-records", PARTITIONS)
    produce(kafka.bootstrap, topic, events_of_many_fields(events, 950_000))
    endpoints = {"well": {"url": receiver.url("/large")}, "dead": refusing(free_port())}
    bridge = bridges(config(kafka, topic, endpoints, limit), launcher=limit.launcher).start()
    receiver.wait_for("/large", accepted=events)
    check(bridge, limit)
    assert bridge.terminate() == 0


def test_batches_that_unpack_to_many_megabytes_stay_within_the_limit(
    kafka: RealKafka, receiver: Receiver, limit: MemoryLimit, bridges: Bridges
) -> None:
    """One batch of 6 MB per partition, fetched as 20 KB: all were kept unpacked until they had been read."""
    topic = kafka.fresh_topic("large-batches", PARTITIONS)
    produce(kafka.bootstrap, topic, events_of_many_fields(12_000, 8_000), codec="zstd")
    dead = {f"dead{number}": refusing(free_port()) for number in range(4)}
    endpoints = {"well": {"url": receiver.url("/batches")}, **dead}
    bridge = bridges(config(kafka, topic, endpoints, limit), launcher=limit.launcher).start()
    receiver.wait_for("/batches", timeout_s=180, accepted=4_000)
    check(bridge, limit)
    assert receiver.report("/batches")["inversions"] == 0
    assert bridge.terminate() == 0
