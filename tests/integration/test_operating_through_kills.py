"""A bulk re-send, a replay and a reload at once, while both bridges and the console are restarted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import yaml

from tests.support.bridge_process import BridgeProcess
from tests.support.console_process import ConsoleProcess
from tests.support.kafka import RealKafka
from tests.support.produce import outbox_events, produce
from tests.support.receiver import Receiver
from tests.support.watch import logged, quick_config, wait_settled, wait_until

Bridges = Callable[..., BridgeProcess]
EVENTS, LIVE, FIRST_LIVE = 400, 100, 1000
IN_FLIGHT = 40
"""What a kill may repeat: requests without an answer, and those since the last commit, of 0.2 s."""


def arrived(receiver: Receiver, path: str) -> list[tuple[str, int]]:
    """Return entity and number of each event, in the order of arrival."""
    bodies = [orjson.loads(record["body"])["data"] for record in receiver.records(path)]
    return [(data["entity"], data["seq"]) for data in bodies]


def in_order(sent: list[tuple[str, int]]) -> bool:
    """Return True if no event came for the first time after a later one of its entity."""
    distinct = list(dict.fromkeys(sent))
    return all(
        seq == max(number for entity, number in distinct[: at + 1] if entity == own)
        for at, (own, seq) in enumerate(distinct)
    )


def take_over(bridge: BridgeProcess, **endpoints: Any) -> None:
    """Replace the endpoints in the file of a running bridge, and wait until they are in force."""
    bridge.config["endpoints"] = endpoints
    fresh = bridge.file.with_suffix(".new")
    fresh.write_text(yaml.safe_dump(bridge.config))
    fresh.replace(bridge.file)
    wait_until(lambda: logged(bridge, "config.taken_over"), "the file is in force")


def test_jobs_and_a_reload_survive_the_restart_of_every_process_and_nothing_is_lost_or_repeated(
    kafka: RealKafka, receiver: Receiver, bridges: Bridges, consoles: Callable[..., ConsoleProcess]
) -> None:
    topic, group = kafka.fresh_topic("operated", partitions=4), "operated"
    common = {"allow_http": True, "start": "earliest", "concurrency": 4}
    shop, crm, erp = (common | {"url": receiver.url(f"/{name}")} for name in ("shop", "crm", "erp"))
    config = quick_config(kafka, topic, {"shop": shop, "crm": crm}, group)
    one, two = bridges(config).start(), bridges(config).start()
    console = consoles(config)
    produce(kafka.bootstrap, topic, outbox_events(EVENTS, entities=40, seed=31))
    for name in ("shop", "crm"):
        receiver.wait_for(f"/{name}", accepted=EVENTS)
        wait_settled(kafka, f"{group}.{name}", topic)
    wait_until(lambda: len(console.all("attempts")) == 2 * EVENTS, "the console has all attempts")
    firsts = {name: arrived(receiver, f"/{name}") for name in ("shop", "crm")}

    of_shop = {"filter": {"endpoint": "shop", "verdict": "delivered"}, "rate_per_s": 50}
    resend = console.post("resends", of_shop | {"reason": "they restored a backup"})["job"]
    hour_ago = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    replay = console.post("replays", {"endpoint": "crm", "since": hour_ago, "rate_per_s": 50})["job"]
    for name in ("shop", "crm"):
        receiver.wait_for(f"/{name}", requests=EVENTS + 50)
    for bridge in (one, two):
        take_over(bridge, shop=shop, crm=crm, erp=erp)
    receiver.wait_for("/erp", accepted=1)

    console.kill()
    two.kill()
    assert len(arrived(receiver, "/shop")) < 2 * EVENTS, "the kill came too late to prove anything"
    produce(kafka.bootstrap, topic, outbox_events(LIVE, entities=40, seed=32, first_seq=FIRST_LIVE))
    two.start()
    console.start()
    assert one.terminate() == 0
    one.start()
    for job in (resend, replay):
        wait_until(
            lambda job=job: console.get(f"jobs/{job}")["state"] == "done", f"{job} is done", timeout_s=120
        )
    receiver.wait_for("/erp", accepted=EVENTS + LIVE)
    for name in ("shop", "crm", "erp"):
        wait_settled(kafka, f"{group}.{name}", topic)
        wait_settled(kafka, f"{group}.{name}", f"{group}.again")

    for name, before in firsts.items():
        sent = arrived(receiver, f"/{name}")[EVENTS:]
        again, live = [each for each in sent if each[1] < FIRST_LIVE], [e for e in sent if e[1] >= FIRST_LIVE]
        assert set(again) == set(before), f"{name}: lost by the job"
        assert len(set(live)) == LIVE, f"{name}: lost live"
        assert in_order(again), name
        assert in_order(live), name
        assert len(sent) <= EVENTS + LIVE + IN_FLIGHT, f"{name}: repeated"
    everything = arrived(receiver, "/erp")
    assert len(set(everything)) == EVENTS + LIVE
    assert in_order(everything)
    assert len(everything) <= EVENTS + LIVE + IN_FLIGHT
    requests = {row["again_id"] for row in console.all("attempts", endpoint="shop") if row["again_id"]}
    assert len(requests) <= EVENTS, "no event was requested twice"
    audit = [(row["action"], row["reason"]) for row in console.all("audit")]
    assert ("resend start", "they restored a backup") in audit
    assert "replay start" in {action for action, _ in audit}
    assert [one.terminate(), two.terminate(), console.terminate()] == [0, 0, 0]
