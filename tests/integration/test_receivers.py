"""Presets with the bridge as a process, on real Kafka: messages, the masked key, a deleted hook."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from bridge.demo.receivers import Reply
from bridge.demo.receivers.slack import Slack
from tests.support.bridge_process import BridgeProcess
from tests.support.kafka import RealKafka
from tests.support.produce import outbox_events, produce
from tests.support.receivers.pagerduty import PagerDuty
from tests.support.receivers.served import served
from tests.support.watch import cursors, history, log_ends, quick_config, wait_settled, wait_until

Bridges = Callable[..., BridgeProcess]
KEY = "0123456789abcdef0123456789abcdef"


def test_presets_deliver_messages_store_no_key_and_a_deleted_hook_turns_its_endpoint_off(
    kafka: RealKafka, bridges: Bridges
) -> None:
    topic = kafka.fresh_topic("presets", partitions=2)
    produce(kafka.bootstrap, topic, outbox_events(3, entities=3, seed=5))
    slack, pagerduty = Slack(), PagerDuty(KEY)
    with ExitStack() as up:
        chat, duty = up.enter_context(served(slack)), up.enter_context(served(pagerduty))
        endpoints = {
            "chat": {"url": chat + slack.path, "preset": "slack"},
            "duty": {"url": duty + pagerduty.path, "preset": "pagerduty", "routing_key": "${env:KEY}"},
        }
        config = quick_config(kafka, topic, endpoints, "presets")
        bridge = bridges(config, environment={"KEY": KEY}).start()
        wait_settled(kafka, "presets.chat", topic)
        wait_settled(kafka, "presets.duty", topic)
        assert len(slack.shown) == 3
        assert len(pagerduty.open) == 3
        assert all(text.startswith("Order") for text in slack.shown)

        slack.trouble = Reply(404, "no_service")
        produce(kafka.bootstrap, topic, outbox_events(3, entities=3, seed=6, first_seq=1000))
        wait_until(lambda: bridge.metric("hookferry_endpoint_on", endpoint="chat") == 0, "chat is turned off")
        wait_settled(kafka, "presets.duty", topic)
        assert len(pagerduty.open) == 6
        waiting = sum(log_ends(kafka, topic).values()) - sum(
            completion.offset for completion in cursors(kafka, "presets.chat", topic).values()
        )
        assert waiting == 3
        assert bridge.terminate() == 0

    kept = [row for row in history(bridge) if row["endpoint"] == "duty"]
    assert len(kept) == 6
    assert all(row["body"].startswith(b'{"routing_key":"***",') for row in kept)
    for file in bridge.folder.rglob("*"):
        assert not file.is_file() or KEY.encode() not in file.read_bytes(), file
