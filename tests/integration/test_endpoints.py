"""Several endpoints on one stream: each has its own cursor, and a new one begins at its ``start``."""

from __future__ import annotations

from collections.abc import Callable

from tests.support.bridge_process import BridgeProcess
from tests.support.kafka import RealKafka
from tests.support.produce import outbox_events, produce
from tests.support.receiver import Receiver
from tests.support.watch import SOON, cursors, log_ends, quick_config, wait_settled, wait_until

Bridges = Callable[..., BridgeProcess]


def test_a_slow_endpoint_delays_no_other(kafka: RealKafka, receiver: Receiver, bridges: Bridges) -> None:
    """The fast cursor reaches the end of the log while the slow one is still at the start."""
    topic = kafka.fresh_topic("two", partitions=2)
    receiver.control("/slow", hang=True)
    produce(kafka.bootstrap, topic, outbox_events(500, entities=50, seed=21))
    endpoints = {
        "fast": {"url": receiver.url("/fast")},
        "slow": {"url": receiver.url("/slow"), "concurrency": 4, "timeout_s": 5, "retry": SOON},
        "paid": {"url": receiver.url("/paid"), "events": ["Order*", "!OrderP*"]},
    }
    bridge = bridges(quick_config(kafka, topic, endpoints, "two")).start()
    receiver.wait_for("/fast", accepted=500)  # the slow one accepts nothing meanwhile, see below
    receiver.wait_for("/paid", accepted=250)
    wait_settled(kafka, "two.fast", topic)
    wait_settled(kafka, "two.paid", topic)
    assert all(completion.offset == 0 for completion in cursors(kafka, "two.slow", topic).values())
    wait_until(
        lambda: bridge.metric("hookferry_unsettled_events", endpoint="slow") == 500, "500 unsettled events"
    )
    assert receiver.count("/slow")["accepted"] == 0

    receiver.control("/slow")
    receiver.wait_for("/slow", accepted=500)
    wait_settled(kafka, "two.slow", topic)
    for path, count in {"/fast": 500, "/slow": 500, "/paid": 250}.items():
        report = receiver.report(path)
        assert (report["accepted"], report["inversions"], report["repeats"]) == (count, 0, 0), path


def test_a_new_endpoint_begins_at_its_start_setting_and_commits_its_cursor_immediately(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """``latest`` skips old events and misses no new one, not even one published while the bridge is down."""
    topic = kafka.fresh_topic("begin", partitions=2)
    produce(kafka.bootstrap, topic, outbox_events(100, entities=10, seed=31))
    config = quick_config(kafka, topic, {"old": {"url": receiver.url("/old")}}, "begin")
    bridge = bridges(config).start()
    receiver.wait_for("/old", accepted=100)
    wait_settled(kafka, "begin.old", topic)
    assert bridge.terminate() == 0

    bridge.config["endpoints"] |= {
        "all": {"url": receiver.url("/all"), "allow_http": True, "start": "earliest"},
        "new": {"url": receiver.url("/new"), "allow_http": True, "start": "latest"},
    }
    bridge.start()
    ends = log_ends(kafka, topic)

    def committed() -> bool:
        return {
            number: completion.offset for number, completion in cursors(kafka, "begin.new", topic).items()
        } == ends

    wait_until(committed, "the new endpoint's cursor is committed before its first event")
    receiver.wait_for("/all", accepted=100)
    bridge.kill()
    produce(kafka.bootstrap, topic, outbox_events(20, entities=10, seed=32, first_seq=1000))
    bridge.start()
    for path, count in {"/old": 120, "/all": 120, "/new": 20}.items():
        receiver.wait_for(path, accepted=count)
    wait_settled(kafka, "begin.new", topic)
    assert all(request["seq"] >= 1000 for request in receiver.records("/new"))
    assert receiver.report("/old")["repeats"] == 0
