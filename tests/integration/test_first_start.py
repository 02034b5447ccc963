"""A first start: on a new cluster, in a new group, before the source topic exists. Nothing is wrong then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.bridge_process import BridgeProcess
from tests.support.kafka import RealKafka
from tests.support.produce import outbox_events, produce
from tests.support.receiver import Receiver
from tests.support.watch import logged, quick_config, wait_settled, wait_until

Bridges = Callable[..., BridgeProcess]


@pytest.fixture
def new_cluster(kafka: RealKafka) -> Iterator[RealKafka]:  # requests `kafka` for its skip and its marker
    """Return a broker on which no group ever was and no topic is."""
    with RealKafka() as broker:
        yield broker


def problems(bridge: BridgeProcess) -> list[dict[str, Any]]:
    """Return the lines at WARNING or above, those of the Kafka client among them."""
    return [line for line in logged(bridge) if line["level"] not in ("debug", "info")]


def run_first_events(bridge: BridgeProcess, kafka: RealKafka, receiver: Receiver, topic: str) -> None:
    """Deliver ten events, stop the bridge, and check that it reported no problem from first to last line."""
    produce(kafka.bootstrap, topic, outbox_events(10))
    receiver.wait_for(f"/{topic}", accepted=10)
    wait_settled(kafka, f"{topic}.shop", topic)
    assert bridge.terminate() == 0
    assert logged(bridge, "topic.created"), "it was not a first start"
    first_assigned = logged(bridge, "source.assigned")[0]["next_offsets"]
    assert any(".again" in partition for partition in first_assigned), "the group has to rebalance for it"
    assert problems(bridge) == []


def test_a_first_start_reports_no_problem_on_a_new_cluster_and_in_a_new_group(
    new_cluster: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """Three groups in turn: before the source topic exists, with it, and two pods with a pattern."""
    for topic, topics in (("before", ["before"]), ("after", ["after"]), ("family", ["fam*"])):
        config = quick_config(new_cluster, topic, {"shop": {"url": receiver.url(f"/{topic}")}}, topic)
        config["sources"]["orders"]["topics"] = topics
        bridge = bridges(config)
        if topic == "before":
            bridge.start(wait=False)
            wait_until(lambda bridge=bridge: logged(bridge, "topics.missing"), "it waits for the topic")
            new_cluster.create_topic(topic, 2)
        else:
            new_cluster.create_topic(topic, 2)
            bridge.start(wait=False)
        bridge.wait_ready()
        second = bridges(config)
        if topic == "family":
            second.start()
        run_first_events(bridge, new_cluster, receiver, topic)
        assert problems(second) == []
