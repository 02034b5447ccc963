"""Reload a real bridge under traffic: nothing lost, nothing repeated, the order kept."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import yaml

from tests.support.bridge_process import BridgeProcess
from tests.support.command import answer_of
from tests.support.kafka import RealKafka
from tests.support.produce import outbox_events, produce
from tests.support.receiver import Receiver
from tests.support.watch import configuration, logged, quick_config, wait_settled, wait_until

Bridges = Callable[..., BridgeProcess]


def change(bridge: BridgeProcess, **top: Any) -> None:
    """Replace top-level keys of the file while the bridge runs, in one step."""
    bridge.config.update(top)
    swap(bridge.file, yaml.safe_dump(bridge.config))


def swap(file: Path, text: str) -> None:
    """Put another text in the place of a file, without a moment in which it is written in part."""
    fresh = file.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(file)


@contextmanager
def traffic(kafka: RealKafka, topic: str) -> Iterator[list[int]]:
    """Produce events until the end of the block; the list has how many."""
    produced, stop = [0], threading.Event()

    def run() -> None:
        while not stop.is_set():
            batch = outbox_events(40, entities=10, seed=produced[0], first_seq=produced[0])
            produce(kafka.bootstrap, topic, batch)
            produced[0] += 40
            time.sleep(0.02)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield produced
    finally:
        stop.set()
        thread.join()


def taken_over(bridge: BridgeProcess) -> int:
    return len(logged(bridge, "config.taken_over"))


def test_a_bridge_under_traffic_takes_over_its_file_and_loses_and_repeats_nothing(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    topic, group = kafka.fresh_topic("reload", partitions=4), "reload"
    template = {"template": '{"data": {"entity": "{{ data.entity }}", "seq": {{ data.seq }}, "new": true}}'}
    crm = {"url": receiver.url("/crm"), "allow_http": True, "start": "earliest"}
    erp = {"url": receiver.url("/erp"), "allow_http": True, "start": "earliest"}
    bridge = bridges(quick_config(kafka, topic, {"crm": crm}, group)).start()
    with traffic(kafka, topic) as produced:
        receiver.wait_for("/crm", accepted=100)
        began = configuration(bridge)
        change(bridge, endpoints={"crm": crm, "erp": erp})
        wait_until(lambda: taken_over(bridge) == 1, "an endpoint is added")
        receiver.wait_for("/erp", accepted=200)
        (bridge.folder / "secret").write_text("token-of-the-first-days")
        changed = crm | {"headers": {"X-Api-Key": "${file:secret}"}}
        change(bridge, endpoints={"crm": changed, "erp": erp | {"body": template}})
        wait_until(lambda: taken_over(bridge) == 2, "a header and a template are changed")
        swap(bridge.folder / "secret", "token-of-the-second-days")
        wait_until(lambda: taken_over(bridge) == 3, "a secret is changed")
        good = bridge.file.read_text()
        swap(bridge.file, good + "\nnonsense: [")
        wait_until(lambda: "is not in force" in configuration(bridge), "the broken file is named")
        assert bridge.metric("hookferry_config_reloads_total", outcome="refused") >= 1
        swap(bridge.file, good)
        wait_until(lambda: "is not in force" not in configuration(bridge), "the file is mended")
        change(bridge, commit_interval_s=0.3)
        wait_until(lambda: "commit_interval_s: a change needs a restart" in configuration(bridge), "refused")
        swap(bridge.file, good)
        total = produced
        receiver.wait_for("/crm", accepted=total[0])
    count = produced[0]
    for name in ("crm", "erp"):
        receiver.wait_for(f"/{name}", accepted=count)
        wait_settled(kafka, f"{group}.{name}", topic)
        report = receiver.report(f"/{name}")
        assert (report["accepted"], report["inversions"], report["overlaps"]) == (count, 0, 0), name
        assert report["repeats"] == 0, f"{name} got an event twice"
    assert configuration(bridge).split()[1] != began.split()[1]
    assert len(logged(bridge, "source.assigned")) == 1, "a reload is no rebalance"
    assert "token-of-the" not in bridge.log.read_text()
    assert bridge.terminate() == 0


def test_a_swapped_link_sighup_and_the_command_reload_and_a_removed_endpoint_keeps_its_place(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges
) -> None:
    """Kubernetes exchanges the link ``..data`` of a mounted ConfigMap, and every file in it with that."""
    topic, group = kafka.fresh_topic("swapped-link", partitions=1), "swapped-link"
    crm = {"url": receiver.url("/crm"), "allow_http": True, "start": "earliest"}
    erp = {"url": receiver.url("/erp"), "allow_http": True, "start": "earliest"}
    bridge = bridges(quick_config(kafka, topic, {"crm": crm, "erp": erp}, group))
    mounted = bridge.folder / "mounted"
    mounted.mkdir()

    def mount(version: str, **top: Any) -> None:
        bridge.config.update(top)
        (mounted / version).mkdir()
        (mounted / version / "bridge.yaml").write_text(yaml.safe_dump(bridge.config))
        link = mounted / "..new"
        link.symlink_to(version)
        link.replace(mounted / "..data")

    mount("1")
    bridge.file.symlink_to(mounted / "..data" / "bridge.yaml")
    bridge.start()  # it writes the same text through the link
    produce(kafka.bootstrap, topic, outbox_events(20, entities=3, seed=1))
    receiver.wait_for("/erp", accepted=20)
    mount("2", endpoints={"crm": crm})
    wait_until(lambda: taken_over(bridge) == 1, "the endpoint is removed")
    produce(kafka.bootstrap, topic, outbox_events(20, entities=3, seed=2, first_seq=20))
    receiver.wait_for("/crm", accepted=40)
    mount("3", endpoints={"crm": crm, "erp": erp}, reload="signal")
    wait_until(lambda: taken_over(bridge) == 2, "the endpoint returns")
    receiver.wait_for("/erp", accepted=40)
    mount("4", log={"attempts": "failures"})
    os.kill(bridge.pid, signal.SIGHUP)
    wait_until(lambda: taken_over(bridge) == 3, "the signal reloads")
    mount("5", log={"attempts": "all"})
    (answer,) = orjson.loads(answer_of(bridge, "reload", "--json", "--reason", "a test"))["pods"]
    assert answer["outcome"] == "taken_over", answer
    assert taken_over(bridge) == 4
    other = kafka.fresh_topic("swapped-link-too", partitions=3)
    source = bridge.config["sources"]["orders"]
    mount("6", sources={"orders": source | {"topics": [topic, other]}})
    os.kill(bridge.pid, signal.SIGHUP)
    wait_until(lambda: taken_over(bridge) == 5, "a topic is added")
    produce(kafka.bootstrap, other, outbox_events(20, entities=3, seed=3, first_seq=40))
    for name in ("crm", "erp"):
        receiver.wait_for(f"/{name}", accepted=60)
        wait_settled(kafka, f"{group}.{name}", other)
        report = receiver.report(f"/{name}")
        assert (report["accepted"], report["inversions"], report["repeats"]) == (60, 0, 0), name
    assert len(logged(bridge, "source.resubscribed")) == 1
    assert bridge.terminate() == 0
