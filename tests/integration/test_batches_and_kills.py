"""Batches on real Kafka: a receiver names events and refuses one, and the bridge is killed in the middle."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.support.batch_sink import BatchSink
from tests.support.bridge_process import BridgeProcess
from tests.support.kafka import RealKafka
from tests.support.produce import outbox_events, produce
from tests.support.watch import SOON, history, quick_config, wait_settled, wait_until

EVENTS = 600
SECRET = "whsec_" + base64.b64encode(b"hookferry batches, thirty-two by").decode()
MOST_IN_FLIGHT = 4 * 20


def test_a_kill_and_partial_failures_lose_nothing_and_keep_the_order_of_each_entity(
    kafka: RealKafka, bridges: Callable[..., BridgeProcess]
) -> None:
    """Every tenth event fails once, and one is refused for good: it alone is parked."""
    topic = kafka.fresh_topic("batched", partitions=2)
    written = list(outbox_events(EVENTS, entities=20, seed=38))
    poison = (written[200].entity, written[200].seq)
    tried: Counter[tuple[str, int]] = Counter()

    def place(event: dict[str, Any]) -> tuple[str, int]:
        return event["entity"], event["data"]["seq"]

    def fails(event: dict[str, Any]) -> bool:
        tried[place(event)] += 1
        return event["data"]["seq"] % 10 == 3 and tried[place(event)] == 1

    def refuses(event: dict[str, Any]) -> bool:
        return place(event) == poison

    with BatchSink(SECRET, delay_s=0.02, fails=fails, refuses=refuses) as sink:
        endpoint = {
            "url": sink.url, "secrets": [SECRET], "concurrency": 4, "retry": SOON, "compress": "zstd",
            "batch": {"max_events": 20, "max_wait_s": 0.05, "as": "object"},
        }  # fmt: skip
        bridge = bridges(quick_config(kafka, topic, {"crm": endpoint}, "batched")).start()
        produce(kafka.bootstrap, topic, iter(written))
        wait_until(lambda: len(sink.accepted) > EVENTS // 4, "a quarter has arrived")
        bridge.kill()
        assert len(sink.accepted) < EVENTS - 1, "the kill came too late to prove anything"
        bridge.start()
        wait_until(lambda: len(sink.accepted) == EVENTS - 1, "all have arrived")
        wait_settled(kafka, "batched.crm", topic)
        assert not sink.misordered()
        assert {*sink.accepted} == {(event.entity, event.seq) for event in written} - {poison}
        assert sink.repeats <= MOST_IN_FLIGHT, "only what was in flight at the kill is repeated"
        assert sink.codings["zstd"], "batches were compressed, and their signatures verified"
        assert bridge.metric("hookferry_parked_total", reason="refused") == 1
        rows = [row for row in history(bridge) if row["verdict"] == "delivered"]
        assert {row["webhook_id"] for row in rows} <= sink._seen
        assert bridge.terminate() == 0
