"""A restart with 20,000 events settled past the committed offset: the completion map lists all of them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import dropwhile

import pytest

from tests.support.bridge_process import BridgeProcess
from tests.support.kafka import RealKafka
from tests.support.produce import outbox_events, produce
from tests.support.receiver import Receiver
from tests.support.watch import cursors, quick_config, wait_settled, wait_until

Bridges = Callable[..., BridgeProcess]
EVENTS = 20_600
ENTITIES = 500
STUCK = ("e0", "e100", "e200", "e300", "e400")


@pytest.mark.slow
def test_a_start_on_another_disk_repeats_none_of_twenty_thousand_events_settled_past_the_offset(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """SIGKILL prevents a last commit, and the other disk has no journal: only the commit remains."""
    topic = kafka.fresh_topic("large-map", 1)
    generated = outbox_events(EVENTS, entities=ENTITIES, seed=21)
    events = list(dropwhile(lambda event: event.entity not in STUCK, generated))
    settled = sum(event.entity not in STUCK for event in events)
    assert settled >= 20_000
    produce(kafka.bootstrap, topic, events)
    receiver.control("/shop", status=408, entities=STUCK)
    retry = {"base_s": 0.5, "cap_s": 1, "max_attempts": 1000}
    config = quick_config(
        kafka, topic, {"shop": {"url": receiver.url("/shop"), "retry": retry}}, group="large-map"
    )
    first = bridges(config).start()
    receiver.wait_for("/shop", accepted=settled)

    def all_committed() -> bool:
        completion = cursors(kafka, "large-map.shop", topic).get(0)
        if completion is None:
            return False
        assert completion.offset == 0, "the very first event is stuck"
        return completion.end - len(completion.open_offsets) >= settled

    wait_until(all_committed, "a commit that lists all settled events")
    first.kill()

    receiver.control("/shop")
    second = bridges(config)
    assert second.folder != first.folder
    second.start()
    wait_settled(kafka, "large-map.shop", topic)
    assert second.terminate() == 0
    report = receiver.report("/shop")
    assert (report["accepted"], report["distinct"]) == (len(events), len(events))
    assert report["repeats"] == 0, "an event settled past the offset was delivered again"
    assert (report["inversions"], report["overlaps"]) == (0, 0)
